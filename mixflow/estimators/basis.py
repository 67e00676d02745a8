"""BasisDensity: one-dimensional densities on a fixed Gaussian basis, learned in one pass."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, DensityMixin, _fit_context
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from mixflow import basis
from mixflow.basis.arrays import Array
from mixflow.estimators.grids import (
    MOST_COMPONENTS,
    as_numpy,
    at_least_spacing,
    cast,
    check_widths,
    choose_bounds,
    judge_outside,
    warn_of_outliers,
)
from mixflow.estimators.inputs import as_input, checked, random_state_of
from mixflow.estimators.persistence import Savable
from mixflow.modes import own_modes
from mixflow.validation import as_floats, check_whole

# What cannot change from one call of partial_fit to the next.
GRID = ("n_components", "bounds", "trim", "min_range")


class BasisDensity(DensityMixin, Savable, BaseEstimator):
    r"""Fit a mixture of n Gaussians on a uniform grid to every feature, in one pass.

    .. math:: p(x) = \prod_{d=1}^D \sum_{i=1}^n \pi_{di}\, N(x_d; \mu_{di}, \sigma_d^2), \qquad
              \mu_{di} = low_d + (i - \tfrac12)\, r_d, \quad r_d = (high_d - low_d) / n

    Only the weights are learned, from the number of points in each cell of the grid: this is a
    binned kernel density estimate. Features are taken as independent.

    Parameters
    ----------
    n_components
        n, the number of Gaussians of each feature.
    sigma
        Their sd in units of r, or "isj": the improved Sheather-Jones bandwidth of each feature.
    algorithm
        2 adds ``step`` to the weight of the nearest mean; 1 adds masses of regions around it.
    step
        g, what a point adds; the start, 1/n for every weight, counts as one point for g = 1.
    learning_sigma, regions
        Of algorithm 1, see :func:`mixflow.basis.region_weights`; None takes ``sigma``, as the
        paper prints it.
    em_steps
        EM steps on the weights afterwards. ``sigma="isj", em_steps=1`` is the improved rule: a
        wider basis, of which the step takes back most of the blur.
    widen
        Factor on the bandwidth of ``sigma="isj"`` when there are EM steps.
    bounds
        The grid's ends: None for the range of the data, "robust" for one that a few outliers do
        not move, or a pair ``(low, high)`` of numbers or of arrays (D,).
    trim
        Share of the points on a side that "robust" takes for possible outliers.
    outside
        What becomes of points outside the bounds: "drop" leaves them out and warns if the bounds
        were not "robust"; "clip" counts them in the outermost cell; "raise" is an error.
    min_range
        Least distance of the bounds in units of X; with None a constant feature is an error.
    random_state
        Seed of :meth:`sample`.

    Attributes
    ----------
    weights_
        :math:`\pi`, shape (D, n).
    means_, scales_
        Means (D, n) and standard deviations (D,) of the Gaussians, in units of X.
    sigma_
        Sd in units of r, shape (D,).
    low_, high_
        Bounds of the grid, shape (D,).
    counts_
        Points per cell, (D, n) int64: all that was learned.
    spacing_
        With ``sigma="isj"``, how far apart rounded values lie in units of X, (D,), no less than
        which bandwidths are; 0 where values do not recur.
    n_outside_
        Points below and above the bounds, (D, 2).
    n_samples_seen_, n_features_in_
        N over all calls, and D.

    Notes
    -----
    X may be a NumPy array or a torch tensor on any device; the attributes are of the same kind,
    and so are results. float32 is computed in float32.

    Source: Lu et al., preprints.org 202302.0275, algorithms 1 and 2.

    Examples
    --------
    >>> import numpy as np
    >>> from mixflow import BasisDensity
    >>> X = np.random.default_rng(0).normal(size=(1000, 3))
    >>> model = BasisDensity(100, random_state=0).fit(X)
    >>> model.weights_.shape, model.score_samples(X).shape, model.sample(5).shape
    ((3, 100), (1000,), (5, 3))
    >>> bool(abs(model.quantile(0.5)).max() < 0.2)  # the medians of three standard normals
    True
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "n_components": [Interval(Integral, 1, MOST_COMPONENTS, closed="both")],
        "sigma": [Interval(Real, 0, None, closed="neither"), StrOptions({"isj"})],
        "algorithm": [Options(Integral, {1, 2})],
        "step": [Interval(Real, 0, None, closed="neither")],
        "learning_sigma": [None, Interval(Real, 0, None, closed="neither")],
        "regions": [StrOptions({"average", "sum", "cells"})],
        "em_steps": [Interval(Integral, 0, None, closed="left")],
        "widen": [Interval(Real, 0, None, closed="neither")],
        "bounds": [None, StrOptions({"robust"}), tuple, list, np.ndarray],
        "trim": [Interval(Real, 0, 0.25, closed="left")],
        "outside": [StrOptions({"drop", "clip", "raise"})],
        "min_range": [None, Interval(Real, 0, None, closed="neither")],
        "random_state": ["random_state"],
    }
    _axes: ClassVar[dict[str, str]] = {
        **dict.fromkeys(("counts_", "weights_"), "D n"),
        **dict.fromkeys(("low_", "high_", "sigma_", "scales_"), "D"),
        "n_outside_": "D 2",
    }

    def __init__(
        self,
        n_components: int = 200,
        *,
        sigma: float | str = 2.0,
        algorithm: int = 2,
        step: float = 1.0,
        learning_sigma: float | None = 0.5,
        regions: str = "average",
        em_steps: int = 0,
        widen: float = 1.4,
        bounds: Any = None,
        trim: float = 0.005,
        outside: str = "drop",
        min_range: float | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_components = n_components
        self.sigma = sigma
        self.algorithm = algorithm
        self.step = step
        self.learning_sigma = learning_sigma
        self.regions = regions
        self.em_steps = em_steps
        self.widen = widen
        self.bounds = bounds
        self.trim = trim
        self.outside = outside
        self.min_range = min_range
        self.random_state = random_state

    # Learning --------------------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike | Tensor, y: None = None) -> BasisDensity:
        """Learn the densities of X, forgetting what was learned before.

        Parameters
        ----------
        X
            Samples, shape (N, D), finite.
        y
            Ignored.

        Raises
        ------
        ValueError
            If X has NaN, a constant feature without ``bounds`` or ``min_range``, or points
            outside the bounds with ``outside="raise"``.
        """
        with own_modes(grad=False), self._fitting():
            return self._learn(X, first=True)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: ArrayLike | Tensor, y: None = None) -> BasisDensity:
        """Learn from more samples: the result is that of one pass over all of them.

        The first call sets the bounds, from its own samples unless ``bounds`` names them.
        Parameters and errors are those of :meth:`fit`.
        """
        first = not hasattr(self, "counts_")
        if not first:
            self._refuse_changes(GRID, "call fit to learn anew")
        with own_modes(grad=False), self._fitting():
            return self._learn(X, first=first)

    @own_modes(grad=False)
    def merge(self, *others: BasisDensity) -> BasisDensity:
        """Add what others learned from further samples on the same grid; returns self.

        The counts, and so the weights, are those of one pass over all samples, bit for bit.

        Raises
        ------
        ValueError
            If the grids differ.
        """
        check_is_fitted(self, "counts_")
        self._refuse_changes(GRID, "call fit to learn anew")
        counts, outside, seen = self.counts_, self.n_outside_, self.n_samples_seen_
        for other in others:
            check_is_fitted(other, "counts_")
            if not self._same_grid(other):
                raise ValueError(
                    "the grids differ; fit all parts with the same n_components and the same "
                    "explicit bounds=(low, high)"
                )
            counts, outside = counts + other.counts_, outside + other.n_outside_
            seen += other.n_samples_seen_
        self._set(self.low_, self.high_, counts, outside, seen)
        return self

    def _same_grid(self, other: BasisDensity) -> bool:
        if self.counts_.shape != other.counts_.shape:
            return False
        pairs = (self.low_, other.low_), (self.high_, other.high_)
        return all(np.array_equal(as_numpy(a), as_numpy(b)) for a, b in pairs)

    def _learn(self, X: Any, *, first: bool) -> BasisDensity:
        x = self._validate(X, reset=first)
        if first:
            low, high = choose_bounds(
                x, self.bounds, trim=self.trim, min_range=self.min_range, name=self._feature
            )
            self.spacing_ = self._spacings(x)
        else:
            x, low, high = cast(x, self.low_), self.low_, self.high_
        counts, outside = basis.bin_counts(x, low, high, self.n_components)
        if not isinstance(self.bounds, str):  # robust ones are meant to leave points out
            judge_outside(outside, len(x), self.outside, self._feature)
        if self.outside == "clip":
            counts[:, 0] += outside[:, 0]
            counts[:, -1] += outside[:, 1]
        seen = len(x)
        if not first:
            counts, outside = counts + self.counts_, outside + self.n_outside_
            seen += self.n_samples_seen_
        self._set(low, high, counts, outside, seen)
        if first and self.bounds is None:
            warn_of_outliers(counts, self.trim, self._feature)
        return self

    def _set(self, low: Array, high: Array, counts: Array, outside: Array, seen: int) -> None:
        """Set the learned state from counts; nothing changes when that fails."""
        width = (high - low) / self.n_components
        sigma = self._sigma(counts, width)
        check_widths(as_numpy(sigma), as_numpy(width))
        weights = self._weights(counts, sigma, low)
        self.low_, self.high_, self.counts_, self.n_outside_ = low, high, counts, outside
        self.n_samples_seen_, self.weights_, self.sigma_ = seen, weights, sigma
        self.scales_ = sigma * self._width()

    def _spacings(self, x: Any) -> np.ndarray:
        """Return how far apart rounded values lie, (D,), where a rule chooses bandwidths."""
        if isinstance(self.sigma, str):
            return basis.spacings(as_numpy(x))
        return np.zeros(x.shape[1])

    def _sigma(self, counts: Any, width: Any) -> Any:
        """Return the sd in cells, (D,), in the dtype of the bounds."""
        if isinstance(self.sigma, str):
            cells = self.spacing_ / as_numpy(width)
            sigma = at_least_spacing(as_numpy(basis.isj_sigma(counts)), cells, self._feature)
            sigma = sigma * (self.widen if self.em_steps else 1.0)
        else:
            sigma = np.full(len(counts), float(self.sigma))
        return cast(sigma, width)

    def _weights(self, counts: Any, sigma: Any, like: Any) -> Any:
        empty = np.flatnonzero(as_numpy(counts.sum(1)) == 0)
        if len(empty):
            raise ValueError(f"no point of {self._feature(int(empty[0]))} lies within its bounds")
        counts = cast(counts, like)
        if self.algorithm == 2:
            weights = basis.nearest_weights(counts, step=self.step)
        else:
            if self.learning_sigma is None and isinstance(self.sigma, str):
                raise ValueError("learning_sigma=None needs a number for sigma, not 'isj'")
            weights = basis.region_weights(
                counts,
                learning_sigma=self.sigma if self.learning_sigma is None else self.learning_sigma,
                step=self.step,
                regions=self.regions,
            )
        if self.em_steps:
            weights = basis.em_weights(weights, counts, sigma, n_steps=self.em_steps)
        return weights

    def _validate(self, X: Any, *, reset: bool) -> Any:
        """Return X as a finite floating-point array or tensor (N, D)."""
        if not isinstance(X, Tensor):
            x = as_input(X, "X")
            return checked(self, x, reset=reset, dtype=[np.float64, np.float32])
        x = X.detach()
        if x.ndim != 2 or not len(x) or not x.shape[1]:
            raise ValueError(f"X must be a tensor of shape (N, D), got {tuple(x.shape)}")
        x = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        x = x if x.is_floating_point() else x.double()
        if not x.isfinite().all():
            raise ValueError("X has NaN or infinity; remove such samples or fill them in first")
        if reset:
            self.n_features_in_ = x.shape[1]
        elif x.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {x.shape[1]} features, but BasisDensity is expecting "
                f"{self.n_features_in_} features as input"
            )
        return x

    # Use -------------------------------------------------------------------------------------

    def _sizes(self) -> dict[str, int]:
        return {"D": self.n_features_in_, "n": self.n_components}

    @property
    def means_(self) -> Any:
        """Means of the Gaussians in units of X, (D, n)."""
        steps = cast(np.arange(self.counts_.shape[1]) + 0.5, self.low_)
        return self.low_[:, None] + self._width()[:, None] * steps

    def _width(self) -> Any:
        return (self.high_ - self.low_) / self.counts_.shape[1]

    def _position(self, X: Any) -> Any:
        """Return X in cells from the lower bound, (N, D), of the kind of the attributes."""
        check_is_fitted(self, "counts_")
        x = self._validate(X, reset=False)
        return (cast(x, self.low_) - self.low_) / self._width()

    @own_modes(grad=False)
    def score_features(self, X: ArrayLike | Tensor) -> Any:
        """Return the log density of every feature in nats: (N, D) -> (N, D)."""
        return basis.log_prob(self._position(X), self.weights_, self.sigma_, self._width())

    def score_samples(self, X: ArrayLike | Tensor) -> Any:
        """Return log p(x), the sum over features, in nats: (N, D) -> (N,)."""
        return self.score_features(X).sum(1)

    def score(self, X: ArrayLike | Tensor, y: None = None) -> float:
        """Return the mean of :meth:`score_samples`."""
        return float(self.score_samples(X).mean())

    @own_modes(grad=False)
    def cdf(self, X: ArrayLike | Tensor) -> Any:
        """Return the cumulative distribution of every feature: (N, D) -> (N, D)."""
        return basis.cdf(self._position(X), self.weights_, self.sigma_)

    @own_modes(grad=False)
    def quantile(self, q: ArrayLike | Tensor) -> Any:
        """Return the inverse of :meth:`cdf`.

        Parameters
        ----------
        q
            Probabilities: a number or (M,) for all features, or (M, D).

        Returns
        -------
        array
            Positions in units of X, (M, D); 0 and 1 give -inf and inf.
        """
        check_is_fitted(self, "counts_")
        p = np.atleast_1d(as_floats(q, "q"))
        p = p[:, None] if p.ndim == 1 else p
        p = cast(np.broadcast_to(p, (len(p), len(self.counts_))), self.low_)
        return self.low_ + self._width() * basis.quantile(p, self.weights_, self.sigma_)

    @own_modes(grad=False)
    def sample(self, n_samples: int = 1) -> Any:
        """Draw samples (n_samples, D), every feature on its own.

        After ``set_output(transform="pandas")`` they come as a data frame.
        A fitted model with an integer ``random_state`` gives the same samples each time.
        """
        check_is_fitted(self, "counts_")
        check_whole("n_samples", n_samples, 1)
        device = self.low_.device if isinstance(self.low_, Tensor) else "cpu"
        seed = int(random_state_of(self.random_state).randint(2**31 - 1))
        generator = torch.Generator(device).manual_seed(seed)
        u = basis.sample(n_samples, self.weights_, self.sigma_, generator=generator)
        return self._framed(self.low_ + self._width() * u)

    @own_modes(grad=False)
    def loss(self, cdf: Callable[[Any], Any]) -> Any:
        r"""Return the paper's loss L against a known distribution, for every feature.

        .. math:: L = \sum_i |P_\text{target}(\omega_i) - P(\omega_i)|

        over the n cells and both tails (eq. 9); 0 is perfect, 2 the worst.

        Parameters
        ----------
        cdf
            The target's cumulative distribution: points (n + 1, D), the borders of the cells,
            to values (n + 1, D).

        Returns
        -------
        array
            (D,).
        """
        check_is_fitted(self, "counts_")
        steps = cast(np.arange(self.counts_.shape[1] + 1.0), self.low_)
        borders = self.low_ + self._width() * steps[:, None]
        target = cast(cdf(borders), self.low_)
        if target.shape != borders.shape:
            raise ValueError(
                f"cdf must keep the shape {tuple(borders.shape)} of its argument, gave "
                f"{tuple(target.shape)}"
            )
        return basis.basis_loss(self.weights_, self.sigma_, target.T)
