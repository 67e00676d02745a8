"""How close generated samples are to real ones, measured on features of both.

Every function takes arrays of features, one line a sample, for instance of the last hidden layer
of a classifier of images, and computes in float64. Those of figures 4 and 5 of EM-GM (Frechet
distance, maximum mean discrepancy, 1-nearest-neighbour accuracy, inception score) follow the
definitions of the framework that the paper cites (https://github.com/xuqiantong/GAN-Metrics;
Q. Xu et al., https://arxiv.org/abs/1806.07755).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import rel_entr

from mixflow.metrics.neighbors import squared_distances
from mixflow.validation import (
    Real,
    as_probabilities,
    check_between,
    check_whole,
    pair,
)


def frechet_distance(real: ArrayLike, generated: ArrayLike, *, root: bool = False) -> float:
    """Return the Frechet distance d^2 between Gaussians fitted to both sets.

    d^2 = ||m_1 - m_2||^2 + tr(C_1 + C_2 - 2 (C_1 C_2)^(1/2)), with sample means m and
    covariances C (divisor N - 1). With the features of an Inception network this is the FID.

    Parameters
    ----------
    real, generated
        Features (N, F) and (M, F), at least two of each.
    root
        Return d instead, which the framework that EM-GM cites calls FID; the original paper
        and all other software mean d^2.

    Returns
    -------
    float
        0 or more, in squared units of the features (units with `root`); lower is better, 0 for
        equal sets.

    Raises
    ------
    ValueError
        Not two matrices of equal width, fewer than two samples, masked values, NaN or infinity.

    Notes
    -----
    M. Heusel et al., https://arxiv.org/abs/1706.08500. The estimate is biased upwards, more
    with fewer samples: compare only numbers from equally many. The trace of the root is the
    sum of the singular values of R_1 R_2^T, where C = R^T R by a QR decomposition of the
    centred features: nothing is squared, so singular covariances lose no digits.

    Examples
    --------
    >>> round(frechet_distance([[-1.0], [1.0]], [[1.0], [5.0]]), 9)
    11.0
    """
    x, y = pair(real, generated)
    shift = x.mean(axis=0) - y.mean(axis=0)
    r_x, r_y = _covariance_root(x), _covariance_root(y)
    overlap = np.linalg.svd(r_x @ r_y.T, compute_uv=False).sum()
    squared = shift @ shift + (r_x**2).sum() + (r_y**2).sum() - 2 * overlap
    squared = max(float(squared), 0.0)  # rounding may go below zero for equal sets
    return math.sqrt(squared) if root else squared


def maximum_mean_discrepancy(
    real: ArrayLike, generated: ArrayLike, *, bandwidth: float = 1.0
) -> float:
    """Return the maximum mean discrepancy with a Gaussian kernel.

    MMD = (mean k(x, x') + mean k(y, y') - 2 mean k(x, y))^(1/2) over all pairs, a sample with
    itself among them (the biased estimate), where
    k(a, b) = exp(-||a - b||^2 / (2 bandwidth^2 s)) and s is the mean of ||x - x'||^2 over all
    pairs of real samples, again with each itself.

    Parameters
    ----------
    real, generated
        Features (N, F) and (M, F), at least two of each.
    bandwidth
        In units of s^(1/2), greater than 0; the framework that EM-GM cites takes 1.

    Returns
    -------
    float
        In [0, sqrt(2)], without a unit; lower is better, 0 for equal sets.

    Raises
    ------
    ValueError
        As :func:`frechet_distance`; a bandwidth that is not finite and above 0; real samples
        that are all equal.

    Notes
    -----
    A. Gretton et al., JMLR 13 (2012), eq. 5, https://jmlr.org/papers/v13/gretton12a.html; the
    scale as in GAN-Metrics.

    Examples
    --------
    >>> value = maximum_mean_discrepancy([[0.0], [1.0]], [[5.0], [6.0]])
    >>> round(value**2, 6), round(1 + math.exp(-1), 6)
    (1.367879, 1.367879)
    """
    x, y = pair(real, generated)
    check_between("bandwidth", bandwidth, 0, math.inf)
    among_real = squared_distances(x, x)
    scale = 2 * bandwidth**2 * among_real.mean()
    if scale == 0:
        raise ValueError("all real samples have equal features: they give the kernel no width")
    within = np.exp(-among_real / scale).mean() + np.exp(-squared_distances(y, y) / scale).mean()
    squared = within - 2 * np.exp(-squared_distances(x, y) / scale).mean()
    return math.sqrt(max(float(squared), 0.0))


def inception_score(probabilities: ArrayLike, *, n_splits: int = 1) -> float:
    """Return the inception score of class probabilities, exp(mean_n KL(p_n || mean p)).

    Parameters
    ----------
    probabilities
        Probability of every class for every generated sample, (N, C), lines that sum to 1.
    n_splits
        The score is the mean over that many parts of consecutive samples, each with its own
        mean p. 1 is what the framework that EM-GM cites does; the original paper takes 10.
        More parts give lower scores: compare equal numbers of parts and samples.

    Returns
    -------
    float
        In [1, C], higher is better: C for sure and balanced classes, 1 where all samples have
        the same probabilities.

    Raises
    ------
    ValueError
        Not a matrix of probabilities, masked values, NaN, or fewer samples than two a part.

    Notes
    -----
    T. Salimans et al., https://arxiv.org/abs/1606.03498. It looks at generated samples alone:
    copies of one sure sample of each class reach C.

    Examples
    --------
    >>> round(inception_score([[1.0, 0.0], [0.0, 1.0]]), 9)
    2.0
    """
    p = as_probabilities(probabilities, "probabilities", at_least=2)
    check_whole("n_splits", n_splits, 1, len(p) // 2)
    p = p / p.sum(axis=1, keepdims=True)
    divergences = [
        rel_entr(part, part.mean(axis=0)).sum(axis=1).mean() for part in np.array_split(p, n_splits)
    ]
    return float(np.exp(divergences).mean())


def _covariance_root(x: Real) -> Real:
    """Return R, (min(N, F), F), with R^T R the covariance of x."""
    root: Real = np.linalg.qr((x - x.mean(axis=0)) / math.sqrt(len(x) - 1))[1]
    return root
