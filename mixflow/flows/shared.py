"""Flows that several components share."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from mixflow.flows.bijection import Bijection, spread


class Shared(Bijection):
    """Let K components go through a bank of R flows, K / R consecutive components through each.

    With R = 1 all components share one flow, before each goes its own way.

    Parameters
    ----------
    bijection
        A bank of R.
    n_components
        K, a multiple of R.

    Raises
    ------
    ValueError
        If it is no multiple.
    """

    def __init__(self, bijection: Bijection, n_components: int) -> None:
        rows = bijection.n_components
        if n_components % rows:
            raise ValueError(
                f"{n_components} components cannot share {rows} flows evenly; take a multiple"
            )
        super().__init__(n_components, bijection.event_shape, bijection.latent_shape)
        self.bijection = bijection

    @property
    def top_shape(self) -> tuple[int, ...]:
        """Shape of the shared flow's top latents."""
        return self.bijection.top_shape

    def rows(self, index: Tensor) -> Tensor:
        """Return which flows stay when components do, int64: (K',) -> (R',).

        A flow is repeated where its components come apart in the index, and no more than that.
        """
        flow = index // (self.n_components // self.bijection.n_components)
        runs = torch.unique_consecutive(flow, return_counts=True)[1]
        return flow[:: math.gcd(*runs.tolist())]

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self._forward_groups(x)

    def _forward_groups(self, x: Tensor) -> tuple[Tensor, Tensor]:
        rows = self.bijection.n_components
        if rows % len(x) and len(x) % rows:
            x = spread(x, self.n_components)
        if len(x) <= rows:
            z, log_det = self.bijection._forward_groups(x)
        else:
            z, log_det = self.bijection._forward(_merged(x, rows))
            z, log_det = z.view(*x.shape[:2], *self.latent_shape), log_det.view(x.shape[:2])
        return spread(z, self.n_components), spread(log_det, self.n_components)

    def _inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        x, log_det = self.bijection._inverse(_merged(z, self.bijection.n_components))
        return x.view(*z.shape[:2], *self.event_shape), log_det.view(z.shape[:2])

    def _initialize(self, x: Tensor) -> Tensor:
        z = self.bijection._initialize(_merged(x, self.bijection.n_components))
        return z.view(*x.shape[:2], *self.latent_shape)


def _merged(x: Tensor, n_rows: int) -> Tensor:
    """Join the batches of consecutive rows: (K, N, ...) -> (n_rows, K / n_rows N, ...)."""
    return x.reshape(n_rows, -1, *x.shape[2:])


def rows_of_parts(module: nn.Module, index: Tensor) -> Iterator[tuple[nn.Module, Tensor]]:
    """Yield every part of a bank with the rows of its own bank that the components need."""
    inner = module.rows(index) if isinstance(module, Shared) else index
    children = [*module.children()]
    yield module, index
    for child in children:
        yield from rows_of_parts(child, inner)
