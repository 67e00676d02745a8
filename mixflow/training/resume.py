"""Where a fit stands, kept so that it can go on from there."""

from __future__ import annotations

import json
import time
import warnings
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from mixflow.training.checkpoints import (
    Checkpoint,
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


class Saver:
    """Write checkpoints of a fit when they are due, and take one up.

    Parameters
    ----------
    objective, optimizer, settings
        Of the fit; a checkpoint is taken up only when its objective and settings are equal.
    device
        Whose random generator belongs to the state, beside the CPU's.
    """

    def __init__(
        self,
        objective: Objective,
        optimizer: torch.optim.Optimizer,
        settings: LoopSettings,
        device: torch.device,
    ) -> None:
        self.objective, self.optimizer = objective, optimizer
        self.settings, self.device = settings, device
        folder = settings.checkpoint
        self.path = None if folder is None else folder / CHECKPOINT
        # Hashing the data takes a while: only where a checkpoint asks for it.
        self.identity = {} if folder is None else _identity(objective, settings)
        self.generators: dict[str, Tensor] = {}
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
        save_checkpoint(self.path, Checkpoint(tensors, record))
        self.saved = time.monotonic()

    def resume(self) -> LoopState | None:
        """Take up the checkpoint; None, with a warning if it is of another fit, without one."""
        if self.path is None or not self.settings.resume:
            return None
        checkpoint = load_checkpoint(self.path)
        if checkpoint is None or not self._is_ours(checkpoint):
            return None
        self.objective.module.load_state_dict(checkpoint.part("module"))
        load_optimizer_tensors(self.optimizer, checkpoint.part("optimizer"))
        self.objective.load_tensors(checkpoint.part("objective"))
        self.generators = checkpoint.part("generator")
        values = {n: v for n, v in checkpoint.record.items() if n != "identity"}
        return LoopState(**values, best=checkpoint.part("best"))

    def _is_ours(self, checkpoint: Checkpoint) -> bool:
        theirs = checkpoint.record["identity"]
        names = sorted({*theirs, *self.identity})
        differ = [name for name in names if theirs.get(name) != self.identity.get(name)]
        if differ:
            warnings.warn(
                f"ignoring the checkpoint {self.path}: it is of a fit with other "
                f"{', '.join(differ)}; the fit starts anew",
                stacklevel=2,
            )
        return not differ

    def _read_generators(self) -> dict[str, Tensor]:
        states = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(self.device)
        return states

    def restore_generators(self) -> None:
        """Put the random generators back to where the checkpoint left them."""
        torch.set_rng_state(self.generators["cpu"])
        if "cuda" in self.generators and self.device.type == "cuda":
            torch.cuda.set_rng_state(self.generators["cuda"], self.device)


def is_finite(module: nn.Module) -> bool:
    """Say whether every parameter is finite."""
    return bool(torch.stack([p.detach().isfinite().all() for p in module.parameters()]).all())


def _identity(objective: Objective, settings: LoopSettings) -> dict[str, Any]:
    """Return the identities of both, as they read after a passage through JSON."""
    record: dict[str, Any] = json.loads(json.dumps({**settings.identity(), **objective.identity()}))
    return record


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}
