"""Features in another order."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mixflow.flows.bijection import Bijection


class Permutation(Bijection):
    """Put the features into a fixed order; log_det is 0.

    Parameters
    ----------
    n_components, event_shape
        As for every bijection.
    generator
        Draws an order for each of the K; None reverses.
    """

    def __init__(
        self,
        n_components: int,
        event_shape: Sequence[int],
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(n_components, event_shape)
        self.order: Tensor
        n = event_shape[-1]
        order = torch.arange(n, device="cpu").flip(0).repeat(n_components, 1)
        if generator is not None:
            rows = [torch.randperm(n, generator=generator) for _ in range(n_components)]
            order = torch.stack(rows)
        self.register_buffer("order", order)

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return _reordered(x, self.order), x.new_zeros(x.shape[:2])

    def _inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return _reordered(z, self.order.argsort(1)), z.new_zeros(z.shape[:2])


def _reordered(x: Tensor, order: Tensor) -> Tensor:
    index = order.view(len(order), *(1,) * (x.ndim - 2), -1)
    return x.gather(-1, index.expand_as(x))
