"""Whether a density integrates to 1."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import binary_dilation

from mixflow.validation import (
    as_array,
    as_real,
    check_between,
    check_whole,
    refuse,
)

# Mass that the cells left undivided may hold together; divisions of a cell per axis; points at
# once, which keeps memory small.
NEGLIGIBLE, DIVISIONS, BATCH = 1e-4, (2, 4, 8), 4096
# The hyperbolic sine of this, in half ranges, is as far as densities are looked at: 1e43.
FARTHEST = 100.0


def integral_2d(
    log_prob: Callable[[np.ndarray], np.ndarray],
    points: ArrayLike,
    *,
    resolution: int = 400,
    tolerance: float = 1e-4,
) -> float:
    r"""Integrate a density over the whole plane by the midpoint rule, finer where its mass is.

    Every axis is mapped to (-1, 1) by :math:`x = c + h \sinh(u / (1 - u^2))` with the middle c
    and half the range h of the points, so that the heavy tails of flows are counted too. Cells
    that hold mass, and those beside them, are divided into 2 x 2, 4 x 4, 8 x 8, until that
    changes the integral by less than ``tolerance``: a flow's density has ridges thinner than
    the cells.

    Parameters
    ----------
    log_prob
        (M, 2) -> (M,) in nats, -inf where the density is 0.
    points
        Data (N, 2), two or more: where the density is, and how wide.
    resolution
        Cells per axis, to begin with; more than half of them lie in the range of the points.
    tolerance
        Of the integral, between one division and the next; greater than 0.

    Returns
    -------
    float
        0 or more, near 1 for a density.

    Raises
    ------
    ValueError
        Points that are not (N, 2), masked, NaN or infinite, or that have no width in a
        direction; log densities that are NaN or not one for each point; a resolution below 2.

    Notes
    -----
    It looks at a density where samples may have no weight, so it finds what a mean log-likelihood
    cannot: a model that is no density, or one with mass far from all data.

    Examples
    --------
    >>> def square(x):  # uniform on [-1, 1] x [-1, 1]
    ...     return np.where((np.abs(x) < 1).all(axis=1), -np.log(4), -np.inf)
    >>> round(integral_2d(square, [[-1.0, -1.0], [1.0, 1.0]], resolution=100), 2)
    1.0
    """
    checked = as_real(points, "points", "N 2", at_least=2)
    if checked.shape[1] != 2:
        raise ValueError(f"points must have shape (N, 2), got {checked.shape}")
    check_whole("resolution", resolution, 2)
    check_between("tolerance", tolerance, 0, np.inf)
    low, high = checked.min(axis=0), checked.max(axis=0)
    if (low == high).any():
        raise ValueError("points must have a width in both directions, to say where to look")

    def mass(u: np.ndarray, width: float) -> np.ndarray:
        return _mass(log_prob, u, width, (low + high) / 2, (high - low) / 2)

    width = 2 / resolution
    axis = -1 + width * (np.arange(resolution) + 0.5)
    centers = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    whole = mass(centers, width)
    holds_mass = (whole > NEGLIGIBLE / whole.size).reshape(resolution, resolution)
    divided = binary_dilation(holds_mass, np.ones((3, 3))).ravel()
    rest, total = whole[~divided].sum(), whole.sum()
    for n in DIVISIONS:
        inside = np.stack(np.meshgrid(*[(np.arange(n) + 0.5) / n - 0.5] * 2), -1).reshape(-1, 2)
        before = total
        total = rest + sum(
            mass(centers[divided] + offset, width / n).sum() for offset in width * inside
        )
        if abs(total - before) < tolerance:
            break
    return float(total)


def _mass(
    log_prob: Callable[[np.ndarray], np.ndarray],
    u: np.ndarray,
    width: float,
    middle: np.ndarray,
    half: np.ndarray,
) -> np.ndarray:
    """Return the mass of square cells (M,) from the density in their centers (M, 2)."""
    t = (u / (1 - u**2)).clip(-FARTHEST, FARTHEST)
    x = middle + half * np.sinh(t)
    slope = (half * np.cosh(t) * (1 + u**2) / (1 - u**2) ** 2).prod(1)
    parts = [np.exp(_checked(log_prob, x[i : i + BATCH])) for i in range(0, len(x), BATCH)]
    return np.concatenate(parts, dtype=float) * slope * width**2


def _checked(log_prob: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> np.ndarray:
    """Return the log densities (M,) of points (M, 2), as they come."""
    values = as_array(log_prob(x), "log_prob")
    if values.shape != (len(x),):
        raise ValueError(
            f"log_prob must give shape {(len(x),)} for {len(x)} points, gave {values.shape}"
        )
    refuse(np.isnan(values), "log_prob", "NaN")
    return values


def plane(points: np.ndarray, resolution: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return grid lines x, y around the points, and the grid's nodes (resolution^2, 2)."""
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.15 * (high - low)
    x, y = np.linspace(low - margin, high + margin, resolution).T
    return x, y, np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
