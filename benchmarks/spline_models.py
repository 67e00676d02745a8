"""Neural spline flows of the same size in mixflow, zuko, normflows, nflows and flowjax.

Every flow has 8 bins between -4 and 4 and conditioners of two ReLU layers of 32. Couplings have
four layers, each after a mixing of the features; zuko's NSF is autoregressive: it transforms all
features in every layer where a coupling transforms half, and has three layers by default.

A peer gives a step (forward, backward, AdamW) for K flows on (K, N, D), and its draws; the loops
have one optimiser for all flows and a backward pass per flow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mixflow.flows import SplineFlow
from mixflow.mixtures import GenMM

Run = Callable[[], Any]
BINS, BOUND, WIDTHS, COUPLINGS, RATE = 8, 4.0, (32, 32), 4, 1e-4


@dataclass(frozen=True)
class Shape:
    """K flows on D features, N samples each."""

    k: int
    n: int
    d: int = 16

    def data(self) -> Tensor:
        return torch.randn(self.k, self.n, self.d, generator=torch.Generator().manual_seed(0))


def bank(shape: Shape, **settings: Any) -> GenMM:
    """Return mixflow's bank of K flows, whitened by its data."""
    mixture = GenMM(
        SplineFlow(
            shape.k,
            shape.d,
            n_layers=COUPLINGS,
            n_bins=BINS,
            bound=BOUND,
            hidden_features=WIDTHS[0],
            hidden_layers=len(WIDTHS),
            **settings,
        )  # fmt: skip
    )
    mixture.initialize(shape.data())
    return mixture


def adamw(parameters: Any) -> torch.optim.AdamW:
    return torch.optim.AdamW(list(parameters), lr=RATE, fused=True)


def bank_step(shape: Shape, **settings: Any) -> Run:
    """Return a training step of the bank."""
    mixture, x = bank(shape, **settings), shape.data()
    optimizer = adamw(mixture.parameters())

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        (-mixture.log_prob_each(x).mean(1).sum()).backward()
        optimizer.step()

    return step


class ZukoFlow(nn.Module):
    """zuko's NSF as a module with ``log_prob`` and ``sample``."""

    def __init__(self, d: int, transforms: int) -> None:
        super().__init__()
        from zuko.flows import NSF

        self.flow = NSF(d, transforms=transforms, bins=BINS, hidden_features=WIDTHS)

    def log_prob(self, x: Tensor) -> Tensor:
        return self.flow().log_prob(x)

    def sample(self, n: int) -> Tensor:
        return self.flow().sample((n,))

    forward = log_prob


def normflows_flow(d: int) -> nn.Module:
    """Return a flow of normflows, whose residual blocks have two layers each."""
    import normflows as nf

    flows: list[nn.Module] = []
    for _ in range(COUPLINGS):
        flows.append(
            nf.flows.CoupledRationalQuadraticSpline(
                d, len(WIDTHS) // 2, WIDTHS[0], num_bins=BINS, tail_bound=BOUND
            )
        )
        flows.append(nf.flows.LULinearPermute(d))
    return nf.NormalizingFlow(nf.distributions.DiagGaussian(d, trainable=False), flows)


def nflows_flow(d: int) -> nn.Module:
    """Return a flow of nflows."""
    from nflows import transforms as t
    from nflows.distributions import StandardNormal
    from nflows.flows import Flow

    from benchmarks.models import _Net

    mask = torch.cat([torch.zeros(d // 2), torch.ones(d - d // 2)])
    layers: list[nn.Module] = [t.LULinear(d)]
    for _ in range(COUPLINGS):
        layers.append(t.RandomPermutation(d))
        layers.append(
            t.PiecewiseRationalQuadraticCouplingTransform(
                mask,
                lambda a, b: _Net(a, b, WIDTHS),
                num_bins=BINS,
                tails="linear",
                tail_bound=BOUND,
            )  # fmt: skip
        )
    return Flow(t.CompositeTransform(layers), StandardNormal([d]))


def loop_step(flows: Sequence[nn.Module], x: Tensor) -> Run:
    """Return a step of K flows, one after the other."""
    optimizer = adamw(p for flow in flows for p in flow.parameters())

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        for flow, part in zip(flows, x, strict=True):
            (-flow.log_prob(part).mean()).backward()
        optimizer.step()

    return step


def stacked_step(flows: Sequence[nn.Module], x: Tensor) -> Run:
    """Return a step of K flows whose weights are stacked, under ``torch.vmap``."""
    parameters, buffers = torch.func.stack_module_state(list(flows))
    optimizer = adamw(parameters.values())

    def log_prob(weights: dict[str, Tensor], constants: dict[str, Tensor], part: Tensor) -> Tensor:
        return torch.func.functional_call(flows[0], (weights, constants), (part,))

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        (-torch.vmap(log_prob)(parameters, buffers, x).mean(1).sum()).backward()
        optimizer.step()

    return step


def flowjax_step(shape: Shape) -> Run:
    """Return a compiled step of K flows of flowjax under ``vmap``."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    import optax
    from flowjax.bijections import RationalQuadraticSpline
    from flowjax.distributions import Normal
    from flowjax.flows import coupling_flow
    from paramax import NonTrainable, unwrap

    def build(key: Any) -> Any:
        return coupling_flow(
            key, base_dist=Normal(jnp.zeros(shape.d)), flow_layers=COUPLINGS,
            transformer=RationalQuadraticSpline(knots=BINS, interval=BOUND),
            nn_width=WIDTHS[0], nn_depth=len(WIDTHS),
        )  # fmt: skip

    def is_fixed(leaf: Any) -> bool:
        return isinstance(leaf, NonTrainable)

    flows = eqx.filter_vmap(build)(jax.random.split(jax.random.key(0), shape.k))
    parameters, fixed = eqx.partition(flows, eqx.is_inexact_array, is_leaf=is_fixed)
    optimizer, x = optax.adamw(RATE), jnp.asarray(shape.data().numpy())

    def loss(values: Any) -> Any:
        def of_one(flow: Any, part: Any) -> Any:
            return -unwrap(flow).log_prob(part).mean()

        return eqx.filter_vmap(of_one)(eqx.combine(values, fixed), x).sum()

    @eqx.filter_jit
    def update(values: Any, state: Any) -> Any:
        gradients = jax.grad(loss)(values)
        updates, state = optimizer.update(gradients, state, values)
        return eqx.apply_updates(values, updates), state

    held = [parameters, optimizer.init(parameters)]

    def step() -> None:
        held[:] = jax.block_until_ready(update(*held))

    return step
