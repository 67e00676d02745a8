"""A flow that all components share."""

from __future__ import annotations

import torch
from torch import Tensor

from mixflow.flows.bijection import Bijection


class Shared(Bijection):
    """Let K components go through one flow: a trunk, before each goes its own way.

    Parameters
    ----------
    bijection
        A bank of one.
    n_components
        K.

    Raises
    ------
    ValueError
        If the bank holds more than one flow.
    """

    def __init__(self, bijection: Bijection, n_components: int) -> None:
        if bijection.n_components != 1:
            raise ValueError(f"a shared flow is a bank of 1, got one of {bijection.n_components}")
        super().__init__(n_components, bijection.event_shape, bijection.latent_shape)
        self.bijection = bijection

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z, log_det = self.bijection._forward(x.flatten(0, 1)[None])
        return z.view(*x.shape[:2], *self.latent_shape), log_det.view(x.shape[:2])

    def _inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        x, log_det = self.bijection._inverse(z.flatten(0, 1)[None])
        return x.view(*z.shape[:2], *self.event_shape), log_det.view(z.shape[:2])

    def _initialize(self, x: Tensor) -> Tensor:
        z = self.bijection._initialize(x.flatten(0, 1)[None])
        return z.view(*x.shape[:2], *self.latent_shape)


def shared_names(module: torch.nn.Module) -> set[str]:
    """Return the names of the tensors that belong to no component, for a bank's rows."""
    return {
        f"{prefix}.{name}" if prefix else name
        for prefix, part in module.named_modules()
        if isinstance(part, Shared)
        for name in part.state_dict()
    }
