"""Dropout layers of a fit: torch's stream, from the fit's generator."""

import copy

import pytest
import torch
from torch import nn

from mixflow.flows import SplineFlow
from mixflow.flows.row_networks import Dropout
from mixflow.training.dropout import DropoutFrom


def network(*layers):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 50), *layers, nn.Linear(50, 2))


@pytest.mark.parametrize("layer", [nn.Dropout, Dropout])
@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.9])
def test_the_stream_is_that_of_the_layer(layer, p):
    module, x = network(layer(p)), torch.randn(20, 3)
    torch.manual_seed(7)
    expected = module(x)
    expected.sum().backward()
    gradients = [parameter.grad for parameter in module.parameters()]
    module.zero_grad()
    before = torch.get_rng_state()
    with DropoutFrom(module, torch.Generator().manual_seed(7)).drawing():
        found = module(x)
    found.sum().backward()
    assert torch.equal(found, expected)
    assert all(torch.equal(p.grad, g) for p, g in zip(module.parameters(), gradients, strict=True))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("layer", [nn.Dropout, Dropout])
def test_nothing_is_dropped_in_eval_mode(layer):
    module, x = network(layer(0.5)).eval(), torch.randn(20, 3)
    generator = torch.Generator().manual_seed(7)
    before = generator.get_state()
    with DropoutFrom(module, generator).drawing():
        assert torch.equal(module(x), module(x))
    assert torch.equal(generator.get_state(), before)


@pytest.mark.parametrize("layer", [nn.Dropout(1.0), Dropout(1.0), Dropout(1 - 1e-6)])
def test_everything_may_be_dropped(layer):
    module = nn.Sequential(layer)
    with DropoutFrom(module, torch.Generator()).drawing():
        assert module(torch.ones(5)).tolist() == [0] * 5


def test_afterwards_the_module_is_as_before():
    module = network(nn.Dropout(0.5))
    dropout = DropoutFrom(module, torch.Generator())
    with pytest.raises(RuntimeError), dropout.drawing():
        raise RuntimeError
    assert all("forward" not in vars(part) for part in copy.deepcopy(module).modules())


@pytest.mark.parametrize("layer", [nn.Dropout2d(), nn.AlphaDropout(), nn.RReLU()])
def test_layers_that_draw_in_another_way_are_refused(layer):
    with pytest.raises(ValueError, match=f"use nn.Dropout: {type(layer).__name__} draws from"):
        DropoutFrom(network(layer), torch.Generator())


def test_splines_draw_from_the_generator_alone(perturb):
    generator = torch.Generator().manual_seed(7)
    flow = perturb(SplineFlow(2, 4, n_layers=1, dropout=0.3, generator=generator))
    x = torch.randn(2, 50, 4, generator=generator)
    before = torch.get_rng_state()
    generator.manual_seed(7)
    with DropoutFrom(flow, generator).drawing():
        first, second = flow(x)[0], flow(x)[0]
        assert torch.equal(torch.get_rng_state(), before)
        generator.manual_seed(7)
        assert torch.equal(flow(x)[0], first)
    assert not torch.equal(first, second)
