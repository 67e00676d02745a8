"""Estimates over seeds and splits, and differences from published values."""

import math

import numpy as np
import pytest
from scipy import stats

from companion.evidence.estimates import (
    Part,
    between_splits,
    binomial_error,
    difference,
    estimate,
    holm,
)


def test_seeds_alone_are_students():
    values = [0.95, 0.953, 0.951, 0.956]
    found = difference(estimate({0: values}), 0.95)
    interval = stats.ttest_1samp(values, 0.95).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx(
        (interval.low - 0.95, interval.high - 0.95), abs=1e-12
    )
    assert found.p == pytest.approx(stats.ttest_1samp(values, 0.95).pvalue)


def test_one_seed_has_no_interval():
    found = difference(estimate({0: [0.95]}), 0.94, 0.01)
    assert found.value == pytest.approx(0.01)
    assert math.isnan(found.p)
    assert math.isnan(found.half_width)


def test_a_published_error_widens():
    ours = estimate({0: [0.95, 0.953, 0.951]})
    alone, wider = difference(ours, 0.94), difference(ours, 0.94, 0.01)
    assert wider.error == pytest.approx(math.hypot(alone.error, 0.01))
    assert wider.df > alone.df, "the published error is known, ours is not"
    assert wider.p > alone.p


def test_splits_and_seeds_against_the_truth():
    """Over many draws the interval of an unbalanced design covers the mean as often as it says."""
    rng = np.random.default_rng(0)
    sizes, covered = (5, 1, 1, 1, 1), 0
    for _ in range(1000):
        splits = rng.standard_normal(5)
        by_split = {n: splits[n] + 0.5 * rng.standard_normal(size) for n, size in enumerate(sizes)}
        found = difference(estimate(by_split), 0.0)
        covered += found.low <= 0 <= found.high
    assert 0.93 <= covered / 1000 <= 0.97


def test_the_variance_of_splits_leaves_seeds_out():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(500):
        means = 2.0 * rng.standard_normal(4)
        by_split = {n: mean + rng.standard_normal(3) for n, mean in enumerate(means)}
        part = between_splits(by_split)
        assert part is not None
        found.append(part.variance)
    assert np.mean(found) == pytest.approx(4.0, rel=0.1)
    assert between_splits({0: [1.0, 2.0]}) is None
    assert between_splits({0: [1.0, 9.0], 1: [1.0, 9.0]}).variance == 0


def test_one_split_borrows_what_splits_differ_by():
    ours = {0: [0.95, 0.953, 0.951]}
    alone, borrowed = estimate(ours), estimate(ours, Part(1e-6, 4))
    assert borrowed.mean == alone.mean
    assert difference(borrowed, 0.95).error > difference(alone, 0.95).error
    several = {0: [0.95, 0.953], 1: [0.96]}
    assert estimate(several, Part(1.0, 4)) == estimate(several), "it has splits of its own"
    assert (estimate(several).n_seeds, estimate(several).n_splits) == (2, 2)
    assert estimate(several).mean == pytest.approx((0.9515 + 0.96) / 2)


def test_holm_steps_down():
    p = [0.001, 0.04, 0.03, math.nan, 0.012]
    assert holm(p)[:3] == pytest.approx([0.004, 0.06, 0.06])
    assert holm(p)[4] == pytest.approx(0.036)
    assert math.isnan(holm(p)[3])
    assert holm([]) == []


def test_binomial_error():
    assert binomial_error(0.9, 2000) == pytest.approx(0.00671, abs=1e-5)


def test_nothing_to_estimate():
    with pytest.raises(ValueError, match="no value"):
        estimate({0: []})
