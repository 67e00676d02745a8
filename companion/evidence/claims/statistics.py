"""Tests of claims, each with its null hypothesis and its chance of passing by luck.

Every function returns a :class:`Test`. ``p`` is the chance, were there no effect, of evidence for
the claim as strong as ours; ``against`` that of evidence against it. A test that has several parts
passes only if all do (an intersection-union test: its level is that of a part, no correction is
needed), and fails if one of them does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from companion.evidence.estimates import LEVEL, holm, t_quantile, upper_tail

DRAWS, SEED = 10_000, 20261128  # of every simulation
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Test:
    """What a test found.

    Attributes
    ----------
    statistic, threshold
        What was measured, and what it is compared with.
    n
        Independent values that went in: seeds, or runs.
    p, against
        Of the evidence for and against the claim; NaN where too few values tell nothing.
    chance
        Of passing when there is no effect, simulated with a fixed seed, or counted.
    null
        What no effect means.
    flat
        Whether it is seen that nothing changes.
    """

    statistic: float
    threshold: float
    n: int
    p: float
    against: float
    chance: float
    null: str
    flat: bool = False

    @property
    def holds(self) -> bool | None:
        """Whether the claim holds; None where the evidence does not tell."""
        if self.p <= LEVEL:
            return True
        return False if self.against <= LEVEL or self.flat else None


UNTOLD = Test(math.nan, math.nan, 0, math.nan, math.nan, math.nan, "no value")


# Means over seeds -----------------------------------------------------------------------------


def above(values: ArrayLike, threshold: float | Sequence[float] = 0.0, *, what: str = "") -> Test:
    """Test whether means over seeds lie above thresholds: Student's t, one-sided.

    Parameters
    ----------
    values
        (n, M), or (n,) of a single part: M values of every seed, each with a threshold.
    threshold
        One for all, or one each.
    what
        What no effect means; by default that the means are the thresholds.
    """
    table = np.asarray(values, dtype=float)
    table = table[:, None] if table.ndim == 1 else table
    if not table.size:
        return UNTOLD
    limits = np.broadcast_to(np.asarray(threshold, dtype=float), table.shape[1:])
    p, against = _tails(table - limits)
    worst = int(np.argmin(_in_errors(table - limits)))
    return Test(
        statistic=float(table[:, worst].mean()),
        threshold=float(limits[worst]),
        n=len(table),
        p=float(p.max()),
        against=float(np.min(holm(against.tolist()))) if len(table) > 1 else math.nan,
        chance=_chance_of_means(table),
        null=what or "means at their thresholds, seeds as different as ours",
    )


def _in_errors(excess: Floats) -> Floats:
    """Return means in units of their error; of one seed as they are."""
    if len(excess) < 2:
        return excess.mean(0)
    error = excess.std(0, ddof=1) / math.sqrt(len(excess))
    out: Floats = excess.mean(0) / np.where(error > 0, error, 1e-300)
    return out


def _tails(excess: Floats) -> tuple[Floats, Floats]:
    n = len(excess)
    mean = excess.mean(0)
    error = excess.std(0, ddof=1) / math.sqrt(n) if n > 1 else np.full(len(mean), math.nan)
    pairs = list(zip(mean.tolist(), error.tolist(), strict=True))
    p = np.array([upper_tail(m, e, n - 1) for m, e in pairs])
    return p, np.array([upper_tail(-m, e, n - 1) for m, e in pairs])


def _chance_of_means(table: Floats) -> float:
    """Simulate normal values with the covariance of ours around the thresholds."""
    n = len(table)
    if n < 2:
        return math.nan
    rng = np.random.default_rng(SEED)
    residuals = (table - table.mean(0)) / math.sqrt(n - 1)
    kept = residuals.std(0) > 0
    if not kept.any():
        return 0.0  # values that do not vary at all are not there by luck
    drawn = rng.standard_normal((DRAWS, n, n)) @ residuals[:, kept]
    error = drawn.std(1, ddof=1) / math.sqrt(n)
    passes = drawn.mean(1) >= t_quantile(1 - LEVEL, n - 1) * error
    return float(passes.all(1).mean())


def within(differences: ArrayLike, tolerance: float) -> Test:
    """Test whether means of differences lie within a tolerance: two one-sided t tests a part.

    Parameters
    ----------
    differences
        (n, M), or (n,) of a single part.
    tolerance
        Largest difference that counts as about the same.
    """
    table = np.asarray(differences, dtype=float)
    table = table[:, None] if table.ndim == 1 else table
    if not table.size:
        return UNTOLD
    both = np.concatenate([tolerance - table, tolerance + table], axis=1)
    found = above(both)
    # Beyond is beyond on one side: the nearer end of the range is left behind.
    beyond = _tails(np.abs(table.mean(0)) - tolerance + (table - table.mean(0)))[0]
    far = float(table.mean(0)[np.argmax(np.abs(table.mean(0)))])
    return Test(
        statistic=far,
        threshold=tolerance,
        n=len(table),
        p=found.p,
        against=float(np.min(holm(beyond.tolist()))) if len(table) > 1 else math.nan,
        chance=_chance_at_the_end(table),
        null="a difference as large as the tolerance",
    )


def _chance_at_the_end(table: Floats) -> float:
    """Simulate the widest part at the tolerance itself: the nearest that is no equivalence."""
    widest = table[:, [int(np.argmax(table.std(0)))]]
    return _chance_of_means(widest)


# Counts ---------------------------------------------------------------------------------------


def share_above(n_held: int, n: int, share: float = 0.5) -> Test:
    """Test whether something happens in more than a share of seeds: exact binomial."""
    if not n:
        return UNTOLD
    mass = [math.comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(n + 1)]
    tail = [sum(mass[k:]) for k in range(n + 1)]
    passing = [k for k in range(n + 1) if tail[k] <= LEVEL]
    return Test(
        statistic=n_held / n,
        threshold=passing[0] / n if passing else math.nan,
        n=n,
        p=tail[n_held],
        against=sum(mass[: n_held + 1]),
        chance=tail[passing[0]] if passing else 0.0,
        null=f"each seed with probability {share:g}",
    )


def less_often(held: int, n: int, other_held: int, other_n: int) -> Test:
    """Test whether something happens less often here than there: Fisher's exact test."""
    if not n or not other_n:
        return UNTOLD
    total, both = n + other_n, held + other_held
    first = max(0, both - other_n)
    counts = range(first, min(n, both) + 1)
    mass = {
        k: math.comb(n, k) * math.comb(other_n, both - k) / math.comb(total, both) for k in counts
    }
    lower = {k: sum(mass[j] for j in counts if j <= k) for k in counts}
    passing = [k for k in counts if lower[k] <= LEVEL]
    return Test(
        statistic=held / n - other_held / other_n,
        threshold=0.0,
        n=n,
        p=lower[held],
        against=sum(mass[k] for k in counts if k >= held),
        chance=lower[passing[-1]] if passing else 0.0,
        null="the same seeds fall to either kind by chance",
    )


# Several tests --------------------------------------------------------------------------------


def all_of(tests: Sequence[Test]) -> Test:
    """Return the test that passes if all do, and fails if one does, after Holm's correction.

    Its chance is that of the part that passes least often by luck: an upper bound.
    """
    worst = max(tests, key=lambda test: math.inf if math.isnan(test.p) else test.p)
    against = [p for p in holm([test.against for test in tests]) if not math.isnan(p)]
    return replace(
        worst,
        n=min(test.n for test in tests),
        against=min(against, default=math.nan),
        chance=min(test.chance for test in tests),
        flat=any(test.flat for test in tests),
    )


def any_of(tests: Sequence[Test]) -> Test:
    """Return the test that passes if one does, after Bonferroni's rule, and fails if all do."""
    best = min(tests, key=lambda test: math.inf if math.isnan(test.p) else test.p)
    return replace(
        best,
        p=min(1.0, len(tests) * best.p),
        against=float(np.max([test.against for test in tests])),  # NaN where one tells nothing
        chance=min(LEVEL, sum(test.chance for test in tests)),
        flat=all(test.flat for test in tests),
    )
