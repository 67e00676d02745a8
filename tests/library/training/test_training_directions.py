"""The main direction: torch's randomised decomposition, with a generator."""

import pytest
import torch

from mixflow.training.directions import main_direction


@pytest.mark.parametrize("shape", [(50, 3), (3, 50), (200, 64), (20, 64), (6, 6), (2, 9), (9, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_is_what_torch_finds(shape, dtype):
    x = torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(4)
    expected = torch.svd_lowrank(x, min(6, *shape), niter=4)[2][:, 0]
    before = torch.get_rng_state()
    assert torch.equal(main_direction(x, torch.Generator().manual_seed(4)), expected)
    assert torch.equal(torch.get_rng_state(), before)


def test_it_is_where_samples_vary():
    direction = torch.tensor([0.6, 0.8, 0.0])
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(300, 1, generator=generator) * direction
    x += 0.01 * torch.randn(300, 3, generator=generator)
    assert abs(main_direction(x, generator) @ direction) > 0.999
