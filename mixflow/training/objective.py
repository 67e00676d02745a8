"""What the loop climbs, and how: the contract between a method (EM, VI) and the loop."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from mixflow.training.schedules import Schedule

OptimizerName = Literal["adamw", "muon"]


class TrainingDiverged(ArithmeticError):
    """The loss became NaN or infinite; the last checkpoint is still good."""


class Objective:
    """What the loop climbs; EM and VI give one each.

    Attributes
    ----------
    module
        Its parameters move.
    n_components
        Number of parts that share no parameter, when every parameter is a bank of so many rows
        or a multiple, else None; see ``clip_gradients``.
    steps_per_epoch
        Number of optimiser steps in an epoch.
    optimizer, generator
        Set by the loop before the first epoch; None until then. All that an objective draws comes
        from the generator, on the module's device: the loop seeds it for every epoch, so that a
        fit can be repeated, and resumed. The module's dropout layers draw from it too.
    VERSION
        Of how it trains: raised by a change that moves numbers, so that no checkpoint from before
        is taken up.
    """

    VERSION: ClassVar[int] = 1

    module: nn.Module
    n_components: int | None = None
    steps_per_epoch: int
    optimizer: torch.optim.Optimizer | None = None
    generator: torch.Generator | None = None

    def noise_like(self, x: Tensor) -> Tensor:
        """Draw standard normal noise in the shape of x, from the generator."""
        return torch.empty_like(x).normal_(generator=self.generator)

    def noisy(self, x: Tensor, sd: float) -> Tensor:
        """Return x with noise of that sd; x itself, and nothing is drawn, where it is 0."""
        return x + sd * self.noise_like(x) if sd else x

    def update(self, epoch: int, share: float) -> dict[str, float]:
        """Do what comes before an epoch's steps (an E-step); return values for the history."""
        return {}

    def plan(self) -> None:
        """Draw the epoch's batches from the generator."""
        raise NotImplementedError

    def loss(self, step: int) -> Tensor:
        """Return the scalar loss of a step of the planned epoch."""
        batch = self.batch(step)
        if batch is None:
            raise NotImplementedError("an objective gives loss, or batch and loss_of")
        return self.loss_of(*batch)

    def batch(self, step: int) -> tuple[Tensor, ...] | None:
        """Return what the loss of a step needs beside the module: equal shapes in all steps.

        On a GPU such steps run as one CUDA graph. None, for a loss that looks at the step itself.
        """
        return None

    def loss_of(self, *batch: Tensor) -> Tensor:
        """Return the scalar loss of a batch, without reading a number from the device."""
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
        """Put back what ``tensors`` gave: of the same names, shapes and dtypes."""


@dataclass(frozen=True)
class LoopSettings:
    """How to climb.

    Attributes
    ----------
    max_epochs, seed
        Number of epochs; seed of every draw.
    optimizer, learning_rate, betas, weight_decay
        ``"adamw"``, or ``"muon"``, whose steps for the weights of layers are orthogonalised; see
        :class:`mixflow.training.muon.Muon`.
    schedule, warmup, min_learning_rate
        See ``schedules.learning_rate``; the warm-up is in steps.
    clip_value, clip_norm
        See ``schedules.clip_gradients``.
    validate_every, patience
        Epochs between validations; validations without a gain before stopping (None: never).
    stop
        Epoch to end after, on the schedule of ``max_epochs``; None ends with that.
    checkpoint, checkpoint_seconds, resume
        Folder (None: no checkpoints), longest time between two, whether to go on from one.
    progress
        Show a bar with the remaining time.
    """

    max_epochs: int = 100
    seed: int = 0
    optimizer: OptimizerName = "adamw"
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
    stop: int | None = None
    checkpoint: Path | None = None
    checkpoint_seconds: float = 60.0
    resume: bool = True
    progress: bool = False

    def identity(self) -> dict[str, Any]:
        """Return what a checkpoint must share with the fit that goes on from it."""
        how = ("checkpoint", "checkpoint_seconds", "resume", "progress")
        record = {name: value for name, value in asdict(self).items() if name not in how}
        if self.stop is None:
            del record["stop"]  # checkpoints from before it came stay good
        return {**record, "betas": list(self.betas)}
