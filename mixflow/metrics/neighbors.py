"""What the nearest neighbours of real and generated samples say about the generated ones.

Each function takes features of both, one line a sample, and holds a matrix of distances: 8 N^2
bytes for N samples a side.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.distance import cdist

from mixflow.validation import Real, check_whole, pair


class NearestNeighborAccuracy(NamedTuple):
    """Shares of samples whose nearest neighbour is of their own kind, each in [0, 1].

    Attributes
    ----------
    overall
        Of all samples; 0.5 is what equal distributions give when there are equally many.
    real, generated
        Of the real and of the generated ones alone. Real ones near 0 with generated ones
        near 1 say that the generated ones crowd around a few places.
    """

    overall: float
    real: float
    generated: float


class DensityCoverage(NamedTuple):
    """Density, of 0 or more, and coverage, in [0, 1]."""

    density: float
    coverage: float


class PrecisionRecall(NamedTuple):
    """Precision and recall, each in [0, 1]."""

    precision: float
    recall: float


def nearest_neighbor_accuracy(real: ArrayLike, generated: ArrayLike) -> NearestNeighborAccuracy:
    """Return the leave-one-out accuracy of a 1-nearest-neighbour classifier, real or generated.

    Parameters
    ----------
    real, generated
        Features (N, F) and (M, F), at least two of each; take N = M, or 0.5 is no longer what
        equal distributions give.

    Returns
    -------
    NearestNeighborAccuracy
        ``overall``, ``real``, ``generated``, each in [0, 1] and best near 0.5: 1 for sets
        apart, near 0.5 for equal distributions, near 0 for copies of the real samples. Of
        several equally near neighbours each counts its share.

    Raises
    ------
    ValueError
        As :func:`mixflow.metrics.frechet_distance`.

    Notes
    -----
    D. Lopez-Paz, M. Oquab, https://arxiv.org/abs/1610.06545; as in GAN-Metrics with k = 1.

    Examples
    --------
    >>> nearest_neighbor_accuracy([[0.0], [0.9]], [[2.0], [2.5]])
    NearestNeighborAccuracy(overall=1.0, real=1.0, generated=1.0)
    """
    x, y = pair(real, generated)
    both = np.concatenate([x, y])
    distances = squared_distances(both, both)
    np.fill_diagonal(distances, np.inf)
    nearest = distances == distances.min(axis=1, keepdims=True)
    among_real = nearest[:, : len(x)].sum(axis=1) / nearest.sum(axis=1)
    right = np.concatenate([among_real[: len(x)], 1 - among_real[len(x) :]])
    return NearestNeighborAccuracy(
        float(right.mean()), float(right[: len(x)].mean()), float(right[len(x) :].mean())
    )


def density_and_coverage(
    real: ArrayLike, generated: ArrayLike, *, n_neighbors: int = 5
) -> DensityCoverage:
    """Return density (are samples where the data are?) and coverage (are all data reached?).

    A ball around each real sample reaches to its k-th nearest other real sample. Density is
    the number of balls that a generated sample lies in, on average, divided by k; coverage is
    the share of balls with at least one generated sample in them.

    Parameters
    ----------
    real, generated
        Features (N, F) and (M, F).
    n_neighbors
        k, from 1 to N - 1.

    Returns
    -------
    DensityCoverage
        ``density``, 0 or more, and ``coverage``, in [0, 1]; higher is better. Equal
        distributions give a density near 1 and a coverage near 1 - 2^(-k) when N = M.

    Raises
    ------
    ValueError
        As :func:`mixflow.metrics.frechet_distance`, and for an impossible `n_neighbors`.

    Notes
    -----
    M. F. Naeem et al., https://arxiv.org/abs/2002.09797, eqs. 5 and 6. Balls are closed.

    Examples
    --------
    >>> density_and_coverage([[0.0], [1.0], [3.0]], [[0.5], [0.7]], n_neighbors=1)
    DensityCoverage(density=2.0, coverage=0.6666666666666666)
    """
    x, y = pair(real, generated)
    inside = squared_distances(x, y) <= _squared_radii(x, n_neighbors)[:, None]
    return DensityCoverage(
        float(inside.sum(axis=0).mean() / n_neighbors), float(inside.any(axis=1).mean())
    )


def precision_and_recall(
    real: ArrayLike, generated: ArrayLike, *, n_neighbors: int = 3
) -> PrecisionRecall:
    """Return improved precision and recall.

    The support of a set is estimated by balls around its samples, each reaching to the k-th
    nearest other sample of the set. Precision is the share of generated samples in the support
    of the real ones, recall the share of real samples in that of the generated ones.

    Parameters
    ----------
    real, generated
        Features (N, F) and (M, F).
    n_neighbors
        k, from 1 to min(N, M) - 1.

    Returns
    -------
    PrecisionRecall
        ``precision`` and ``recall``, each in [0, 1]; higher is better. 1 and 1 for equal sets;
        equal distributions give less than 1.

    Raises
    ------
    ValueError
        As :func:`mixflow.metrics.frechet_distance`, and for an impossible `n_neighbors`.

    Notes
    -----
    T. Kynkäänniemi et al., https://arxiv.org/abs/1904.06991, eqs. 1 and 2.

    Examples
    --------
    >>> precision_and_recall([[0.0], [1.0], [3.0]], [[0.5], [7.0]], n_neighbors=1)
    PrecisionRecall(precision=0.5, recall=1.0)
    """
    x, y = pair(real, generated)
    distances = squared_distances(x, y)
    within_real = distances <= _squared_radii(x, n_neighbors)[:, None]
    within_generated = distances <= _squared_radii(y, n_neighbors)[None, :]
    return PrecisionRecall(
        float(within_real.any(axis=0).mean()), float(within_generated.any(axis=1).mean())
    )


def _squared_radii(x: Real, n_neighbors: int) -> Real:
    """Return the squared distance of each sample to its k-th nearest other one, (N,)."""
    check_whole("n_neighbors", n_neighbors, 1, len(x) - 1)
    # The nearest of all is the sample itself.
    radii: Real = np.partition(squared_distances(x, x), n_neighbors, axis=1)[:, n_neighbors]
    return radii


def squared_distances(x: Real, y: Real) -> Real:
    """Return ||x_n - y_m||^2, (N, F) and (M, F) -> (N, M)."""
    # Differences, not norms and products: equal samples are at exactly 0.
    distances: Real = cdist(x, y, "sqeuclidean")
    return distances
