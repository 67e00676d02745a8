"""Intervals against SciPy's, and how often they hold; tests of trends against every order."""

import itertools

import numpy as np
import pytest
from scipy import stats

from mixflow.metrics import (
    binomial_interval,
    mean_rank_correlation,
    page_trend_test,
    student_t_interval,
)


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
@pytest.mark.parametrize("n", [2, 5, 40])
def test_student_t_interval_is_that_of_scipy(n, confidence):
    values = np.random.default_rng(n).normal(3, 2, size=n)
    theirs = stats.t.interval(confidence, n - 1, values.mean(), stats.sem(values))
    assert student_t_interval(values, confidence=confidence) == pytest.approx(theirs)


def test_it_holds_as_often_as_it_says():
    values = np.random.default_rng(1).normal(size=(2000, 4))
    held = [low < 0 < high for low, high in map(student_t_interval, values)]
    assert np.mean(held) == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
@pytest.mark.parametrize(("successes", "n"), [(0, 5), (5, 5), (3, 7), (9_700, 10_000), (0, 1)])
def test_binomial_interval_is_that_of_scipy(successes, n, confidence):
    theirs = stats.binomtest(successes, n).proportion_ci(confidence, method="exact")
    ours = binomial_interval(successes, n, confidence=confidence)
    assert ours == pytest.approx((theirs.low, theirs.high), abs=1e-9)


@pytest.mark.parametrize("share", [0.03, 0.5, 0.9])
def test_it_holds_at_least_as_often_as_it_says(share):
    n = 30
    held = [low <= share <= high for low, high in (binomial_interval(k, n) for k in range(n + 1))]
    assert stats.binom.pmf(np.arange(n + 1), n, share)[held].sum() >= 0.95


def test_of_one_value_there_is_no_interval():
    with pytest.raises(ValueError, match=r"values must have shape \(n,\) with n >= 2, got \(1,\)"):
        student_t_interval([1.0])


def test_page_counts_the_orders_that_rise_as_much():
    values = np.array([[0.1, 0.3, 0.2], [0.1, 0.2, 0.3], [0.2, 0.1, 0.3]])
    ranks = stats.rankdata(values, axis=1)

    def statistic(lines):
        return (np.sum(lines, axis=0) * [1, 2, 3]).sum()

    orders = itertools.product(itertools.permutations([1, 2, 3]), repeat=3)
    as_large = [statistic(lines) >= statistic(ranks) for lines in orders]
    assert page_trend_test(values) == pytest.approx((statistic(ranks), np.mean(as_large)))
    with pytest.raises(ValueError, match="values must have three columns or more"):
        page_trend_test(values[:, :2])


def test_rank_correlation_is_the_mean_of_pearsons_of_ranks():
    levels, values = [1, 3, 10, 20], np.random.default_rng(0).normal(size=(6, 4))
    expected = np.mean([np.corrcoef(range(4), stats.rankdata(line))[0, 1] for line in values])
    assert mean_rank_correlation(levels, values) == pytest.approx(expected)
    assert mean_rank_correlation(levels, np.exp([[1, 2, 3, 4]])) == pytest.approx(1)


@pytest.mark.parametrize(
    ("levels", "values", "message"),
    [
        ([1, 1], [[1, 2]], "levels are all equal"),
        ([1, 2], [[1, 2], [3, 3]], r"values holds blocks that are all equal.* \[1\]"),
        ([1, 2, 3], [[1, 2]], "values must have a column for each of 3 levels"),
    ],
)
def test_what_has_no_order_is_refused(levels, values, message):
    with pytest.raises(ValueError, match=message):
        mean_rank_correlation(levels, values)
