"""Densities compiled by torch.compile, for fits that are long enough to pay for it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mixflow.flows import Bijection
from mixflow.mixtures.base import Mixture

# Shapes that one kind of layer may come in: those of every level.
MOST_SHAPES = 64


def compiled(mixture: Mixture) -> Callable[[Tensor], Tensor]:
    """Return ``mixture.log_prob_groups``, compiled: of vectors as a whole, of images by layers.

    A flow of images as a whole takes many minutes to compile. Its layers come in few shapes, and
    layers of one shape share what was compiled.
    """
    if len(mixture.event_shape) == 1:
        return torch.compile(mixture.log_prob_groups)
    layers = {
        part: torch.compile(part._forward, dynamic=False)
        for part in mixture.modules()
        if isinstance(part, Bijection) and not _holds_others(part)
    }

    def log_prob(x: Tensor) -> Tensor:
        # Only for this call: copies of the mixture must not hold what was compiled for this one.
        for part, forward in layers.items():
            part._forward = forward  # type: ignore[method-assign]
        try:
            with torch._dynamo.config.patch(recompile_limit=MOST_SHAPES):
                return mixture.log_prob_groups(x)
        finally:
            for part in layers:
                del part._forward

    return log_prob


def _holds_others(part: Bijection) -> bool:
    return any(isinstance(other, Bijection) for other in part.modules() if other is not part)
