"""Likelihoods, and whether a density is one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def integral_2d(
    log_prob: Callable[[np.ndarray], np.ndarray],
    points: np.ndarray,
    *,
    margin: float = 2.0,
    resolution: int = 600,
) -> float:
    """Integrate a density over the plane by the midpoint rule.

    Parameters
    ----------
    log_prob
        (M, 2) -> (M,) in nats.
    points
        Data (N, 2); the grid covers their range.
    margin
        How far the grid goes beyond the range on each side, in ranges.
    resolution
        Cells per axis.

    Returns
    -------
    float
        Near 1 for a density whose mass lies on the grid and is smooth at its scale.

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
    x, y = (low[:, None] + step[:, None] * (np.arange(resolution) + 0.5)).tolist()
    total = 0.0
    for row in y:  # a row at a time keeps memory small
        total += float(np.exp(log_prob(np.column_stack([x, np.full(resolution, row)]))).sum())
    return total * float(step.prod())


def plane(points: np.ndarray, resolution: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return grid lines x, y around the points, and the grid's nodes (resolution^2, 2)."""
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.15 * (high - low)
    x, y = np.linspace(low - margin, high + margin, resolution).T
    return x, y, np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
