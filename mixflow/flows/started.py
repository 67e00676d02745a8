"""Spline flows that start at given Gaussians."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mixflow.flows.bijection import Bijection, Chain
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
            network = RowNetwork(
                k,
                d // 2,
                (3 * n_bins - 1) * (d - d // 2),
                bound=bound,
                hidden_features=hidden_features,
                hidden_layers=hidden_layers,
                dropout=dropout,
                generator=generator,
            )
            order = Permutation(k, (d,), generator=None if i % 2 else generator)
            layers += [order, SplineCoupling(k, (d,), network, n_bins=n_bins, bound=bound)]
        super().__init__(layers)
