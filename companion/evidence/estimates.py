"""What our runs say of a number: its mean, how sure that is, and against a published value."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

LEVEL = 0.05  # of every test; intervals are of 1 - LEVEL


@dataclass(frozen=True)
class Part:
    """One part of the variance of a mean: its size, and degrees of freedom it is known with."""

    variance: float
    df: float = math.inf


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds, and over splits where the split is random.

    Attributes
    ----------
    mean
        Over splits, of each split's mean over its seeds.
    sd
        Sample standard deviation over seeds within a split; NaN of one seed.
    parts
        What the variance of the mean is made of; empty where nothing says how sure it is.
    n_seeds, n_splits
        Different seeds of the split that has most, and splits.
    """

    mean: float
    sd: float
    parts: tuple[Part, ...]
    n_seeds: int
    n_splits: int = 1

    @property
    def n(self) -> int:
        """How many independent values the mean is known by: splits if several, else seeds."""
        return max(self.n_seeds, self.n_splits)


def estimate(by_split: Mapping[int, Sequence[float]], between: Part | None = None) -> Estimate:
    """Return the mean of values that were drawn with a split and a seed each.

    The model is y_ij = mu + s_i + e_ij with splits s_i and seeds e_ij, both random. With several
    splits the variance of the mean of their means is that of these means over their number,
    unbiased however many seeds each has (the analysis of unweighted means; Searle, Casella &
    McCulloch, *Variance Components*, 1992). With one split it is the variance over seeds over
    their number, and what other settings say of s_i is added.

    Parameters
    ----------
    by_split
        Split -> its values, one a seed.
    between
        Variance of s_i, of :func:`between_splits`, for a single split.

    Raises
    ------
    ValueError
        If there is no value.

    Examples
    --------
    >>> found = estimate({0: [1.0, 2.0, 3.0]})
    >>> found.mean, found.sd, round(found.parts[0].variance, 4)
    (2.0, 1.0, 0.3333)
    """
    groups = [np.asarray(values, dtype=float) for values in by_split.values() if len(values)]
    if not groups:
        raise ValueError("no value to estimate from")
    means = np.array([group.mean() for group in groups])
    within = _within(groups)
    sd = math.sqrt(within.variance) if within else math.nan
    n_seeds, n_splits = max(map(len, groups)), len(groups)
    parts: tuple[Part, ...] = ()
    if n_splits > 1:
        parts = (Part(float(means.var(ddof=1)) / n_splits, n_splits - 1),)
    elif within:
        parts = (Part(within.variance / n_seeds, within.df), *([between] if between else []))
    return Estimate(float(means.mean()), sd, parts, n_seeds, n_splits)


def between_splits(by_split: Mapping[int, Sequence[float]]) -> Part | None:
    """Return the variance of splits alone, that of seeds taken out; None of one split.

    The variance of the splits' means less what seeds explain of it, 0 where that is more.
    """
    groups = [np.asarray(values, dtype=float) for values in by_split.values() if len(values)]
    if len(groups) < 2:
        return None
    within = _within(groups)
    of_means = float(np.var([group.mean() for group in groups], ddof=1))
    seeds = within.variance * float(np.mean([1 / len(g) for g in groups])) if within else 0.0
    return Part(max(0.0, of_means - seeds), len(groups) - 1)


def _within(groups: Sequence[np.ndarray]) -> Part | None:
    """Return the variance of seeds, pooled over splits."""
    df = sum(len(group) - 1 for group in groups)
    if not df:
        return None
    squares = sum(float(np.square(group - group.mean()).sum()) for group in groups)
    return Part(squares / df, df)


@dataclass(frozen=True)
class Difference:
    """A mean less a published value.

    Attributes
    ----------
    value
        The difference.
    error
        Its standard error; NaN of one seed.
    df
        Degrees of freedom of its t, by Welch and Satterthwaite.
    """

    value: float
    error: float
    df: float

    @property
    def half_width(self) -> float:
        """Half of the 95 % interval."""
        return t_quantile(1 - LEVEL / 2, self.df) * self.error

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval."""
        return self.value - self.half_width

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval."""
        return self.value + self.half_width

    @property
    def p(self) -> float:
        """Two-sided p of no difference; NaN of one seed."""
        return 2 * upper_tail(abs(self.value), self.error, self.df)


def difference(ours: Estimate, published: float, error: float | None = None) -> Difference:
    """Return our mean less a published value, whose standard error is known or not."""
    value = round(ours.mean - published, 12)  # 0.951 - 0.946 is 0.005 here
    if not ours.parts:
        return Difference(value, math.nan, math.nan)
    parts = [*ours.parts, *([Part(error**2)] if error else [])]
    total = sum(part.variance for part in parts)
    squares = sum(part.variance**2 / part.df for part in parts)
    return Difference(value, math.sqrt(total), total**2 / squares if squares else math.inf)


def binomial_error(share: float, n: int) -> float:
    """Return the standard error of a share of n samples."""
    return math.sqrt(share * (1 - share) / n)


def upper_tail(value: float, error: float, df: float) -> float:
    """Return the chance of a t above value / error; without any error, 0 or 1 by the sign."""
    if math.isnan(error):
        return math.nan
    if error == 0:
        return 0.5 if value == 0 else float(value < 0)
    t = value / error
    return float(special.ndtr(-t) if math.isinf(df) else special.stdtr(df, -t))


def t_quantile(q: float, df: float) -> float:
    """Return a quantile of Student's t; of the normal where df is infinite."""
    if math.isnan(df):
        return math.nan
    return float(special.ndtri(q) if math.isinf(df) else special.stdtrit(df, q))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected by Holm's step-down rule; NaN are no members of the family.

    Examples
    --------
    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=float)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    out = np.full(len(p), np.nan)
    steps = p[order] * (len(order) - np.arange(len(order)))
    out[order] = np.minimum(1.0, np.maximum.accumulate(steps)) if len(order) else []
    return out.tolist()
