"""Arrays of features, checked, and distances between them."""

from __future__ import annotations

import numbers

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist

Features = NDArray[np.float64]


def pair(real: ArrayLike, generated: ArrayLike) -> tuple[Features, Features]:
    """Return features of real and generated samples, (N, F) and (M, F), as float64.

    Raises
    ------
    ValueError
        Not two matrices of equal width, fewer than two samples of either, NaN or infinity.
    """
    x, y = matrix(real, "real"), matrix(generated, "generated")
    if x.shape[1] != y.shape[1]:
        raise ValueError(
            f"real and generated need equally many features, got {x.shape} and {y.shape}; take "
            "them from the same network"
        )
    return x, y


def matrix(values: ArrayLike, name: str) -> Features:
    """Return a float64 matrix of at least two lines, all finite.

    Raises
    ------
    ValueError
        If it is not one; the message begins with the name.
    """
    checked = np.asarray(values, dtype=np.float64)
    if checked.ndim != 2 or checked.shape[1] == 0:
        raise ValueError(f"{name} must have shape (N, F), one line a sample, got {checked.shape}")
    if len(checked) < 2:
        raise ValueError(f"{name} needs at least 2 samples, got {len(checked)}")
    bad = int((~np.isfinite(checked)).any(axis=1).sum())
    if bad:
        raise ValueError(f"{name} holds NaN or infinity in {bad} of {len(checked)} samples")
    return checked


def check_whole(name: str, value: int, low: int, high: int) -> None:
    """Raise ``ValueError`` unless the value is a whole number in low ... high."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise ValueError(f"{name} must be a whole number, got {value!r}")
    if not low <= value <= high:
        raise ValueError(
            f"{name} must lie in {low} ... {high} for this many samples, got {value!r}"
        )


def squared_distances(x: Features, y: Features) -> Features:
    """Return ||x_n - y_m||^2, (N, M)."""
    # Differences, not norms and products: equal samples are at exactly 0.
    distances: Features = cdist(x, y, "sqeuclidean")
    return distances
