"""GMM-basis: other density estimators on the same points, judged by the same loss.

Estimators of their own take one target's points (N,) and the grid's borders (n + 1,) and return
the estimated distribution at the borders. Others learn weights of the paper's basis from counts.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import nnls
from scipy.special import ndtr

from mixflow import basis

Estimator = Callable[[np.ndarray, np.ndarray], np.ndarray]

ISJ_CELLS = 1024
EM_TOLERANCE = 1e-5  # scikit-learn's default, 1e-3, stops far from the maximum here
BIC_TOLERANCE = 1e-4  # to compare numbers of components; the chosen one is fitted again
LIKELIHOOD_STEPS = 500  # of EM on the weights: near enough to the maximum
_MOST_COMPONENTS = 12


def estimators() -> dict[tuple[str, str], Estimator]:
    """Return (model, setting without n and N) -> estimator."""
    return {
        ("EM-GMM", "k=8"): em_gmm,
        ("EM-GMM", "k by BIC"): em_gmm_bic,
        ("KDE", "Scott"): kde_scott,
        ("KDE", "Silverman"): kde_silverman,
        ("KDE", "ISJ"): kde_isj,
    }


def em_gmm(x: np.ndarray, borders: np.ndarray, k: int = 8) -> np.ndarray:
    """Fit scikit-learn's Gaussian mixture with k components."""
    model = _fit_gmm(x, k, EM_TOLERANCE)
    z = (borders[:, None] - model.means_[:, 0]) / np.sqrt(model.covariances_)
    return np.asarray(ndtr(z) @ model.weights_)


def em_gmm_bic(x: np.ndarray, borders: np.ndarray) -> np.ndarray:
    """Fit mixtures of 1, 2, ... components until BIC has risen twice; take the best."""
    best, least, rises = 1, np.inf, 0
    for k in range(1, _MOST_COMPONENTS + 1):
        bic = _fit_gmm(x, k, BIC_TOLERANCE).bic(x[:, None])
        best, least, rises = (k, bic, 0) if bic < least else (best, least, rises + 1)
        if rises == 2:
            break
    return em_gmm(x, borders, best)


def _fit_gmm(x: np.ndarray, k: int, tolerance: float) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    # In one dimension all kinds of covariance are the same; the spherical one is fastest.
    settings = {"covariance_type": "spherical", "max_iter": 2000, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return GaussianMixture(k, tol=tolerance, **settings).fit(x[:, None])


def kde_scott(x: np.ndarray, borders: np.ndarray) -> np.ndarray:
    """Gaussian kernels of sd 1.06 sigma N^(-1/5), sigma the sample's (Scott 1992)."""
    return _kde_cdf(x, borders, 1.06 * x.std() * len(x) ** -0.2)


def kde_silverman(x: np.ndarray, borders: np.ndarray) -> np.ndarray:
    """Gaussian kernels of sd 0.9 min(sigma, IQR / 1.34) N^(-1/5) (Silverman 1986)."""
    quartiles = np.quantile(x, [0.25, 0.75])
    spread = min(x.std(), (quartiles[1] - quartiles[0]) / 1.34)
    return _kde_cdf(x, borders, 0.9 * spread * len(x) ** -0.2)


def kde_isj(x: np.ndarray, borders: np.ndarray) -> np.ndarray:
    """Gaussian kernels with the improved Sheather-Jones bandwidth of a fine grid."""
    low, high = x.min(), x.max()
    counts, _ = basis.bin_counts(x[:, None], low, high, ISJ_CELLS)
    bandwidth = float(basis.isj_sigma(counts)[0]) * (high - low) / ISJ_CELLS
    return _kde_cdf(x, borders, bandwidth)


def _kde_cdf(x: np.ndarray, borders: np.ndarray, bandwidth: float) -> np.ndarray:
    values: np.ndarray = ndtr((borders[:, None] - x) / bandwidth).mean(axis=1)
    return values


def nnls_weights(counts: np.ndarray, sigma: float) -> np.ndarray:
    """Fit the shares of the cells by least squares, weights not negative: (T, n) -> (T, n)."""
    n = counts.shape[1]
    distance = np.arange(n + 1)[:, None] - np.arange(n) - 0.5
    design = np.diff(ndtr(distance / sigma), axis=0)
    weights = np.stack([nnls(design, row / row.sum())[0] for row in counts])
    return np.asarray(weights / weights.sum(1, keepdims=True))


def likelihood_weights(counts: np.ndarray, sigma: float) -> np.ndarray:
    """Climb the likelihood of the counts by EM on the weights alone: (T, n) -> (T, n)."""
    start = np.full(counts.shape, 1 / counts.shape[1])
    weights: np.ndarray = basis.em_weights(start, counts, sigma, n_steps=LIKELIHOOD_STEPS)
    return weights
