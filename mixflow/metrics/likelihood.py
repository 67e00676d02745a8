"""Likelihoods, and whether a density is one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.ndimage import binary_dilation

# Mass that the cells left undivided may hold together; divisions of a cell per axis; points at
# once, which keeps memory small.
NEGLIGIBLE, DIVISIONS, BATCH = 1e-4, (2, 4, 8), 4096


def integral_2d(
    log_prob: Callable[[np.ndarray], np.ndarray],
    points: np.ndarray,
    *,
    margin: float = 2.0,
    resolution: int = 400,
    tolerance: float = 1e-4,
) -> float:
    """Integrate a density over the plane by the midpoint rule, finer where its mass is.

    Cells that hold mass, and those beside them, are divided into 2 x 2, 4 x 4, 8 x 8, until that
    changes the integral by less than ``tolerance``: a flow's density has ridges thinner than
    the cells of a grid over the whole plane.

    Parameters
    ----------
    log_prob
        (M, 2) -> (M,) in nats.
    points
        Data (N, 2); the grid covers their range.
    margin
        How far the grid goes beyond the range on each side, in ranges.
    resolution
        Cells per axis, to begin with.
    tolerance
        Of the integral, between one division and the next.

    Returns
    -------
    float
        Near 1 for a density whose mass lies on the grid.

    Raises
    ------
    ValueError
        If the points are not (N, 2).
    """
    points = np.asarray(points, dtype=float)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"points must have shape (N, 2), got {points.shape}")
    low, high = points.min(axis=0), points.max(axis=0)
    low, high = low - margin * (high - low), high + margin * (high - low)
    step = (high - low) / resolution
    nodes = np.stack(np.meshgrid(*[np.arange(resolution) + 0.5] * 2, indexing="ij"), -1)
    centers = low + step * nodes.reshape(-1, 2)
    mass = _mass(log_prob, centers, step)
    holds_mass = (mass > NEGLIGIBLE / mass.size).reshape(resolution, resolution)
    divided = binary_dilation(holds_mass, np.ones((3, 3))).ravel()
    rest, total = mass[~divided].sum(), mass.sum()
    for n in DIVISIONS:
        inside = np.stack(np.meshgrid(*[(np.arange(n) + 0.5) / n - 0.5] * 2), -1).reshape(-1, 2)
        before = total
        total = rest + sum(
            _mass(log_prob, centers[divided] + offset, step / n).sum() for offset in inside * step
        )
        if abs(total - before) < tolerance:
            break
    return float(total)


def _mass(
    log_prob: Callable[[np.ndarray], np.ndarray], centers: np.ndarray, step: np.ndarray
) -> np.ndarray:
    """Return the mass of cells (M,) by the density in their centers (M, 2)."""
    parts = [np.exp(log_prob(centers[i : i + BATCH])) for i in range(0, len(centers), BATCH)]
    return np.concatenate(parts, dtype=float) * step.prod()


def plane(points: np.ndarray, resolution: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return grid lines x, y around the points, and the grid's nodes (resolution^2, 2)."""
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.15 * (high - low)
    x, y = np.linspace(low - margin, high + margin, resolution).T
    return x, y, np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
