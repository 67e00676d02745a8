"""Dropout from a fit's own generator: torch's layers draw from the global one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from mixflow.flows.row_networks import Dropout

# What else in torch draws in a forward pass.
OTHERS = (
    *(nn.Dropout1d, nn.Dropout2d, nn.Dropout3d),
    *(nn.AlphaDropout, nn.FeatureAlphaDropout, nn.RReLU),
)


class DropoutFrom:
    """Let a module's dropout layers draw from a generator.

    Parameters
    ----------
    module
        Any module.
    generator
        On the module's device. On a CPU the stream is that of the layers by themselves.

    Raises
    ------
    ValueError
        If a layer draws in another way.
    """

    def __init__(self, module: nn.Module, generator: torch.Generator) -> None:
        parts = list(module.modules())
        for part in parts:
            if isinstance(part, OTHERS):
                raise ValueError(
                    f"use nn.Dropout: {type(part).__name__} draws from torch's global generator, "
                    "so that a fit could be neither repeated nor resumed"
                )
        # torch.compile cannot follow a generator; asking it costs a second where nothing compiles.
        draw = torch.compiler.disable(_dropped) if "torch._dynamo" in sys.modules else _dropped
        # Made once: torch.compile compiles anew for another function.
        self.forwards = {
            part: partial(draw, part, generator) for part in parts if isinstance(part, nn.Dropout)
        }

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """Within, the layers draw so; copies of the module made outside know nothing of it."""
        for part, forward in self.forwards.items():
            part.forward = forward  # type: ignore[method-assign]
        try:
            yield
        finally:
            for part in self.forwards:
                del part.forward


def _dropped(layer: nn.Dropout, generator: torch.Generator, x: Tensor) -> Tensor:
    if isinstance(layer, Dropout):
        return layer.drawn(x, generator)
    if not layer.training or not layer.p:
        return x
    kept = 1 - layer.p
    return x * torch.empty_like(x).bernoulli_(kept, generator=generator).div_(kept or 1.0)
