"""The loop that every fit shares: epochs, schedule, clipping, progress, checkpoints, resume."""

from __future__ import annotations

import json
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from mixflow.training.checkpoints import (
    Checkpoint,
    load_checkpoint,
    load_optimizer_tensors,
    optimizer_tensors,
    save_checkpoint,
)
from mixflow.training.schedules import Schedule, clip_gradients, learning_rate

CHECKPOINT = "fit.safetensors"
# On a GPU reading the loss waits for the device, so it is looked at once in this many steps.
CHECK_EVERY = 25


class TrainingDiverged(ArithmeticError):
    """The loss became NaN or infinite; the last checkpoint is still good."""


class Objective:
    """What the loop climbs; EM and VI give one each.

    Attributes
    ----------
    module
        Its parameters move.
    n_components
        K when every parameter is a bank (K, ...), else None; see ``clip_gradients``.
    steps_per_epoch
        Number of optimiser steps in an epoch.
    optimizer
        Set by the loop before the first epoch; None until then.
    """

    module: nn.Module
    n_components: int | None = None
    steps_per_epoch: int
    optimizer: torch.optim.Optimizer | None = None

    def update(self, epoch: int, share: float) -> dict[str, float]:
        """Do what comes before an epoch's steps (an E-step); return values for the history."""
        return {}

    def plan(self) -> None:
        """Draw the epoch's batches from torch's global generator."""
        raise NotImplementedError

    def loss(self, step: int) -> Tensor:
        """Return the scalar loss of a step of the planned epoch."""
        raise NotImplementedError

    def validate(self) -> float | None:
        """Return the validation score (higher is better), None without a validation share."""
        return None

    def finish(self) -> dict[str, float]:
        """Do what comes after the last epoch; return values for its history row."""
        return {}

    def identity(self) -> dict[str, Any]:
        """Return what a checkpoint must share with the fit that goes on from it, for JSON."""
        return {}

    def tensors(self) -> dict[str, Tensor]:
        """Return the state beside the module's that a checkpoint needs."""
        return {}

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Put back what ``tensors`` gave."""


@dataclass(frozen=True)
class LoopSettings:
    """How to climb.

    Attributes
    ----------
    max_epochs, seed
        Number of epochs; seed of every draw.
    learning_rate, betas, weight_decay
        AdamW's.
    schedule, warmup, min_learning_rate
        See ``schedules.learning_rate``; the warm-up is in steps.
    clip_value, clip_norm
        See ``schedules.clip_gradients``.
    validate_every, patience
        Epochs between validations; validations without a gain before stopping (None: never).
    checkpoint, checkpoint_seconds, resume
        Folder (None: no checkpoints), longest time between two, whether to go on from one.
    progress
        Show a bar with the remaining time when a fit takes over 5 seconds.
    """

    max_epochs: int = 100
    seed: int = 0
    learning_rate: float = 3e-3
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.0
    schedule: Schedule = "cosine"
    warmup: int = 0
    min_learning_rate: float = 0.0
    clip_value: float | None = None
    clip_norm: float | None = None
    validate_every: int = 5
    patience: int | None = None
    checkpoint: Path | None = None
    checkpoint_seconds: float = 60.0
    resume: bool = True
    progress: bool = False

    def identity(self) -> dict[str, Any]:
        """Return what a checkpoint must share with the fit that goes on from it."""
        how = ("checkpoint", "checkpoint_seconds", "resume", "progress")
        record = {name: value for name, value in asdict(self).items() if name not in how}
        return {**record, "betas": list(self.betas)}


@dataclass
class Fit:
    """What a fit leaves beside the module's parameters.

    Attributes
    ----------
    history
        A row per epoch: epoch, loss, learning rate, and what the objective and ``on_epoch``
        reported.
    best_epoch
        Epoch of the best validation score, whose parameters the module holds; None without
        validation.
    interrupted
        Ctrl-C ended the fit early; the module is usable.
    resumed_from
        Epoch at which a checkpoint was taken up; None when the fit began anew.
    """

    history: pd.DataFrame
    best_epoch: int | None = None
    interrupted: bool = False
    resumed_from: int | None = None


@dataclass
class _State:
    epoch: int = 0
    step: int = 0
    losses: float = 0.0
    looked: int = 0
    record: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    best_score: float = float("-inf")
    best_epoch: int | None = None
    misses: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)


def fit(
    objective: Objective,
    settings: LoopSettings,
    on_epoch: Callable[[int], dict[str, float]] | None = None,
) -> Fit:
    """Climb the objective for ``max_epochs`` epochs.

    Parameters
    ----------
    objective, settings
        What to climb, and how.
    on_epoch
        Called after every epoch with its number, from 0; its values join the history.

    Raises
    ------
    TrainingDiverged
        If the loss is NaN or infinite; names the epoch, the step and the remedy.
    """
    device = next(objective.module.parameters()).device
    with torch.random.fork_rng([device] if device.type == "cuda" else []), _interruptible() as stop:
        return _Run(objective, settings, on_epoch, device).run(stop)


class _Run:
    def __init__(
        self,
        objective: Objective,
        settings: LoopSettings,
        on_epoch: Callable[[int], dict[str, float]] | None,
        device: torch.device,
    ) -> None:
        self.objective, self.settings, self.on_epoch = objective, settings, on_epoch
        self.device = device
        self.parameters = list(objective.module.parameters())
        self.optimizer = torch.optim.AdamW(
            self.parameters,
            lr=settings.learning_rate,
            betas=settings.betas,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        objective.optimizer = self.optimizer
        self.state = _State()
        # Hashing the data takes a while: only where a checkpoint asks for it.
        self.identity = {} if settings.checkpoint is None else _identity(objective, settings)
        self.saved = time.monotonic()

    def run(self, stop: threading.Event) -> Fit:
        resumed = self._resume()
        n_epochs, per_epoch = self.settings.max_epochs, self.objective.steps_per_epoch
        start = self.state.epoch * per_epoch + self.state.step
        silent = not self.settings.progress
        with tqdm(
            total=n_epochs * per_epoch, initial=start, delay=5, disable=silent, unit="step"
        ) as bar:
            while self.state.epoch < n_epochs and not self._patience_lost() and not stop.is_set():
                self._epoch(bar, stop)
        interrupted = stop.is_set() and self.state.epoch < n_epochs
        self._finish(interrupted)
        state = self.state
        return Fit(pd.DataFrame(state.history), state.best_epoch, interrupted, resumed)

    def _epoch(self, bar: tqdm, stop: threading.Event) -> None:
        state, objective = self.state, self.objective
        objective.module.train()
        generator = self._generator_state() if state.step else None
        if generator is None:
            self._seed(state.epoch, 0)
            state.record = objective.update(state.epoch, state.epoch / self.settings.max_epochs)
            if any(value != value for value in state.record.values()):
                raise self._diverged("the E-step gave NaN")
        self._seed(state.epoch, 1)
        objective.plan()
        if generator is not None:
            self._set_generator_state(generator)
        while state.step < objective.steps_per_epoch:
            loss = self._step()
            if loss is not None:
                state.losses, state.looked = state.losses + loss, state.looked + 1
            state.step += 1
            bar.update()
            if stop.is_set() or self._checkpoint_due():
                self._save()
            if stop.is_set():
                return
        bar.set_postfix(
            {"loss": f"{state.losses / state.looked:.4g}", "epoch": state.epoch + 1},
            refresh=False,
        )
        self._end_epoch()

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
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        state.record["learning_rate"] = rate
        loss = self.objective.loss(state.step)
        last = state.step + 1 == self.objective.steps_per_epoch
        value = None
        if self.device.type == "cpu" or last or step % CHECK_EVERY == 0:
            # Per component, so that banks of any size read alike.
            value = loss.item() / (self.objective.n_components or 1)
            if not abs(value) < float("inf"):
                raise self._diverged(f"the loss is {value}")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        clip_gradients(
            self.parameters,
            n_components=self.objective.n_components,
            value=settings.clip_value,
            norm=settings.clip_norm,
        )
        self.optimizer.step()
        return value

    def _diverged(self, what: str) -> TrainingDiverged:
        return TrainingDiverged(
            f"{what} in epoch {self.state.epoch}, step {self.state.step}: lower the learning rate "
            f"({self.settings.learning_rate}), clip gradients, or add noise; check the data for "
            "constant or repeated values"
        )

    def _finite(self) -> bool:
        return bool(torch.stack([p.detach().isfinite().all() for p in self.parameters]).all())

    def _end_epoch(self) -> None:
        state = self.state
        if not self._finite():
            raise self._diverged("a parameter is NaN or infinite")
        self.objective.module.eval()
        record = {"epoch": state.epoch, "loss": state.losses / state.looked, **state.record}
        last = state.epoch + 1 == self.settings.max_epochs
        if last or (state.epoch + 1) % self.settings.validate_every == 0:
            score = self.objective.validate()
            if score is not None:
                record["validation_score"] = score
                self._judge(score)
        if self.on_epoch is not None:
            record.update(self.on_epoch(state.epoch))
        state.history.append(record)
        state.epoch, state.step, state.losses, state.looked = state.epoch + 1, 0, 0.0, 0
        if self._checkpoint_due():
            self._save()

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
        self._save()
        if self.state.best:
            self.objective.module.load_state_dict(self.state.best)
        elif not interrupted:
            record = self.objective.finish()
            if self.state.history:
                self.state.history[-1].update(record)

    # Checkpoints -----------------------------------------------------------------------------

    def _checkpoint_due(self) -> bool:
        due = time.monotonic() - self.saved >= self.settings.checkpoint_seconds
        return self.settings.checkpoint is not None and due

    def _save(self) -> None:
        # A finite loss may still have had a gradient that was not: keep the last good file.
        if self.settings.checkpoint is None or not self._finite():
            return
        state = self.state
        tensors = {
            **_under("module", self.objective.module.state_dict()),
            **_under("optimizer", optimizer_tensors(self.optimizer)),
            **_under("objective", self.objective.tensors()),
            **_under("best", state.best),
            **_under("generator", self._read_generators()),
        }
        record = {
            **{n: v for n, v in vars(state).items() if n != "best"},
            "identity": self.identity,
        }
        save_checkpoint(self.settings.checkpoint / CHECKPOINT, Checkpoint(tensors, record))
        self.saved = time.monotonic()

    def _resume(self) -> int | None:
        if self.settings.checkpoint is None or not self.settings.resume:
            return None
        path = self.settings.checkpoint / CHECKPOINT
        checkpoint = load_checkpoint(path)
        if checkpoint is None:
            return None
        theirs = checkpoint.record["identity"]
        names = sorted({*theirs, *self.identity})
        differ = [name for name in names if theirs.get(name) != self.identity.get(name)]
        if differ:
            warnings.warn(
                f"ignoring the checkpoint {path}: it is of a fit with other {', '.join(differ)}; "
                "the fit starts anew",
                stacklevel=2,
            )
            return None
        self.objective.module.load_state_dict(checkpoint.part("module"))
        load_optimizer_tensors(self.optimizer, checkpoint.part("optimizer"))
        self.objective.load_tensors(checkpoint.part("objective"))
        values = {n: v for n, v in checkpoint.record.items() if n != "identity"}
        self.state = _State(**values, best=checkpoint.part("best"))
        self.generators = checkpoint.part("generator")
        return self.state.epoch

    # Random numbers: every epoch has seeds of its own, so that a fit can go on from any step --

    def _seed(self, epoch: int, stream: int) -> None:
        # Odd multipliers keep (seed, epoch, stream) apart in 63 bits.
        mixed = self.settings.seed * 0x9E3779B97F4A7C15 + epoch * 0xBF58476D1CE4E5B9 + stream
        torch.manual_seed(mixed % 2**63)

    def _read_generators(self) -> dict[str, Tensor]:
        states = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(self.device)
        return states

    def _generator_state(self) -> dict[str, Tensor]:
        return self.generators

    def _set_generator_state(self, states: dict[str, Tensor]) -> None:
        torch.set_rng_state(states["cpu"])
        if "cuda" in states and self.device.type == "cuda":
            torch.cuda.set_rng_state(states["cuda"], self.device)


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
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, handle)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def _identity(objective: Objective, settings: LoopSettings) -> dict[str, Any]:
    """Return the identities of both, as they read after a passage through JSON."""
    record: dict[str, Any] = json.loads(json.dumps({**settings.identity(), **objective.identity()}))
    return record


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}
