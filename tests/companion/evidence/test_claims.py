"""Claims: each holds where its effect is, fails on noise, and says how often by luck."""

import itertools
import math

import numpy as np
import pytest
from claim_rows import row, rows_of
from scipy import stats

from companion.evidence.claims import LEFT_OUT, load_claims, statistics, trends
from companion.evidence.claims.base import levels

CLAIMS = load_claims()
REPEATS = 200
# As many of REPEATS as a test of level .05 passes by luck, but for one time in a thousand.
MOST = int(stats.binom.ppf(0.999, REPEATS, 0.05))
# Every figure and table of the papers that the project's list of targets makes claims of.
LISTED = {
    "em-gm": ["table-2", *(f"figure-{n}" for n in ("3", "4", "5", "6", "7a", "7b", "7c", "7d-f"))],
    "gmm-basis": [f"figure-{n}" for n in range(1, 14)],
    "vmonf": ["pinwheel-5", "pinwheel-3", "circles", "circles-semi", "mnist"],
}
by_name = pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.target.id)


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    """The chance is simulated again and again here; its exact value is tested elsewhere."""
    monkeypatch.setattr(statistics, "DRAWS", 200)
    monkeypatch.setattr(trends, "DRAWS", 500)
    trends._orders.cache_clear()
    yield
    trends._orders.cache_clear()


@by_name
def test_a_claim_holds_where_its_effect_is(claim):
    rng = np.random.default_rng(0)
    found = claim.test(rows_of(claim, rng, 1))
    assert found.holds is True
    assert found.p <= 0.05


@by_name
def test_noise_seldom_passes(claim):
    rng = np.random.default_rng(1)
    passed = sum(claim.test(rows_of(claim, rng, 0)).holds is True for _ in range(REPEATS))
    assert passed <= MOST


@by_name
def test_no_rows_tell_nothing(claim):
    found = claim.test([])
    assert found.holds is None
    assert found.n == 0


@by_name
def test_a_claim_says_what_it_tests(claim):
    assert claim.text
    assert claim.says
    assert claim.target.value is None
    assert claim.text in claim.target.note
    for word in ("ours" if claim.ours else "", claim.ours):
        assert word in claim.target.note


def test_claims_have_names_of_their_own():
    names = [claim.target.id for claim in CLAIMS]
    assert len(set(names)) == len(names)


def test_every_figure_has_a_claim_or_a_reason_why_not():
    there = {(claim.paper, claim.item) for claim in CLAIMS}
    listed = {(paper, item) for paper, items in LISTED.items() for item in items}
    assert listed == (there | set(LEFT_OUT)) - {("gmm-basis", "table-2")}
    assert not there & set(LEFT_OUT)


# The tests themselves -----------------------------------------------------------------------------


def test_a_trend_of_one_seed_has_the_chance_of_its_order():
    rises = trends.trend([[1, 2, 3, 4, 5]], [True])
    assert (rises.holds, rises.n, rises.statistic) == (True, 1, 1.0)
    assert rises.p == pytest.approx(1 / 120)
    assert rises.chance <= 0.05
    falls = trends.trend([[1, 2, 3, 4, 5]], [False])
    assert (falls.holds, falls.against) == (False, pytest.approx(1 / 120))
    orders = list(itertools.permutations(range(5)))
    as_high = [stats.spearmanr(range(5), order).statistic >= 0.8 - 1e-9 for order in orders]
    found = trends.trend([[1, 3, 2, 5, 4]], [True])
    assert found.statistic == pytest.approx(0.8)
    assert found.p == pytest.approx(sum(as_high) / 120)


def test_a_trend_of_too_few_levels_cannot_pass():
    found = trends.trend([[1, 2, 3]], [True])
    assert found.holds is None
    assert math.isnan(found.threshold)
    assert trends.trend([[1, 2]], [True]).n == 0


def test_a_trend_over_seeds_is_pages():
    rng = np.random.default_rng(0)
    table = np.arange(5) * 0.4 + rng.standard_normal((6, 5))
    ours = trends.trend(list(table), [True]).p
    assert ours == pytest.approx(stats.page_trend_test(table).pvalue, abs=0.02)


def test_all_measures_must_rise():
    up, down = np.arange(6.0), -np.arange(6.0)
    assert trends.trend([[up, up]], [True, True]).holds is True
    assert trends.trend([[up, down]], [True, True]).holds is False
    assert trends.trend([[up, down]], [True, False]).holds is True
    flat = trends.trend([[up, [1, 0, 2, 1, 3, 0]]], [True, True], flat=True)
    assert flat.holds is False


def test_means_are_students():
    values = [0.2, 0.5, 0.1, 0.4]
    found = statistics.above(values, 0.1)
    expected = stats.ttest_1samp(values, 0.1, alternative="greater").pvalue
    assert found.p == pytest.approx(expected)
    assert found.against == pytest.approx(1 - expected)
    assert statistics.above([1.0]).holds is None, "one seed tells nothing"
    several = statistics.above(np.array([[1, -1], [1.1, -1.2], [0.9, -0.8]]))
    assert several.holds is False
    assert several.statistic == pytest.approx(-1)


def test_means_pass_by_luck_at_their_level(monkeypatch):
    monkeypatch.setattr(statistics, "DRAWS", 20_000)
    one = statistics.above([0.2, 0.5, 0.1, 0.4])
    assert one.chance == pytest.approx(0.05, abs=0.006)
    apart = np.random.default_rng(0).standard_normal((8, 2))
    assert statistics.above(apart).chance < one.chance


def test_equivalence_is_two_tests():
    rng = np.random.default_rng(0)
    near = 0.002 * rng.standard_normal(6)
    assert statistics.within(near, 0.01).holds is True
    assert statistics.within(near + 0.05, 0.01).holds is False
    assert statistics.within(near - 0.05, 0.01).holds is False
    assert statistics.within(near + 0.01, 0.01).holds is None
    mixed = np.stack([near, near + 0.05], 1)
    assert statistics.within(mixed, 0.01).holds is False


def test_counts_are_exact():
    assert statistics.share_above(9, 10).p == pytest.approx(
        stats.binomtest(9, 10, 0.5, alternative="greater").pvalue
    )
    for held, verdict in ((0, False), (1, False), (4, None), (9, True)):
        assert statistics.share_above(held, 10).holds is verdict
    assert statistics.share_above(9, 10).chance == pytest.approx(11 / 1024)
    table = [[1, 9], [8, 2]]
    ours = statistics.less_often(1, 10, 8, 10)
    assert ours.p == pytest.approx(stats.fisher_exact(table, alternative="less").pvalue)
    assert ours.holds is True
    assert statistics.less_often(0, 10, 1, 10).holds is None
    assert statistics.less_often(9, 10, 1, 10).holds is False


def test_one_of_several_pays_for_its_luck():
    weak, strong = statistics.above([0.1, 0.2, 0.35]), statistics.above([1, 1.01, 0.99])
    assert weak.holds is True
    assert statistics.any_of([weak] * 3).holds is None
    assert statistics.any_of([weak, strong]).holds is True
    against = statistics.above([-1, -1.01, -0.99])
    assert statistics.any_of([against, against]).holds is False
    assert statistics.any_of([against, weak]).holds is not False


def test_levels_take_the_single_flow_for_every_model():
    rows = [row("IS", k, model="GenMM", setting=f"K={k}") for k in (1, 3)]
    rows += [row("IS", 10 * k, model="LatMM", setting=f"K={k}") for k in (3, 5)]
    (block,) = levels(rows, ["IS"], (1, 3, 5, 7), "LatMM")
    assert block.tolist() == [[1, 30, 50]]
