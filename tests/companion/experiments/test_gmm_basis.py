"""GMM-basis at the smoke profile: rows, answers, losses, baselines, claims, the pages' tables."""

import matplotlib as mpl
import numpy as np
import pytest
from scipy.stats import norm, ttest_rel
from sklearn.neighbors import KernelDensity

mpl.use("Agg")
from companion.evidence.answers import answer
from companion.evidence.catalogue import Catalogue
from companion.evidence.questions import load_targets
from companion.evidence.status import status_table
from companion.figures import basis as pictures
from companion.figures import basis_tables
from companion.figures.basis_findings import findings
from companion.gmm_basis import baselines as others
from companion.gmm_basis import common as shared
from companion.gmm_basis import figures as drawn
from companion.gmm_basis.table_1 import IMPROVED
from companion.runs.experiment import RunContext
from companion.runs.registry import find
from companion.runs.runner import execute
from companion.runs.store import Store
from mixflow import BasisDensity

NAMES = ("table-1", "table-2", "table-3", "figures-1-7", "findings")
TARGETS = [t for t in load_targets() if t.paper == "gmm-basis"]
SHOWN = (*(f"table-{n}" for n in (1, 2, 3)), *(f"figure-{n}" for n in (1, 2, 4, 5, 6)))
ALGORITHMS = ("algorithm-1", "algorithm-2")
RULE = ("improved rule", f"sigma={IMPROVED} n=200 N=5000")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("results"))
    for name in NAMES:
        experiment = find(f"gmm-basis/{name}")
        for config in experiment.configs("smoke"):
            execute(experiment, config, store, progress=False)
    return store


@pytest.fixture(scope="module")
def runs(store):
    return {name: list(store.runs(f"gmm-basis/{name}")) for name in NAMES}


def test_every_target_has_its_rows(store):
    table = status_table(store, [t for t in TARGETS if t.item in SHOWN])
    found = table.groupby(["item", "model", "setting"])["verdict"].agg(set)
    assert len(found) == 26 + 2 + 5
    assert all("smoke only" in verdicts for verdicts in found)


@pytest.mark.parametrize("target", [t for t in TARGETS if t.value], ids=lambda target: target.id)
def test_smoke_is_near_the_published(store, target):
    of = answer(target)
    found = Catalogue.of(store).find(of.our_recipe or of.as_published)
    assert found.smoke
    assert np.mean([row.value for row in found.rows]) == pytest.approx(target.value, rel=0.5)


@pytest.mark.parametrize("name", NAMES)
def test_the_laptop_plan_is_five_batches_of_the_published_size(name):
    configs = find(f"gmm-basis/{name}").configs("laptop")
    assert [c.seed for c in configs] == [0, 1, 2, 3, 4]
    if name != "figures-1-7":
        assert {c.n_targets for c in configs} == {200}


def test_equal_configs_give_equal_rows(runs, tmp_path):
    experiment = find("gmm-basis/figures-1-7")
    config = experiment.configs("smoke")[0]
    again = experiment.run(config, RunContext(checkpoint=tmp_path, progress=False))
    assert again.rows.equals(runs["figures-1-7"][0].rows)


# What is shared ------------------------------------------------------------------------------


def test_a_target_is_the_same_in_batches_of_any_size():
    few, many = (shared.draw("mixed", n, 50, seed=3) for n in (2, 4))
    np.testing.assert_array_equal(few.x, many.x[:, :2])
    other = shared.draw("mixed", 2, 50, seed=4)
    assert not np.array_equal(few.x, other.x)


def test_losses_of_rules_and_of_the_estimator_agree():
    sample = shared.draw("gaussians", 3, 800, seed=0)
    grid = shared.bin_sample(sample, 60)

    def cdf(x):
        return np.stack([t.cdf(c) for t, c in zip(sample.targets, x.T, strict=True)], axis=1)

    for rule, settings in (
        (shared.algorithm_1(2), {"sigma": 2.0, "algorithm": 1}),
        (shared.algorithm_2(3, step=0.1), {"sigma": 3.0, "step": 0.1}),
        (shared.improved(), {"sigma": "isj", "em_steps": 1}),
        (shared.improved(1.0, 0), {"sigma": "isj"}),
    ):
        model = BasisDensity(60, **settings).fit(sample.x)
        np.testing.assert_allclose(grid.loss(rule(grid.counts)), model.loss(cdf), rtol=1e-10)


def test_a_histogram_loses_the_difference_of_its_shares():
    grid = shared.bin_sample(shared.draw("gaussians", 2, 500, seed=0), 40)
    shares = grid.counts / 500
    tails = grid.target_cdf[:, 0] + 1 - grid.target_cdf[:, -1]
    expected = np.abs(shares - np.diff(grid.target_cdf, axis=1)).sum(1) + tails
    np.testing.assert_allclose(grid.loss(shared.histogram(grid.counts)), expected, atol=1e-9)


def test_parts_of_a_grid_keep_their_targets():
    grid = shared.bin_sample(shared.draw("gaussians", 4, 300, seed=0), 30)
    rule = shared.algorithm_2(2)
    losses = grid.loss(rule(grid.counts))
    part, one = grid.first(2), grid.only(3)
    np.testing.assert_allclose(part.loss(rule(part.counts)), losses[:2])
    np.testing.assert_allclose(one.loss(rule(one.counts)), losses[3:])


# Baselines -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def points():
    return np.random.default_rng(0).normal(0, 1, 3000), np.linspace(-4, 4, 81)


@pytest.mark.parametrize("key", list(others.estimators()))
def test_estimators_find_a_normal(points, key):
    x, borders = points
    estimate = (lambda x, b: others.em_gmm(x, b, 1)) if key == ("EM-GMM", "k=8") else None
    values = (estimate or others.estimators()[key])(x, borders)
    assert np.abs(values - norm.cdf(borders)).max() < 0.03
    assert (np.diff(values) >= 0).all()


def test_kernel_estimates_are_scikit_learns(points):
    x, borders = points
    bandwidth = 1.06 * x.std() * len(x) ** -0.2
    fine = np.linspace(-8, 4, 6001)
    density = np.exp(
        KernelDensity(bandwidth=bandwidth).fit(x[:, None]).score_samples(fine[:, None])
    )
    values = others.kde_scott(x, borders)
    np.testing.assert_allclose(np.trapezoid(density, fine), values[-1], atol=1e-5)


def test_bic_does_not_take_eight_components_for_one(points):
    x, borders = points
    by_bic, eight = others.em_gmm_bic(x, borders), others.em_gmm(x, borders, 8)
    truth = norm.cdf(borders)
    assert np.abs(by_bic - truth).sum() < np.abs(eight - truth).sum()


def test_weights_on_the_basis_reach_their_optimum():
    grid = shared.bin_sample(shared.draw("gaussians", 2, 2000, seed=1), 50)
    start = shared.algorithm_2(2)(grid.counts)[0]
    shares = grid.counts / grid.counts.sum(1, keepdims=True)

    def squares(weights):
        centres, edges = np.arange(50) + 0.5, np.arange(51)
        masses = np.diff(norm.cdf(edges[:, None], centres, 2.0), axis=0)
        return ((weights @ masses.T - shares) ** 2).sum(1)

    def likelihood(weights):
        from mixflow.basis import cell_masses

        return (grid.counts * np.log(cell_masses(weights, 2.0)[:, 1:-1])).sum(1)

    assert (squares(others.nnls_weights(grid.counts, 2.0)) < squares(start)).all()
    assert (likelihood(others.likelihood_weights(grid.counts, 2.0)) > likelihood(start)).all()


# Claims --------------------------------------------------------------------------------------


def test_crossings_are_counted_within_two_cells():
    n, per_cell, margin = 6, drawn.PER_CELL, drawn.MARGIN
    u = drawn.positions(n)
    wave = np.sin(np.pi * (u - 0.3))  # crosses zero once a cell
    assert (drawn.crossings(wave, n) == 2).all()
    assert (drawn.crossings(np.abs(wave) + 1, n) == 0).all()
    once = np.where(u < 2.2, -1.0, 1.0)  # within a cell of the means 1.5 and 2.5
    assert drawn.crossings(once, n).tolist() == [0, 1, 1, 0, 0, 0]
    assert len(u) == (n + 2 * margin) * per_cell


def test_unwanted_crests_have_no_counterpart():
    u = drawn.positions(40)
    truth = norm.pdf(u, 10, 3) + norm.pdf(u, 30, 3)
    assert drawn.unwanted_crests(truth, truth) == 0
    shifted = norm.pdf(u, 11, 3) + norm.pdf(u, 29, 3)
    assert drawn.unwanted_crests(shifted, truth) == 0
    crest = 0.3 * norm.pdf(u, 20, 1)  # where the target has its sag
    assert drawn.unwanted_crests(truth + crest, truth) == 1
    assert drawn.unwanted_crests(truth, truth + crest) == 0


# The pages' tables and figures ---------------------------------------------------------------


def test_comparison_has_the_means_of_the_rows(runs):
    table = basis_tables.comparison(runs["table-1"], basis_tables.keys_of(runs["table-1"]))
    rows = runs["table-1"][0].rows
    one = table[(table["method"] == "algorithm-2") & (table["setting"] == "sigma=2r")].iloc[0]
    chosen = rows[(rows["model"] == "algorithm-2") & rows["setting"].str.startswith("sigma=2r")]
    values = chosen.set_index("metric")["value"]
    assert one["L"] == pytest.approx(values["L"])
    assert one["standard error"] == pytest.approx(values["L_standard_error"])
    assert (table["ms"] > 0).all()
    assert table["L"].is_monotonic_increasing


def test_the_paired_comparison_is_against_the_best_cell(runs):
    test = basis_tables.paired(runs["table-1"], RULE, ALGORITHMS)
    means = {
        key: basis_tables.losses(runs["table-1"], *key).mean()
        for key in basis_tables.keys_of(runs["table-1"])
        if key[0] in ALGORITHMS
    }
    assert test["paper"].mean() == pytest.approx(min(means.values()))
    assert test["t"] == pytest.approx(ttest_rel(test["paper"], test["ours"]).statistic)
    rows = runs["table-1"][0].rows
    stored = rows[rows["metric"] == "paired_gain"]["value"].item()
    assert test["gain"] == pytest.approx(stored)


def test_sampling_of_published_means(runs):
    targets = [t for t in TARGETS if t.item == "table-1" and t.value is not None]
    table = basis_tables.published_sampling(runs["table-1"], targets, 20)
    assert len(table) == 6
    assert ((table["low"] < table["ours"]) & (table["ours"] < table["high"])).all()
    assert table["share"].between(0, 1).all()


def test_findings_are_all_measured(runs):
    numbers = [t for t in TARGETS if t.value is not None]
    rows = runs["findings"][0].rows
    table = findings(rows, runs["table-1"], runs["table-3"], numbers).set_index("finding")
    assert len(table) == 12
    for words in ("L cannot see inside a cell", "One outlier breaks r"):
        assert table.loc[words, "holds"]
    assert not table["measured"].str.contains("nan").any()


def test_figures_are_drawn_with_labels(runs):
    arrays = runs["figures-1-7"][0].arrays
    test = basis_tables.paired(runs["table-1"], RULE, ALGORITHMS)
    compared = basis_tables.comparison(runs["table-1"], basis_tables.keys_of(runs["table-1"]))
    figures = [
        pictures.crossing_region(arrays),
        pictures.two_targets(arrays),
        pictures.start(arrays, 200),
        pictures.fit_of(arrays, 1),
        pictures.six_fits(arrays),
        pictures.kernels(),
        pictures.series(compared.set_index("ms")[["L"]], x="a", y="b", levels={"level": 0.1}),
        pictures.loss_against_time({"a": compared, "b": compared}),
        pictures.gains({"a": (test["paper"], test["ours"])}),
    ]
    for figure in figures:
        assert all(axes.get_xlabel() or axes.get_shared_x_axes() for axes in figure.axes)
        mpl.pyplot.close(figure)
