"""Coupling by splines, and the flow for feature vectors that is made of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from mixflow.flows.bijection import Bijection, Chain
from mixflow.flows.layers import InvertibleLinear, Rotation
from mixflow.flows.row_networks import RowNetwork
from mixflow.flows.splines import MIN_SHARE, inverse_spline, spline


class SplineCoupling(Bijection):
    r"""Bend one half of the features by splines that the other half gives (Durkan et al. 2019).

    .. math:: z_a = x_a, \quad z_b = f(x_b; x_a)

    f is a monotone rational-quadratic spline for each feature, and the identity outside [-B, B];
    see :func:`~mixflow.flows.splines.spline`.

    Parameters
    ----------
    n_components
        As for every bijection.
    event_shape
        (D,); the first half (rounded down) conditions the second.
    conditioner
        Network (K, N, a) -> ((3 J - 1) b, K, N), zero at the start: see :class:`RowNetwork`.
    n_bins
        J.
    bound
        B.

    Raises
    ------
    ValueError
        If the event is no vector, or a number is out of its range.
    """

    def __init__(
        self,
        n_components: int,
        event_shape: Sequence[int],
        conditioner: nn.Module,
        *,
        n_bins: int = 8,
        bound: float = 4.0,
    ) -> None:
        super().__init__(n_components, event_shape)
        if len(event_shape) != 1:
            raise ValueError(f"splines couple vectors (D,), got events of {tuple(event_shape)}")
        _check_spline(n_bins, bound)
        self.n_first = event_shape[0] // 2
        self.conditioner = conditioner
        self.n_bins, self.bound = n_bins, bound

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self._couple(spline, x)

    def _inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return self._couple(inverse_spline, z)

    def _couple(
        self, function: Callable[..., tuple[Tensor, Tensor]], x: Tensor
    ) -> tuple[Tensor, Tensor]:
        first, second = x.split([self.n_first, x.shape[2] - self.n_first], dim=2)
        raw = self.conditioner(first).unflatten(0, (3 * self.n_bins - 1, -1))
        bent, log_slope = function(second.permute(2, 0, 1), raw, self.bound)
        return torch.cat([first, bent.permute(1, 2, 0)], dim=2), log_slope.sum(0)


class SplineFlow(Chain):
    """Map K batches of feature vectors to latents by whitening and spline couplings.

    The first layer whitens (see :meth:`Bijection.initialize`), so that a flow starts at the
    full-covariance Gaussian of its data; before each coupling stands a fixed random rotation. In
    whitened coordinates the tails stay that Gaussian's: outside [-B, B] splines are the identity.

    Parameters
    ----------
    n_components
        K, the number of flows in the bank.
    n_features
        D. With D = 1 there is nothing to condition on: every layer is one spline.
    n_layers
        Number of couplings.
    n_bins, bound
        J and B of the splines, see :class:`SplineCoupling`.
    hidden_features, hidden_layers, dropout, mixed_precision
        Of each coupling's network, see :class:`RowNetwork`. The splines are of full precision.
    reg_covar
        Ridge of the whitening, in squared units of x.
    generator
        Draws rotations and weights, see :class:`Bijection`.

    Raises
    ------
    ValueError
        If a number is out of its range.

    Examples
    --------
    >>> import torch
    >>> flow = SplineFlow(3, 2)
    >>> z, log_det = flow(torch.zeros(3, 5, 2))
    >>> z.shape, log_det.shape
    (torch.Size([3, 5, 2]), torch.Size([3, 5]))
    """

    def __init__(
        self,
        n_components: int,
        n_features: int,
        *,
        n_layers: int = 4,
        n_bins: int = 8,
        bound: float = 4.0,
        hidden_features: int = 32,
        hidden_layers: int = 2,
        dropout: float = 0.0,
        mixed_precision: bool = False,
        reg_covar: float = 1e-4,
        generator: torch.Generator | None = None,
    ) -> None:
        if n_layers < 0 or min(hidden_features, hidden_layers) < 1 or not 0 <= dropout < 1:
            raise ValueError(
                "SplineFlow needs n_layers >= 0, hidden_features >= 1, hidden_layers >= 1 and "
                f"0 <= dropout < 1, got {n_layers}, {hidden_features}, {hidden_layers} and "
                f"{dropout}"
            )
        _check_spline(n_bins, bound)
        k, event, n_first = n_components, (n_features,), n_features // 2
        layers: list[Bijection] = [InvertibleLinear(k, event, whiten=True, reg_covar=reg_covar)]
        for _ in range(n_layers):
            network = RowNetwork(
                k,
                n_first,
                (3 * n_bins - 1) * (n_features - n_first),
                bound=bound,
                hidden_features=hidden_features,
                hidden_layers=hidden_layers,
                dropout=dropout,
                mixed_precision=mixed_precision,
                generator=generator,
            )
            coupling = SplineCoupling(k, event, network, n_bins=n_bins, bound=bound)
            layers += [Rotation(k, event, generator=generator), coupling]
        super().__init__(layers)


def _check_spline(n_bins: int, bound: float) -> None:
    if not 2 <= n_bins < 1 / MIN_SHARE:
        raise ValueError(f"n_bins must lie in 2 ... {round(1 / MIN_SHARE) - 1}, got {n_bins}")
    if not 0 < bound < math.inf:
        raise ValueError(f"bound must be positive and finite, got {bound}")
