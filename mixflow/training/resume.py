"""Where a fit stands, kept so that it can go on from there."""

from __future__ import annotations

import json
import time
import warnings
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor, nn

from mixflow.training.checkpoints import (
    FORMAT,
    Checkpoint,
    layout,
    load_checkpoint,
    load_optimizer_tensors,
    optimizer_tensors,
    save_checkpoint,
)
from mixflow.training.objective import LoopSettings, Objective

CHECKPOINT = "fit.safetensors"


@dataclass
class LoopState:
    """Where a fit stands: all of it goes into a checkpoint."""

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

    def check(self, n_epochs: int, n_steps: int) -> None:
        """Raise ValueError unless a fit of so many epochs and steps an epoch can stand here."""
        counts = (self.epoch, self.step, self.looked, self.misses)
        whole = all(type(count) is int and count >= 0 for count in counts)
        numbers = all(type(value) in (int, float) for value in (self.losses, self.best_score))
        rows = [self.record, *self.history] if type(self.history) is list else [None]
        named = all(type(row) is dict for row in rows)
        if not (whole and numbers and named and type(self.best_epoch) in (int, type(None))):
            raise ValueError("a value is of another type")
        within = self.epoch <= n_epochs and self.step <= n_steps and self.looked <= self.step
        # The loss of an epoch's last step is always looked at.
        seen = self.step < n_steps or self.looked > 0
        known = abs(self.losses) < float("inf") and self.best_score == self.best_score
        past = self.best_epoch is None or 0 <= self.best_epoch < self.epoch
        if not (within and seen and known and past and len(self.history) == self.epoch):
            raise ValueError("its numbers do not fit together")


class Saver:
    """Write checkpoints of a fit when they are due, and take one up.

    Parameters
    ----------
    objective, optimizer, settings
        Of the fit; a checkpoint is taken up only when its objective and settings are equal.
    generator
        The fit's; its state belongs to the fit's.
    """

    def __init__(
        self,
        objective: Objective,
        optimizer: torch.optim.Optimizer,
        settings: LoopSettings,
        generator: torch.Generator,
    ) -> None:
        self.objective, self.optimizer = objective, optimizer
        self.settings, self.generator = settings, generator
        folder = settings.checkpoint
        self.path = None if folder is None else folder / CHECKPOINT
        # Hashing the data takes a while: only where a checkpoint asks for it.
        self.identity = {} if folder is None else self._identity()
        self.saved = time.monotonic()

    def due(self) -> bool:
        """Say whether the last checkpoint is old enough for another."""
        late = time.monotonic() - self.saved >= self.settings.checkpoint_seconds
        return self.path is not None and late

    def save(self, state: LoopState) -> None:
        """Write a checkpoint, unless none is wanted or a parameter is not finite."""
        # A finite loss may still have had a gradient that was not: keep the last good file.
        if self.path is None or not is_finite(self.objective.module):
            return
        tensors = self._tensors(state)
        record = {
            **{n: v for n, v in vars(state).items() if n != "best"},
            "identity": self.identity,
            "layout": layout(tensors),
        }
        save_checkpoint(self.path, Checkpoint(tensors, record))
        self.saved = time.monotonic()

    def resume(self) -> LoopState | None:
        """Take up the checkpoint; None without one, and, with a warning, if it is of no use."""
        if self.path is None or not self.settings.resume:
            return None
        checkpoint = load_checkpoint(self.path)
        if checkpoint is None:
            return None
        before = {n: t.clone() for n, t in self._tensors(LoopState()).items()}
        try:
            state = self._state(checkpoint)
            self._put(checkpoint)
        except Exception as error:  # whatever a foreign file leads to, the fit can start anew
            warnings.warn(
                f"ignoring the checkpoint {self.path}: {error}; the fit starts anew", stacklevel=2
            )
            self._put(Checkpoint(before))
            return None
        return state

    def _tensors(self, state: LoopState) -> dict[str, Tensor]:
        return {
            **_under("module", self.objective.module.state_dict()),
            **_under("optimizer", optimizer_tensors(self.optimizer)),
            **_under("objective", self.objective.tensors()),
            **_under("best", state.best),
            "generator": self.generator.get_state(),
        }

    def _put(self, checkpoint: Checkpoint) -> None:
        self.objective.module.load_state_dict(checkpoint.part("module"))
        load_optimizer_tensors(self.optimizer, checkpoint.part("optimizer"))
        self.objective.load_tensors(checkpoint.part("objective"))
        self.generator.set_state(checkpoint.tensors["generator"])

    # What a checkpoint must be ---------------------------------------------------------------

    def _identity(self) -> dict[str, Any]:
        """Return what the fit shares with its checkpoints, as it reads after a passage by JSON."""
        what = {
            "format": FORMAT,
            "version": self.objective.VERSION,
            "device": self.generator.device.type,
            **self.settings.identity(),
            **self.objective.identity(),
        }
        record: dict[str, Any] = json.loads(json.dumps(what))
        return record

    def _state(self, checkpoint: Checkpoint) -> LoopState:
        """Return where the checkpoint's fit stood; raise if it is another fit, or damaged."""
        values = dict(checkpoint.record)
        theirs = values.pop("identity", None)
        if type(theirs) is not dict:
            raise ValueError("it does not say of which fit it is")
        names = sorted({*theirs, *self.identity})
        differ = [name for name in names if theirs.get(name) != self.identity.get(name)]
        if differ:
            raise ValueError(f"it is of a fit with other {', '.join(differ)}")
        if values.pop("layout", None) != layout(checkpoint.tensors):
            raise ValueError("its tensors are not those that it names")
        if {*values, "best"} != {field.name for field in fields(LoopState)}:
            raise ValueError("values are missing, or unknown")
        state = LoopState(**values, best=checkpoint.part("best"))
        state.check(self.settings.max_epochs, self.objective.steps_per_epoch)
        self._check_tensors(checkpoint, state)
        return state

    def _check_tensors(self, checkpoint: Checkpoint, state: LoopState) -> None:
        best = {} if state.best_epoch is None else self.objective.module.state_dict()
        own = layout(self._tensors(LoopState(best=best)))
        theirs = layout(checkpoint.tensors)
        if {n: v for n, v in theirs.items() if not n.startswith("optimizer/")} != own:
            raise ValueError("its tensors have other names, shapes or dtypes")
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        for name, tensor in checkpoint.part("optimizer").items():
            if tensor.shape not in ((), parameters[int(name.split("/")[0])].shape):
                raise ValueError(f"the optimiser's {name} has another shape")


def is_finite(module: nn.Module) -> bool:
    """Say whether every parameter is finite."""
    return bool(torch.stack([p.detach().isfinite().all() for p in module.parameters()]).all())


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}
