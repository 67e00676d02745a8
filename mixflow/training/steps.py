"""Optimiser steps: one by one, or, on a GPU, as one CUDA graph that is replayed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mixflow.training.dropout import DropoutFrom
from mixflow.training.muon import Muon
from mixflow.training.objective import LoopSettings, Objective
from mixflow.training.schedules import clip_gradients

# Steps before the capture: they let libraries choose their algorithms and the optimiser its state.
WARM_UP = 3


def new_optimizer(
    objective: Objective, settings: LoopSettings, device: torch.device
) -> torch.optim.Optimizer:
    """Return the optimiser of the objective's parameters; on a GPU one that a graph can hold."""
    on_gpu, rate = device.type == "cuda", settings.learning_rate
    how: dict[str, Any] = {
        # A graph holds numbers as they were at its capture: the rate must be a tensor.
        "lr": torch.tensor(rate, device=device) if on_gpu else rate,
        "betas": settings.betas,
        "weight_decay": settings.weight_decay,
        "fused": True,
        "capturable": on_gpu,
    }
    if settings.optimizer == "muon":
        parts = objective.module.modules()
        mixed = any(getattr(part, "mixed_precision", False) for part in parts)
        dtype = torch.bfloat16 if mixed else None
        return Muon(objective.module.named_parameters(), dtype=dtype, **how)
    return torch.optim.AdamW(objective.module.parameters(), **how)


class Steps:
    """Take optimiser steps: gradient, clipping, update.

    Parameters
    ----------
    objective, optimizer, settings
        Of the fit.
    device
        Of the module. On a GPU, whose time small batches would spend waiting for the next kernel,
        steps of an objective that gives batches of equal shapes are captured once and replayed.
    generator
        On that device; the fit's, which the module's dropout layers draw from in a step.
    """

    def __init__(
        self,
        objective: Objective,
        optimizer: torch.optim.Optimizer,
        settings: LoopSettings,
        device: torch.device,
        generator: torch.Generator,
    ) -> None:
        self.objective, self.optimizer, self.settings = objective, optimizer, settings
        self.parameters = list(objective.module.parameters())
        self.device, self.generator = device, generator
        self.dropout = DropoutFrom(objective.module, generator)
        self.taken = 0
        self.graph: torch.cuda.CUDAGraph | None = None

    def set_rate(self, rate: float) -> None:
        """Set the learning rate of the next step."""
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def take(self, step: int) -> Tensor:
        """Take a step of the planned epoch and return its loss."""
        batch = self.objective.batch(step) if self.device.type == "cuda" else None
        with self.dropout.drawing():
            if batch is None:
                return self._climb(self.objective.loss(step))
            return self._replayed(batch) if self.taken >= WARM_UP else self._warmed(batch)

    def _climb(self, loss: Tensor) -> Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        clip_gradients(
            self.parameters,
            n_components=self.objective.n_components,
            value=self.settings.clip_value,
            norm=self.settings.clip_norm,
        )
        self.optimizer.step()
        return loss.detach()

    def _warmed(self, batch: tuple[Tensor, ...]) -> Tensor:
        """Take a step as any other, on a side stream as the capture asks for."""
        here, side = torch.cuda.current_stream(self.device), torch.cuda.Stream(self.device)
        side.wait_stream(here)
        with torch.cuda.stream(side):
            loss = self._climb(self.objective.loss_of(*batch))
        here.wait_stream(side)
        self.taken += 1
        return loss

    def _replayed(self, batch: tuple[Tensor, ...]) -> Tensor:
        if self.graph is None:
            self.held = tuple(part.clone() for part in batch)
            self.graph = torch.cuda.CUDAGraph()
            # A graph that knows a generator draws anew from it in every replay.
            self.graph.register_generator_state(self.generator)
            with torch.cuda.graph(self.graph):
                self.held_loss = self._climb(self.objective.loss_of(*self.held))
        for held, new in zip(self.held, batch, strict=True):
            held.copy_(new)
        self.graph.replay()
        return self.held_loss
