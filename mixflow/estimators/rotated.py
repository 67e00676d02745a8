"""RotatedBasisDensity: clusters, each with a basis density along its own rotated coordinates."""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, DensityMixin, _fit_context
from sklearn.cluster import KMeans
from sklearn.decomposition import FastICA
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from mixflow import basis
from mixflow.estimators.advice import warn_of_table
from mixflow.estimators.base import log_posterior, reachable
from mixflow.estimators.grids import MOST_COMPONENTS, check_widths
from mixflow.estimators.inputs import as_input, check_size, checked, random_state_of
from mixflow.estimators.persistence import Savable
from mixflow.validation import check_whole


class RotatedBasisDensity(DensityMixin, Savable, BaseEstimator):
    r"""Fit a :class:`mixflow.BasisDensity` to the rotated coordinates of every k-means cluster.

    .. math:: p(x) = \sum_{c=1}^C w_c\, |\det A_c| \prod_{d=1}^D p_{cd}\big((A_c (x - m_c))_d\big)

    A density on a fixed basis takes features as independent. Here it is learned where they are
    nearly so: in clusters, along principal or independent components. Nothing is iterated but
    k-means and, if asked for, ICA.

    Parameters
    ----------
    n_components
        n, the number of Gaussians along each coordinate.
    n_clusters
        C; 1 for no clusters.
    rotation
        Coordinates in a cluster: "pca", "ica" (principal components, rotated further by FastICA),
        or "none" for the features themselves.
    sigma
        Sd of the Gaussians in units of r, "silverman" or "isj": a bandwidth for every coordinate.
        In clusters coordinates mostly have one bump, where Silverman's rule is as good as the
        improved Sheather-Jones rule and costs nothing.
    em_steps, widen
        EM steps on the basis weights, for which bandwidths are first made so much wider.
    min_scale
        Least sd of a coordinate in a cluster, in sds of the features: where points have less
        (few points, features that depend on each other), the density is as wide as for this.
    n_init
        Starts of k-means.
    max_iter
        Most iterations of FastICA.
    random_state
        Seed of clusters, ICA and :meth:`sample`.

    Attributes
    ----------
    weights_
        :math:`w`, the clusters' shares of the points, (C,).
    locations_, transforms_
        :math:`m`, the clusters' means, (C, D), and :math:`A`, (C, D, D): coordinates of X have
        sd 1 in the cluster.
    basis_weights_, sigma_, low_, high_
        Of the densities: weights (C, D, n), sds in cells, bounds of the grids, (C, D).
    n_features_in_
        D.

    Notes
    -----
    The density of a cluster reaches beyond its border, so the sum over clusters is a mixture; its
    weights and parts are those of k-means and no maximum of the likelihood. Cost of a fit: k-means
    and one pass; scores cost C D n a sample.

    Source: after Lu et al., preprints.org 202302.0275, whose densities of latent codes are
    ``rotation="none", n_clusters=1, sigma=2.0``; the rest is ours.

    Examples
    --------
    >>> import numpy as np
    >>> from mixflow import RotatedBasisDensity
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(1000, 2)) @ [[2.0, 1.9], [0.0, 0.3]]  # far from independent
    >>> plain, rotated = (
    ...     RotatedBasisDensity(rotation=rotation, random_state=0).fit(X)
    ...     for rotation in ("none", "pca")
    ... )
    >>> bool(rotated.score(X) > plain.score(X) + 1)  # nats
    True
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "n_components": [Interval(Integral, 1, MOST_COMPONENTS, closed="both")],
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "rotation": [StrOptions({"pca", "ica", "none"})],
        "sigma": [Interval(Real, 0, None, closed="neither"), StrOptions({"silverman", "isj"})],
        "em_steps": [Interval(Integral, 0, None, closed="left")],
        "widen": [Interval(Real, 0, None, closed="neither")],
        "min_scale": [Interval(Real, 0, None, closed="neither")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }
    _axes: ClassVar[dict[str, str]] = {
        **{"weights_": "C", "locations_": "C D", "transforms_": "C D D", "basis_weights_": "C D n"},
        **dict.fromkeys(("sigma_", "low_", "high_"), "C D"),
    }

    def __init__(
        self,
        n_components: int = 200,
        *,
        n_clusters: int = 1,
        rotation: str = "pca",
        sigma: float | str = "silverman",
        em_steps: int = 1,
        widen: float = 1.4,
        min_scale: float = 1e-3,
        n_init: int = 1,
        max_iter: int = 200,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_components = n_components
        self.n_clusters = n_clusters
        self.rotation = rotation
        self.sigma = sigma
        self.em_steps = em_steps
        self.widen = widen
        self.min_scale = min_scale
        self.n_init = n_init
        self.max_iter = max_iter
        self.random_state = random_state

    # Learning --------------------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: None = None) -> RotatedBasisDensity:
        """Learn clusters, coordinates and densities of X.

        Parameters
        ----------
        X
            Samples, shape (N, D), finite.
        y
            Ignored.

        Raises
        ------
        ValueError
            If X has NaN, a constant feature, or fewer distinct samples than clusters.
        """
        with self._fitting():
            return self._fit(X)

    def _fit(self, X: ArrayLike) -> RotatedBasisDensity:
        x = checked(self, as_input(X, "X"), dtype=np.float64, ensure_min_samples=2)
        check_size(x)
        scale = self._scales(x)
        warn_of_table(x, self._feature)
        rng = random_state_of(self.random_state)
        label = self._cluster(x / scale, rng)
        parts = [self._bin(x[label == c], scale, rng) for c in range(self.n_clusters)]
        n_points = np.bincount(label)
        self._warn_of_small(n_points, x.shape[1])
        self.weights_ = n_points / len(x)
        locations, transforms, lows, highs, counts, least = (
            np.stack(p) for p in zip(*parts, strict=True)
        )
        self.locations_, self.transforms_ = locations, transforms
        self.low_, self.high_ = lows, highs
        self.basis_weights_, self.sigma_ = self._learn(counts, least)
        check_widths(self.sigma_, (highs - lows) / self.n_components)
        return self

    def _scales(self, x: np.ndarray) -> np.ndarray:
        """Return the sd of every feature, (D,).

        Raises
        ------
        ValueError
            If one is constant.
        """
        sd: np.ndarray = x.std(axis=0)
        constant = np.flatnonzero(~(sd > 100 * np.finfo(float).eps * np.abs(x).max(axis=0)))
        if len(constant):
            raise ValueError(
                f"{self._feature(constant[0])} is constant ({len(constant)} in all): its density "
                "is infinite; leave such features out (scikit-learn's VarianceThreshold does)"
            )
        return sd

    def _cluster(self, x: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        """Return the cluster of every sample, (N,); none is empty."""
        if self.n_clusters > len(x):
            raise ValueError(f"{len(x)} samples are too few for n_clusters={self.n_clusters}")
        if self.n_clusters == 1:
            return np.zeros(len(x), dtype=np.int64)
        distinct = len(np.unique(x, axis=0))
        if self.n_clusters > distinct:
            raise ValueError(
                f"X has {distinct} distinct samples, too few for n_clusters={self.n_clusters}"
            )
        seed = rng.randint(2**31 - 1)
        means = KMeans(self.n_clusters, n_init=self.n_init, random_state=seed)
        label: np.ndarray = means.fit(x).labels_
        return label

    def _bin(
        self, x: np.ndarray, scale: np.ndarray, rng: np.random.RandomState
    ) -> tuple[np.ndarray, ...]:
        """Return location, transform, bounds, counts (D, n) and least sds of a cluster (M, D)."""
        location = x.mean(axis=0)
        transform = self._transform((x - location) / scale, rng) / scale
        z = (x - location) @ transform.T
        low, high = z.min(axis=0), z.max(axis=0)
        # Sds are 1, so ranges are at least 2; smaller ones are of coordinates without extent.
        missing = np.maximum(1 - (high - low), 0) / 2
        low, high = low - missing, high + missing
        counts, _ = basis.bin_counts(z, low, high, self.n_components)
        return (
            location,
            transform,
            low,
            high,
            counts,
            self._least(z, (high - low) / counts.shape[1]),
        )

    def _least(self, z: np.ndarray, width: np.ndarray) -> np.ndarray:
        """Return the least sd of the Gaussians in cells, (D,), of coordinates (M, D).

        Coordinates whose points have less than ``min_scale``, sd 1 in z, have that with it; rounded
        ones, where no rotation mixes them and a rule chooses bandwidths, show no gaps.
        """
        # Clusters of so few points have no extent in most directions whatever the data are; the
        # density there is as narrow as ever, and ``fit`` warns of them.
        small = self.n_clusters > 1 and len(z) <= z.shape[1]
        missing = np.zeros(z.shape[1]) if small else np.sqrt(np.maximum(1 - z.var(axis=0), 0))
        gaps = basis.spacings(z) if isinstance(self.sigma, str) else np.zeros_like(missing)
        return np.maximum(missing, gaps) / width

    def _learn(self, counts: np.ndarray, least: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return basis weights (C, D, n) and sds in cells (C, D) from counts (C, D, n)."""
        flat = counts.reshape(-1, counts.shape[2])
        if isinstance(self.sigma, str):
            rule = basis.isj_sigma if self.sigma == "isj" else basis.silverman_sigma
            sigma = rule(flat) * (self.widen if self.em_steps else 1.0)
        else:
            sigma = np.full(len(flat), float(self.sigma))
        sigma = np.maximum(sigma, least.ravel())
        weights = basis.nearest_weights(flat)
        if self.em_steps:
            weights = basis.em_weights(weights, flat, sigma, n_steps=self.em_steps)
        return weights.reshape(counts.shape), sigma.reshape(counts.shape[:2])

    def _transform(self, x: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        """Return the map (D, D) of centred points (M, D) to coordinates of sd 1."""
        if self.rotation == "none":
            return np.diag(1 / np.maximum(x.std(axis=0), self.min_scale))
        variance, axes = np.linalg.eigh(x.T @ x / len(x))
        sd = np.sqrt(np.maximum(variance, self.min_scale**2))
        whiten: np.ndarray = axes.T / sd[:, None]
        if self.rotation == "pca" or x.shape[1] == 1:
            return whiten
        ica = FastICA(
            whiten=False, max_iter=self.max_iter, tol=1e-3, random_state=rng.randint(2**31 - 1)
        )
        rotation: np.ndarray = ica.fit(x @ whiten.T).components_
        return rotation @ whiten

    def _warn_of_small(self, n_points: np.ndarray, n_features: int) -> None:
        small = np.flatnonzero(n_points <= n_features)
        if len(small) and self.n_clusters > 1:
            warnings.warn(
                f"cluster {small[0]} has {n_points[small[0]]} points for {n_features} features "
                f"({len(small)} such clusters): its directions are arbitrary; take fewer clusters",
                stacklevel=4,  # past scikit-learn's wrapper
            )

    # Use -------------------------------------------------------------------------------------

    def _sizes(self) -> dict[str, int]:
        return {"C": self.n_clusters, "D": self.n_features_in_, "n": self.n_components}

    def _log_joint(self, X: ArrayLike) -> np.ndarray:
        """Return log w_c + log p_c(x), (N, C)."""
        check_is_fitted(self)
        x = checked(self, as_input(X, "X"), reset=False, dtype=np.float64)
        out = np.empty((len(x), len(self.weights_)))
        for c, transform in enumerate(self.transforms_):
            width = (self.high_[c] - self.low_[c]) / self.basis_weights_.shape[2]
            u = ((x - self.locations_[c]) @ transform.T - self.low_[c]) / width
            log_p = basis.log_prob(u, self.basis_weights_[c], self.sigma_[c], width).sum(axis=1)
            out[:, c] = np.log(self.weights_[c]) + log_p + np.linalg.slogdet(transform)[1]
        return out

    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Return log p(x) of every sample in nats: (N, D) -> (N,)."""
        return np.asarray(np.logaddexp.reduce(self._log_joint(X), axis=1))

    def score(self, X: ArrayLike, y: None = None) -> float:
        """Return the mean of :meth:`score_samples`."""
        return float(self.score_samples(X).mean())

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the most responsible cluster: (N, D) -> (N,)."""
        return reachable(self._log_joint(X), self.weights_).argmax(axis=1)

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Return the clusters' responsibilities: (N, D) -> (N, C)."""
        return np.exp(log_posterior(self._log_joint(X), self.weights_))

    def sample(self, n_samples: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Draw samples.

        Returns
        -------
        X, labels
            Samples (n_samples, D), grouped by cluster, and their clusters (n_samples,). A fitted
            model with an integer ``random_state`` gives the same samples each time. After
            ``set_output(transform="pandas")`` X is a data frame.
        """
        check_is_fitted(self)
        check_whole("n_samples", n_samples, 1)
        rng = random_state_of(self.random_state)
        counts = rng.multinomial(n_samples, self.weights_)
        generator = torch.Generator().manual_seed(int(rng.randint(2**31 - 1)))
        parts = [self._sample_of(c, int(n), generator) for c, n in enumerate(counts) if n]
        return self._framed(np.concatenate(parts)), np.repeat(np.arange(len(counts)), counts)

    def _sample_of(self, c: int, n_samples: int, generator: torch.Generator) -> np.ndarray:
        width = (self.high_[c] - self.low_[c]) / self.basis_weights_.shape[2]
        u = basis.sample(n_samples, self.basis_weights_[c], self.sigma_[c], generator=generator)
        z = self.low_[c] + width * u
        return np.asarray(self.locations_[c] + np.linalg.solve(self.transforms_[c], z.T).T)
