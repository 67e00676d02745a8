"""Spline flows that start at given Gaussians."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from mixflow.flows.bijection import Bijection, Chain
from mixflow.flows.networks import BankLinear
from mixflow.flows.permutation import Permutation
from mixflow.flows.row_networks import RowNetwork
from mixflow.flows.spline_coupling import SplineCoupling
from mixflow.flows.whitening import Whitening

# Of K Gaussians, (K, D) and (K, D, D), and a generator: the flows that start from them.
StartedFlow = Callable[[Tensor, Tensor, torch.Generator], Bijection]


class StartedSplines(Chain):
    r"""Whiten by K Gaussians, then bend by spline couplings that are the identity at first.

    Between the couplings the features change places: in a random order, then that reversed, so
    that two couplings reach every feature. A rotation would mix them, and what is odd about a
    single feature, a spike or an edge, would be hidden from the splines.

    Parameters
    ----------
    means, factors
        Of the Gaussians, see :class:`Whitening`.
    generator
        Of the CPU; draws the orders and the networks.
    n_layers, n_bins, bound
        Number of couplings; J and B of their splines, see :class:`SplineCoupling`.
    hidden_features, hidden_layers, dropout
        Of the networks, see :class:`RowNetwork`.
    """

    def __init__(
        self,
        means: Tensor,
        factors: Tensor,
        generator: torch.Generator,
        *,
        n_layers: int = 4,
        n_bins: int = 8,
        bound: float = 4.0,
        hidden_features: int = 32,
        hidden_layers: int = 2,
        dropout: float = 0.2,
    ) -> None:
        k, d = means.shape
        layers: list[Bijection] = [Whitening(means, factors)]
        for i in range(n_layers):
            network = _Conditioner(
                k,
                d // 2,
                (3 * n_bins - 1) * (d - d // 2),
                generator,
                sizes=(hidden_features,) * hidden_layers,
                bound=bound,
                dropout=dropout,
            )
            order = Permutation(k, (d,), generator=None if i % 2 else generator)
            layers += [order, SplineCoupling(k, (d,), network, n_bins=n_bins, bound=bound)]
        super().__init__(layers)


class _Conditioner(RowNetwork):
    """A row network whose start a generator draws, not torch's global one."""

    def __init__(
        self,
        k: int,
        n_in: int,
        n_out: int,
        generator: torch.Generator,
        *,
        sizes: tuple[int, ...],
        **how: Any,
    ) -> None:
        super().__init__(k, 0, n_out, **how)  # without inputs nothing is drawn
        if not n_in:
            return
        widths = (n_in, *sizes)
        self.hidden = nn.ModuleList(
            BankLinear(k, a, b, generator=generator)
            for a, b in zip(widths[:-1], widths[1:], strict=True)
        )
        self.out = BankLinear(k, widths[-1], n_out, zero=True)
