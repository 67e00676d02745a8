"""A helper for modules, for the tests that ask for it."""

import pytest
import torch


@pytest.fixture
def perturb():
    """Move every parameter at random, so that nothing is at its zero start."""

    def move(module, scale=0.1, seed=1):
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in module.parameters():
                noise = torch.randn(parameter.shape, generator=generator, dtype=torch.double)
                parameter += scale * noise.to(parameter)
        return module

    return move
