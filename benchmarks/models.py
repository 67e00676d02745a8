"""The same flow in mixflow, normflows and nflows: a linear layer, then couplings.

Every library is used through its public classes and its own ``log_prob``. Each coupling is
affine, conditioned by a ReLU network of the same widths; before it stands a fixed mixing of the
features: a rotation in mixflow, a permutation, which is cheaper, in the others.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mixflow.flows import InvertibleLinear, VectorFlow
from mixflow.mixtures import GenMM


@dataclass(frozen=True)
class Shape:
    """One setting: K flows on D features, N samples each."""

    k: int
    n: int
    d: int = 16
    n_layers: int = 8
    hidden_features: int = 64
    hidden_layers: int = 2


def bank(shape: Shape, k: int | None = None) -> GenMM:
    """Return mixflow's bank of K flows."""
    flow = VectorFlow(
        k or shape.k,
        shape.d,
        n_layers=shape.n_layers,
        hidden_features=shape.hidden_features,
        hidden_layers=shape.hidden_layers,
    )
    return GenMM(flow)


def split(model: GenMM) -> list[GenMM]:
    """Return a bank's flows as K models of one component."""
    return [model.select(torch.tensor([k])) for k in range(model.n_components)]


def normflows_flow(shape: Shape) -> nn.Module:
    """Return one flow of normflows; its density direction runs through the list backwards."""
    import normflows as nf

    half = shape.d // 2
    widths = [half, *[shape.hidden_features] * shape.hidden_layers, 2 * (shape.d - half)]
    flows: list[nn.Module] = []
    for _ in range(shape.n_layers):
        flows.append(nf.flows.AffineCouplingBlock(nf.nets.MLP(widths, init_zeros=True)))
        flows.append(nf.flows.Permute(shape.d, mode="shuffle"))
    flows.append(nf.flows.LULinearPermute(shape.d))
    return nf.NormalizingFlow(nf.distributions.DiagGaussian(shape.d, trainable=False), flows)


class _Net(nn.Module):
    """nflows' MLP; couplings hand a context over that it does not take."""

    def __init__(self, n_in: int, n_out: int, widths: Sequence[int]) -> None:
        super().__init__()
        from nflows.nn.nets import MLP

        self.net = MLP([n_in], [n_out], list(widths))

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self.net(x)


def nflows_flow(shape: Shape) -> nn.Module:
    """Return one flow of nflows."""
    from nflows.distributions import StandardNormal
    from nflows.flows import Flow
    from nflows.transforms import (
        AffineCouplingTransform,
        CompositeTransform,
        LULinear,
        RandomPermutation,
    )

    widths = [shape.hidden_features] * shape.hidden_layers
    half = shape.d // 2
    mask = torch.cat([torch.zeros(half), torch.ones(shape.d - half)])
    layers = [LULinear(shape.d)]
    for _ in range(shape.n_layers):
        layers.append(RandomPermutation(shape.d))
        layers.append(AffineCouplingTransform(mask, lambda a, b: _Net(a, b, widths)))
    return Flow(CompositeTransform(layers), StandardNormal([shape.d]))


PEERS: dict[str, Callable[[Shape], nn.Module]] = {
    "normflows": normflows_flow,
    "nflows": nflows_flow,
}


def installed(name: str) -> bool:
    """Say whether a peer can be imported."""
    return importlib.util.find_spec(name) is not None


def count_parameters(models: Sequence[nn.Module]) -> int:
    """Count parameters, of triangular matrices only the triangle that is used."""
    total = 0
    for model in models:
        total += sum(p.numel() for p in model.parameters())
        for module in model.modules():
            if isinstance(module, InvertibleLinear):
                d = module.event_shape[-1]
                total -= module.n_components * d * (d + 1)
    return total


def multiply_adds(shape: Shape) -> tuple[list[tuple[int, int]], int]:
    """Return the (in, out) of a coupling's products, and the step's floating point operations.

    A multiply-add counts two. A learned product runs three times (forward, and the gradients
    of input and weight), a rotation twice; elementwise work is not counted.
    """
    half = shape.d // 2
    sizes = [half, *[shape.hidden_features] * shape.hidden_layers, 2 * (shape.d - half)]
    products = list(zip(sizes[:-1], sizes[1:], strict=True))
    per_sample = 3 * sum(a * b for a, b in products) + 2 * shape.d**2
    return products, 2 * per_sample * shape.n_layers * shape.n * shape.k
