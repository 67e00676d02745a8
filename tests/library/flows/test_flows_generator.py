"""Random starts of flows and networks: from a generator, in float32 on the CPU."""

import pytest
import torch
from torch import nn

from mixflow.estimators.networks import posterior_cnn, posterior_mlp
from mixflow.flows import Glow, GlowLevel, SplineFlow, VectorFlow
from mixflow.mixtures import GenMM, LatMM, VMoNF

BUILD = {"n_steps": 1, "hidden_features": 4, "tone_curve": True, "positional_bias": True}
MODULES = {
    "rotation": lambda **how: VectorFlow(3, 2, n_layers=2, **how),
    "lu": lambda **how: VectorFlow(3, 2, n_layers=2, mixing="lu", dropout=0.1, **how),
    "reverse": lambda **how: VectorFlow(3, 5, n_layers=2, mixing="reverse", **how),
    "one feature": lambda **how: VectorFlow(3, 1, n_layers=1, **how),
    "splines": lambda **how: SplineFlow(3, 5, n_layers=2, **how),
    "splines of one feature": lambda **how: SplineFlow(3, 1, n_layers=2, **how),
    "Glow": lambda **how: Glow(2, (1, 8, 8), n_levels=2, **BUILD, **how),
    "Glow's level": lambda **how: GlowLevel(2, (1, 8, 8), **BUILD, **how),
    "mixture": lambda **how: GenMM(VectorFlow(3, 2, **how)),
    "LatMM": lambda **how: LatMM(VectorFlow(1, 2, **how), 3),
    "VMoNF": lambda **how: VMoNF(GenMM(VectorFlow(3, 2, **how)), nn.Identity()),
    "MLP": lambda **how: posterior_mlp(3, 2, hidden_features=5, hidden_layers=2, **how),
    "CNN": lambda **how: posterior_cnn((1, 8, 8), 2, hidden_features=8, dropout=0.1, **how),
}


def equal(first, second):
    pairs = zip(first.state_dict().items(), second.state_dict().items(), strict=True)
    return all(n == m and torch.equal(s, t) for (n, s), (m, t) in pairs)


@pytest.fixture(params=MODULES)
def build(request):
    return MODULES[request.param]


def test_a_generator_gives_what_the_global_one_gives(build):
    torch.manual_seed(5)
    expected = build()
    before = torch.get_rng_state()
    assert equal(build(generator=torch.Generator().manual_seed(5)), expected)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_defaults_of_torch_do_not_matter(build):
    expected = build(generator=torch.Generator().manual_seed(5))
    torch.set_default_device("meta")
    torch.set_default_dtype(torch.float64)
    try:
        found = build(generator=torch.Generator().manual_seed(5))
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(torch.float32)
    assert equal(found, expected)


def test_posterior_networks_start_as_those_of_torch():
    torch.manual_seed(1)
    plain = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))
    torch.manual_seed(1)
    assert equal(posterior_mlp(3, 2, hidden_features=5, hidden_layers=1), plain)
    torch.manual_seed(2)
    first = nn.Conv2d(1, 4, 3, padding=1)
    torch.manual_seed(2)
    ours = posterior_cnn((1, 8, 8), 2, hidden_features=8, dropout=0.1)[0]
    assert equal(ours, first)
