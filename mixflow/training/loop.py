"""The loop that every fit shares: epochs, schedule, clipping, progress, Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from mixflow.modes import own_modes
from mixflow.training.objective import LoopSettings, Objective, TrainingDiverged
from mixflow.training.resume import LoopState, Saver, is_finite
from mixflow.training.schedules import learning_rate
from mixflow.training.steps import Steps, new_optimizer

OnEpoch = Callable[[int], dict[str, float] | None]

# On a GPU reading the loss waits for the device, so it is looked at once in this many steps.
CHECK_EVERY = 25


@dataclass
class Fit:
    """What a fit leaves beside the module's parameters.

    Attributes
    ----------
    history
        Name -> a value per epoch, (epochs,): epoch, loss, learning rate, and what the objective
        and ``on_epoch`` reported; NaN where an epoch reported none. ``pandas.DataFrame`` takes it.
    best_epoch
        Epoch of the best validation score, whose parameters the module holds; None without
        validation.
    interrupted
        Ctrl-C ended the fit early; the module is usable.
    resumed_from
        Epoch at which a checkpoint was taken up; None when the fit began anew.
    """

    history: dict[str, np.ndarray]
    best_epoch: int | None = None
    interrupted: bool = False
    resumed_from: int | None = None


def fit(
    objective: Objective,
    settings: LoopSettings,
    on_epoch: OnEpoch | None = None,
) -> Fit:
    """Climb the objective for ``max_epochs`` epochs.

    All draws come from a generator of the fit's own, seeded for every epoch: they depend on nothing
    else in the process, and disturb nothing else. Nor do torch's modes matter that the caller set.

    Parameters
    ----------
    objective, settings
        What to climb, and how.
    on_epoch
        Called after every epoch with its number, from 0; its values, if it returns any, join the
        history.

    Raises
    ------
    TrainingDiverged
        If the loss is NaN or infinite; names the epoch, the step and the remedy.
    OSError
        If a checkpoint cannot be written; the last one is still good.
    """
    device = next(objective.module.parameters()).device
    with own_modes(grad=True), _interruptible() as stop:
        return _Run(objective, settings, on_epoch, device).run(stop)


def _columns(rows: list[dict[str, float]]) -> dict[str, np.ndarray]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: np.array([row.get(name, np.nan) for row in rows]) for name in names}


class _Run:
    def __init__(
        self,
        objective: Objective,
        settings: LoopSettings,
        on_epoch: OnEpoch | None,
        device: torch.device,
    ) -> None:
        self.objective, self.settings, self.on_epoch = objective, settings, on_epoch
        self.device = device
        objective.optimizer = optimizer = new_optimizer(objective, settings, device)
        objective.generator = self.generator = torch.Generator(device)
        self.steps = Steps(objective, optimizer, settings, device, self.generator)
        self.saver = Saver(objective, optimizer, settings, self.generator)
        self.state = LoopState()

    def run(self, stop: threading.Event) -> Fit:
        taken_up = self.saver.resume()
        if taken_up is not None:
            self.state = taken_up
        resumed = None if taken_up is None else taken_up.epoch
        n_epochs, per_epoch = self._n_epochs(), self.objective.steps_per_epoch
        start = self.state.epoch * per_epoch + self.state.step
        silent = not self.settings.progress
        with tqdm(total=n_epochs * per_epoch, initial=start, disable=silent, unit="step") as bar:
            while self.state.epoch < n_epochs and not self._patience_lost() and not stop.is_set():
                self._epoch(bar, stop)
        interrupted = stop.is_set() and self.state.epoch < n_epochs
        self._finish(interrupted)
        state = self.state
        return Fit(_columns(state.history), state.best_epoch, interrupted, resumed)

    def _epoch(self, bar: tqdm, stop: threading.Event) -> None:
        state, objective = self.state, self.objective
        objective.module.train()
        if state.step:  # amid an epoch whose E-step is done
            here = self.generator.get_state()
            self._plan()
            self.generator.set_state(here)
        else:
            self._seed(state.epoch, 0)
            state.record = objective.update(state.epoch, state.epoch / self.settings.max_epochs)
            if any(value != value for value in state.record.values()):
                raise self._diverged("the E-step gave NaN")
            self._plan()
        while state.step < objective.steps_per_epoch:
            loss = self._step()
            if loss is not None:
                state.losses, state.looked = state.losses + loss, state.looked + 1
            state.step += 1
            bar.update()
            if stop.is_set() or self.saver.due():
                self.saver.save(self.state)
            if stop.is_set():
                return
        bar.set_postfix(
            {"loss": f"{state.losses / state.looked:.4g}", "epoch": state.epoch + 1},
            refresh=False,
        )
        self._end_epoch()

    def _n_epochs(self) -> int:
        return self.settings.stop or self.settings.max_epochs

    def _plan(self) -> None:
        self._seed(self.state.epoch, 1)
        self.objective.plan()

    def _step(self) -> float | None:
        """Take a step; return the loss per component where it was looked at."""
        state, settings = self.state, self.settings
        step = state.epoch * self.objective.steps_per_epoch + state.step
        rate = learning_rate(
            step,
            settings.max_epochs * self.objective.steps_per_epoch,
            base=settings.learning_rate,
            schedule=settings.schedule,
            warmup=settings.warmup,
            minimum=settings.min_learning_rate,
        )
        self.steps.set_rate(rate)
        state.record["learning_rate"] = rate
        loss = self.steps.take(state.step)
        last = state.step + 1 == self.objective.steps_per_epoch
        value = None
        if self.device.type == "cpu" or last or step % CHECK_EVERY == 0:
            # Per component, so that banks of any size read alike.
            value = loss.item() / (self.objective.n_components or 1)
            if not abs(value) < float("inf"):
                raise self._diverged(f"the loss is {value}")
        return value

    def _diverged(self, what: str) -> TrainingDiverged:
        return TrainingDiverged(
            f"{what} in epoch {self.state.epoch}, step {self.state.step}: lower the learning rate "
            f"({self.settings.learning_rate}), clip gradients, or add noise; check the data for "
            "constant or repeated values"
        )

    def _end_epoch(self) -> None:
        state = self.state
        if not is_finite(self.objective.module):
            raise self._diverged("a parameter is NaN or infinite")
        self.objective.module.eval()
        record = {"epoch": state.epoch, "loss": state.losses / state.looked, **state.record}
        last = state.epoch + 1 == self._n_epochs()
        if last or (state.epoch + 1) % self.settings.validate_every == 0:
            score = self.objective.validate()
            if score is not None:
                record["validation_score"] = score
                self._judge(score)
        if self.on_epoch is not None:
            record.update(_of_callback(self.on_epoch(state.epoch)))
        state.history.append(record)
        state.epoch, state.step, state.losses, state.looked = state.epoch + 1, 0, 0.0, 0
        if self.saver.due():
            self.saver.save(self.state)

    def _judge(self, score: float) -> None:
        state = self.state
        if score > state.best_score:
            state.best_score, state.best_epoch, state.misses = score, state.epoch, 0
            state.best = {n: t.clone() for n, t in self.objective.module.state_dict().items()}
        else:
            state.misses += 1

    def _patience_lost(self) -> bool:
        return self.settings.patience is not None and self.state.misses >= self.settings.patience

    def _finish(self, interrupted: bool) -> None:
        self.objective.module.eval()
        # First: what follows is done again by a fit that goes on from here, or ends here again.
        self.saver.save(self.state)
        if self.state.best:
            self.objective.module.load_state_dict(self.state.best)
        elif not interrupted:
            record = self.objective.finish()
            if self.state.history:
                self.state.history[-1].update(record)

    def _seed(self, epoch: int, stream: int) -> None:
        """Seed each epoch by itself, so that a fit can go on from any step of it."""
        # Odd multipliers keep (seed, epoch, stream) apart in 63 bits.
        mixed = self.settings.seed * 0x9E3779B97F4A7C15 + epoch * 0xBF58476D1CE4E5B9 + stream
        self.generator.manual_seed(mixed % 2**63)


def _of_callback(values: Any) -> dict[str, float]:
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise TypeError(
            f"a callback must return None, or a dict of values for history_, got {values!r}"
        )
    return values


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C into a flag; a second one interrupts at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # only the main thread may handle signals
        return
    before = signal.getsignal(signal.SIGINT)

    def handle(number: int, frame: object) -> None:
        stop.set()
        # Where it was ignored, as in a shell's background jobs, a second one would be lost.
        signal.signal(signal.SIGINT, before if callable(before) else signal.default_int_handler)

    signal.signal(signal.SIGINT, handle)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
