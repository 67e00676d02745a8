"""Likelihoods, and whether a density is one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.ndimage import binary_dilation

# Mass that the cells left undivided may hold together; divisions of a cell per axis; points at
# once, which keeps memory small.
NEGLIGIBLE, DIVISIONS, BATCH = 1e-4, (2, 4, 8), 4096
# The hyperbolic sine of this, in half ranges, is as far as densities are looked at: 1e43.
FARTHEST = 100.0


def integral_2d(
    log_prob: Callable[[np.ndarray], np.ndarray],
    points: np.ndarray,
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
        (M, 2) -> (M,) in nats.
    points
        Data (N, 2): where the density is, and how wide.
    resolution
        Cells per axis, to begin with; more than half of them lie in the range of the points.
    tolerance
        Of the integral, between one division and the next.

    Returns
    -------
    float
        Near 1 for a density.

    Raises
    ------
    ValueError
        If the points are not (N, 2).
    """
    points = np.asarray(points, dtype=float)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"points must have shape (N, 2), got {points.shape}")
    low, high = points.min(axis=0), points.max(axis=0)

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
    parts = [np.exp(log_prob(x[i : i + BATCH])) for i in range(0, len(x), BATCH)]
    return np.concatenate(parts, dtype=float) * slope * width**2


def plane(points: np.ndarray, resolution: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return grid lines x, y around the points, and the grid's nodes (resolution^2, 2)."""
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.15 * (high - low)
    x, y = np.linspace(low - margin, high + margin, resolution).T
    return x, y, np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
