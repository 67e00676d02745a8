"""The flow for feature vectors."""

from __future__ import annotations

from typing import Literal

import torch

from mixflow.flows.bijection import Bijection, Chain
from mixflow.flows.layers import ActNorm, AffineCoupling, InvertibleLinear, Rotation, Scale
from mixflow.flows.networks import MLP

Mixing = Literal["rotation", "lu", "reverse"]


class VectorFlow(Chain):
    """Map K batches of feature vectors to latents by whitening and coupling steps.

    The first layer whitens (see :meth:`Bijection.initialize`), so that a flow starts at the
    full-covariance Gaussian of its data; each step then mixes the features and couples them.

    Parameters
    ----------
    n_components
        K, the number of flows in the bank.
    n_features
        D. With D = 1 there is nothing to condition on: the flow is affine.
    n_layers
        Number of coupling steps.
    hidden_features, hidden_layers
        Width and depth of each coupling's network.
    mixing
        What stands before each coupling: a fixed random ``"rotation"``, a learned ``"lu"``
        matrix (with ActNorm: Glow's step), or ``"reverse"`` order (RealNVP's).
    scale
        The coupling's scale function, see :class:`AffineCoupling`.
    dropout
        Share of hidden units dropped while training.
    reg_covar
        Ridge of the whitening, in squared units of x.
    generator
        Draws rotations and weights, see :class:`Bijection`.

    Raises
    ------
    ValueError
        If a count is below 1 (``n_layers`` below 0) or the mixing is unknown.

    Examples
    --------
    >>> import torch
    >>> flow = VectorFlow(3, 2)
    >>> z, log_det = flow(torch.zeros(3, 5, 2))
    >>> z.shape, log_det.shape
    (torch.Size([3, 5, 2]), torch.Size([3, 5]))
    """

    def __init__(
        self,
        n_components: int,
        n_features: int,
        *,
        n_layers: int = 8,
        hidden_features: int = 32,
        hidden_layers: int = 2,
        mixing: Mixing = "rotation",
        scale: Scale = "tanh",
        dropout: float = 0.0,
        reg_covar: float = 1e-4,
        generator: torch.Generator | None = None,
    ) -> None:
        if n_layers < 0 or min(hidden_features, hidden_layers) < 1:
            raise ValueError(
                "VectorFlow needs n_layers >= 0, hidden_features >= 1 and hidden_layers >= 1, got "
                f"{n_layers}, {hidden_features} and {hidden_layers}"
            )
        k, event = n_components, (n_features,)
        layers: list[Bijection] = [InvertibleLinear(k, event, whiten=True, reg_covar=reg_covar)]
        for _ in range(n_layers):
            n_first = n_features // 2
            network = MLP(
                k,
                n_first,
                2 * (n_features - n_first),
                hidden_features=hidden_features,
                hidden_layers=hidden_layers,
                dropout=dropout,
                generator=generator,
            )
            coupling = AffineCoupling(k, event, network, scale=scale)
            layers += [*_mixers(mixing, k, event, generator), coupling]
        super().__init__(layers)


def _mixers(
    mixing: Mixing, k: int, event_shape: tuple[int, ...], generator: torch.Generator | None
) -> list[Bijection]:
    if mixing == "lu":
        return [ActNorm(k, event_shape), InvertibleLinear(k, event_shape, generator=generator)]
    if mixing in ("rotation", "reverse"):
        return [Rotation(k, event_shape, reverse=mixing == "reverse", generator=generator)]
    raise ValueError(f"mixing must be 'rotation', 'lu' or 'reverse', got {mixing!r}")
