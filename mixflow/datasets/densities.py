"""Exact log densities of the generated sets: the ceiling for a model fitted to them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from mixflow.datasets.checks import count, finite, positive
from mixflow.datasets.turns import Array, log_normal, wing_log_densities

_CHUNK = 1024  # points at a time
_RESOLVED = 1e10  # a turn by more radians is not resolved in double precision


def pinwheel_log_density(
    x: ArrayLike,
    *,
    n_wings: int = 5,
    radial_std: float = 0.3,
    tangential_std: float = 0.05,
    rate: float = 0.4,
    scale: float = 0.5,
) -> Array:
    """Return the log density of :func:`~mixflow.datasets.pinwheel`, wings equally likely.

    The mean over samples of the wings, equally many of each, is the largest expected
    log-likelihood that any model can have there.

    Parameters
    ----------
    x
        Points (N, 2).
    n_wings, radial_std, tangential_std, rate, scale
        As for the samples; the deviations must be positive.

    Returns
    -------
    numpy.ndarray
        Log density in nats, (N,) float64.

    Raises
    ------
    ValueError
        Points that are not (N, 2) or not finite, or a parameter out of its range.

    Examples
    --------
    >>> from mixflow.datasets import pinwheel
    >>> x, y = pinwheel(4000, random_state=0)
    >>> print(f"{pinwheel_log_density(x).mean():.1f} nats")
    1.1 nats
    """
    each = pinwheel_wing_log_densities(
        x,
        n_wings=n_wings,
        radial_std=radial_std,
        tangential_std=tangential_std,
        rate=rate,
        scale=scale,
    )
    return _mean_density(each)


def pinwheel_wing_log_densities(
    x: ArrayLike,
    *,
    n_wings: int = 5,
    radial_std: float = 0.3,
    tangential_std: float = 0.05,
    rate: float = 0.4,
    scale: float = 0.5,
) -> Array:
    r"""Return log p(x | wing) of a pinwheel; its argmax is the Bayes classifier.

    Turning keeps the norm r of a point, so (u, v) before the turn is
    :math:`r (\cos\psi, \sin\psi)` with one unknown. The point lies at the angle

    .. math:: \varphi = \psi - 2 \pi k / K - rate\, e^{r \cos\psi} \pmod{2 \pi},

    and every solution adds :math:`N(u, v) / |1 + rate\, e^u v|`: the angle of the turn
    depends on u, so areas change, by that factor.

    Parameters
    ----------
    x, n_wings, radial_std, tangential_std, rate, scale
        As for :func:`pinwheel_log_density`.

    Returns
    -------
    numpy.ndarray
        Log densities in nats, (N, n_wings) float64. Where :math:`rate\, e^r` exceeds 50
        only the eight turns nearest to the likeliest place are searched; -inf where it
        exceeds 1e10.

    Raises
    ------
    ValueError
        As for :func:`pinwheel_log_density`.
    """
    points = _points(x) / positive("scale", scale)
    n_wings = count("n_wings", n_wings)
    stds = (positive("radial_std", radial_std), positive("tangential_std", tangential_std))
    rate = finite("rate", rate)
    if rate < 0:  # the mirror image of the opposite rate, where wings count backwards
        points = points * [1.0, -1.0]
    radius, angle = np.hypot(*points.T), np.arctan2(points[:, 1], points[:, 0])
    each = np.full((len(points), n_wings), -np.inf)
    near = np.flatnonzero(radius < math.log(_RESOLVED / abs(rate)) if rate else radius < np.inf)
    for start in range(0, len(near), _CHUNK):
        chunk = near[start : start + _CHUNK]
        each[chunk] = wing_log_densities(radius[chunk], angle[chunk], n_wings, stds, abs(rate))
    each -= 2 * math.log(scale)
    return each[:, -np.arange(n_wings) % n_wings] if rate < 0 else each


def circles_log_density(
    x: ArrayLike, *, radii: Sequence[float] = (0.8, 0.4), noise: float = 0.05
) -> Array:
    """Return the log density of :func:`~mixflow.datasets.circles`, rings equally likely.

    Parameters
    ----------
    x
        Points (N, 2).
    radii, noise
        As for the samples; the noise must be positive.

    Returns
    -------
    numpy.ndarray
        Log density in nats, (N,) float64.

    Raises
    ------
    ValueError
        Points that are not (N, 2) or not finite, or a parameter out of its range.

    Examples
    --------
    >>> from mixflow.datasets import circles
    >>> x, y = circles(4000, random_state=0)
    >>> print(f"{circles_log_density(x).mean():.1f} nats")
    -0.4 nats
    """
    return _mean_density(circles_ring_log_densities(x, radii=radii, noise=noise))


def circles_ring_log_densities(
    x: ArrayLike, *, radii: Sequence[float] = (0.8, 0.4), noise: float = 0.05
) -> Array:
    r"""Return log p(x | ring) of circles; its argmax is the Bayes classifier.

    A signed radius :math:`\rho \sim N(R, \sigma^2)` and a uniform angle give, at the distance
    r from the centre, :math:`(N(r; R, \sigma^2) + N(-r; R, \sigma^2)) / (2 \pi r)`: a negative
    radius lands on the other side. At r = 0 the density is infinite, with next to no mass.

    Parameters
    ----------
    x, radii, noise
        As for :func:`circles_log_density`.

    Returns
    -------
    numpy.ndarray
        Log densities in nats, (N, number of rings) float64.

    Raises
    ------
    ValueError
        As for :func:`circles_log_density`.
    """
    points, std = _points(x), positive("noise", noise)
    if np.ndim(radii) != 1 or not len(radii):
        raise ValueError(f"radii must be a list of one or more numbers, got {radii!r}")
    centres = np.array([positive("radii", radius) for radius in radii])
    r = np.hypot(*points.T)[:, None]
    either = np.logaddexp(log_normal(r, centres, std), log_normal(-r, centres, std))
    with np.errstate(divide="ignore"):
        return either - np.log(2 * np.pi * r)


def _mean_density(each: Array) -> Array:
    """Return the log of the mean over classes of log densities (N, K)."""
    return np.logaddexp.reduce(each, axis=1) - math.log(each.shape[1])


def _points(x: ArrayLike) -> Array:
    """Return points (N, 2) as float64."""
    points = np.asarray(x, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"x must have shape (N, 2), got {points.shape}")
    if not np.isfinite(points).all():
        raise ValueError("x holds NaN or infinity; remove those points")
    return points
