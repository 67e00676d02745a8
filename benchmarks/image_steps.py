"""Training steps of table I's image flows, for the benchmarks that compare kinds of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from companion.em_gm.images.table_1 import Images
from companion.runs.registry import find
from mixflow.mixtures import GenMM
from mixflow.training.muon import Muon

IMAGE_SHAPE = (1, 32, 32)


def config_of(profile: str, **values: Any) -> Images:
    """Return table I's config at a profile, with some values of its own."""
    config = find("em-gm/table-1").configure(profile, **values)
    assert isinstance(config, Images)
    return config


def stepper(mixture: GenMM, batch_size: int, *, muon: bool = False) -> Callable[[], None]:
    """Return a training step, and take the first, which sets what depends on data."""
    x = torch.rand(mixture.n_components, batch_size, *IMAGE_SHAPE) - 0.5
    mixture.flow.initialize(x)
    mixture.train()
    optimizer: torch.optim.Optimizer
    if muon:
        optimizer = Muon(mixture.named_parameters(), lr=1e-4, fused=True)
    else:
        optimizer = torch.optim.AdamW(mixture.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        optimizer.zero_grad()
        (-mixture.log_prob_each(x).mean()).backward()
        optimizer.step()

    step()
    return step
