"""A helper for modules, for the tests that ask for it, and how properties are tested."""

import pytest
import torch
from hypothesis import HealthCheck, settings

# The same few examples in every run, whatever failed before.
settings.register_profile(
    "same every time",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=5,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # ours hold no state
)
settings.load_profile("same every time")


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
