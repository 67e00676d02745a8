"""Densities of the codes of one digit: the paper's, its rivals, controls, and mends."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri
from sklearn.mixture import GaussianMixture

from companion.gmm_basis.sliced_wasserstein import SlicedWassersteinGMM
from mixflow.estimators import BasisDensity, RotatedBasisDensity

Codes = np.ndarray  # (N, d)
Sampler = Callable[[int], Codes]
Method = Callable[[Codes, int], Sampler]

PAPER, EM, SLICED = "basis", "EM-GMM", "SW-GMM"
CLUSTERED = "rotated basis, clusters"
SIGMA = 2.0  # of the paper's densities, in units of r
CEILING, SHUFFLED = "resampled codes", "shuffled dimensions"


@dataclass(frozen=True)
class Sizes:
    """How large the densities are.

    Attributes
    ----------
    n_components
        n, Gaussians of the basis along a dimension.
    n_mixture
        K, components of EM-GMM and SW-GMM, and clusters of the rotated basis.
    sliced_steps
        Gradient steps of SW-GMM.
    """

    n_components: int
    n_mixture: int
    sliced_steps: int


def methods(sizes: Sizes) -> Mapping[str, Method]:
    """Return name -> method; a method takes codes (N, d) and a seed and returns a sampler."""
    n, k = sizes.n_components, sizes.n_mixture
    return {
        PAPER: _estimator(BasisDensity, n, sigma=SIGMA),
        EM: _estimator(GaussianMixture, k),
        SLICED: _estimator(SlicedWassersteinGMM, k, n_steps=sizes.sliced_steps),
        "rotated basis, PCA": _estimator(RotatedBasisDensity, n),
        "rotated basis, ICA": _estimator(RotatedBasisDensity, n, rotation="ica"),
        CLUSTERED: _estimator(RotatedBasisDensity, n, n_clusters=k),
        "basis, clusters": _estimator(RotatedBasisDensity, n, n_clusters=k, rotation="none"),
        "basis, Gaussian copula": lambda codes, seed: _copula(codes, seed, n),
        "full Gaussian": _estimator(GaussianMixture, 1),
        "diagonal Gaussian": _estimator(GaussianMixture, 1, covariance_type="diag"),
        SHUFFLED: _shuffled,
        CEILING: _resampled,
    }


def _estimator(kind: Callable[..., Any], size: int, **settings: Any) -> Method:
    """Return the method that fits an estimator and samples from it."""

    def learn(codes: Codes, seed: int) -> Sampler:
        with warnings.catch_warnings():
            # Of outliers, of clusters with few points, of ICA and EM that have not converged.
            warnings.simplefilter("ignore", UserWarning)
            model = kind(size, random_state=seed, **settings).fit(codes)
        return lambda n_samples: _codes(model.sample(n_samples))

    return learn


def _codes(drawn: Any) -> Codes:
    """Return samples without the components that some estimators give beside them."""
    return np.asarray(drawn[0] if isinstance(drawn, tuple) else drawn)


def margins(codes: Codes, n: int) -> BasisDensity:
    """Return the paper's densities of every dimension."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of outliers
        return BasisDensity(n, sigma=SIGMA).fit(codes)


def distances_to(learned: BasisDensity, codes: Codes) -> np.ndarray:
    """Return the largest difference of the distributions (Kolmogorov-Smirnov), (d,)."""
    ordered = np.sort(codes, axis=0)
    cdf, steps = learned.cdf(ordered), np.arange(len(codes) + 1)[:, None] / len(codes)
    distance: np.ndarray = np.maximum(cdf - steps[:-1], steps[1:] - cdf).max(axis=0)
    return distance


def _copula(codes: Codes, seed: int, n: int) -> Sampler:
    """Couple basis densities by the correlations of the codes' normal scores."""
    learned, tiny = margins(codes, n), np.finfo(float).eps
    scores = ndtri(learned.cdf(codes).clip(tiny, 1 - tiny))
    correlation = np.corrcoef(scores, rowvar=False)

    def sample(n_samples: int) -> Codes:
        rng = np.random.default_rng(seed)
        z = rng.multivariate_normal(np.zeros(len(correlation)), correlation, n_samples)
        return np.asarray(learned.quantile(ndtr(z)))

    return sample


def _shuffled(codes: Codes, seed: int) -> Sampler:
    """Draw every dimension from its own code: perfect margins, no dependence."""

    def sample(n_samples: int) -> Codes:
        rng = np.random.default_rng(seed)
        rows = rng.integers(len(codes), size=(n_samples, codes.shape[1]))
        return np.take_along_axis(codes, rows, axis=0)

    return sample


def _resampled(codes: Codes, seed: int) -> Sampler:
    """Draw codes that there are: what no density can exceed but by chance."""

    def sample(n_samples: int) -> Codes:
        rng = np.random.default_rng(seed)
        return np.asarray(codes[rng.integers(len(codes), size=n_samples)])

    return sample


# Two digits ----------------------------------------------------------------------------------


def mixed(one: Codes, other: Codes, seed: int, share: float = 0.5) -> Codes:
    """Take each dimension of a code from the other of two (..., d) with this probability."""
    chosen = np.random.default_rng(seed).random(one.shape) < share
    return np.where(chosen, other, one)
