"""What a generative classifier gives, on digits and on small sets with known answers."""

import numpy as np
import pytest
import torch
from scipy.integrate import trapezoid
from scipy.special import logsumexp
from sklearn.mixture import GaussianMixture

from companion.em_gm.classifier.components import components
from companion.em_gm.classifier.doubt import prior_shift, thinned
from companion.em_gm.classifier.experiment import EXPERIMENT
from companion.em_gm.classifier.gaussians import fit_gaussians
from companion.em_gm.classifier.growth import adding_classes
from companion.em_gm.classifier.missing import marginal_of_flows
from companion.em_gm.classifier.models import (
    Models,
    Task,
    divide,
    finite_log_proba,
    fit_rival,
    mixture_of,
)
from companion.em_gm.table_2.data import load_cell
from companion.runs.config import ParameterError
from companion.runs.experiment import RunContext
from companion.runs.registry import find
from mixflow import MixtureClassifier

SMALL = {"epochs": 3, "trees": 10, "n_draws": 2, "missing_samples": 40}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    config = EXPERIMENT.configure("smoke", **SMALL)
    context = RunContext(checkpoint=tmp_path_factory.mktemp("run"), progress=False)
    return EXPERIMENT.run(config, context)


@pytest.fixture(scope="module")
def plane():
    """Four classes in the plane, each two blobs."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(4), 120)
    centres = rng.normal(scale=4, size=(4, 2, 2))
    x = centres[y, rng.integers(2, size=len(y))] + rng.normal(size=(len(y), 2))
    return x, y


@pytest.fixture(scope="module")
def fitted(plane):
    x, y = plane
    flows = MixtureClassifier(2, max_epochs=15, noise=0.2, init="gmm", random_state=0).fit(x, y)
    return flows, fit_gaussians(x, y, n_components=2, reg_covar=0.05, seed=0)


def value(result, model, setting, metric):
    rows = result.rows
    chosen = (rows["model"] == model) & (rows["setting"] == setting) & (rows["metric"] == metric)
    (found,) = rows[chosen]["value"]
    return found


def test_it_is_registered():
    assert find("em-gm/classifier") is EXPERIMENT
    assert len(EXPERIMENT.configs("laptop")) == 5


def test_the_recipe_is_in_the_config():
    config = EXPERIMENT.configure("laptop", n_components=20)
    assert (config.n_blocks, config.noise, config.epochs) == (4, 0.2, 120)
    assert (
        EXPERIMENT.configure("laptop", noise=0.1).digest()
        != EXPERIMENT.configure("laptop").digest()
    )


def test_the_retrained_rival_is_one_of_them():
    with pytest.raises(ParameterError, match="not among the rivals"):
        EXPERIMENT.configure("smoke", retrained="histogram gradient boosting")


def test_a_run_answers_every_question(small):
    found = {(model, metric) for model, metric in small.rows[["model", "metric"]].to_numpy()}
    models = ("GenMM", "GMM full covariance", "random forest")
    everyone = ("accuracy", "log_loss", "calibration_error", "area_accuracy_coverage")
    everyone += ("accuracy_estimated_priors", "auroc_unseen", "accuracy_missing")
    assert {(model, metric) for model in models for metric in everyone} <= found
    assert ("GenMM", "effective_components") in found
    assert small.rows["value"].notna().all()
    assert not small.rows.duplicated(["model", "setting", "metric"]).any()


def test_a_run_finds_what_it_should_on_digits(small):
    assert value(small, "GenMM", "as fitted", "accuracy") > 0.9
    assert value(small, "GenMM", "density of x", "auroc_unseen") > 0.9
    last = value(small, "GenMM", "classes added, 10 classes", "accuracy_so_far")
    assert last > 0.9
    assert small.costs["GenMM, classes added, 10 classes"] > 0
    assert small.arrays["component means"].shape[:2] == (10, 2)


def test_gaussians_are_those_of_scikit_learn(plane):
    x, y = plane
    ours = fit_gaussians(x, y, n_components=2, reg_covar=0.05, seed=0)
    z = (x - x.mean(0)) / x.std(0)
    theirs = GaussianMixture(2, reg_covar=0.05, random_state=0, max_iter=200).fit(z[y == 1])
    expected = theirs.score_samples(z) - np.log(x.std(0)).sum()
    np.testing.assert_allclose(ours.log_prob_classes(x)[:, 1], expected, rtol=1e-8)


def test_a_marginal_is_the_integral(plane, fitted):
    x, _ = plane
    _, gaussians = fitted
    grid = np.linspace(-40, 40, 4001)
    points = np.column_stack([np.full_like(grid, x[0, 0]), grid])
    integral = trapezoid(np.exp(gaussians.log_prob_classes(points)), grid, axis=0)
    marginal = gaussians.marginal(np.array([0])).log_prob_classes(x[:1, :1])
    np.testing.assert_allclose(np.exp(marginal[0]), integral, rtol=1e-6)


def test_completions_have_the_conditional_mean(plane, fitted):
    x, _ = plane
    _, gaussians = fitted
    drawn = gaussians.complete(2, x[:3], np.array([1]), 20_000, np.random.default_rng(0))
    assert (drawn[:, :, 0] == x[:3, 0]).all()
    grid = np.linspace(-40, 40, 4001)
    for n in range(3):
        points = np.column_stack([np.full_like(grid, x[n, 0]), grid])
        density = np.exp(logsumexp(gaussians.log_joint_of(2, points), axis=1))
        mean = trapezoid(density * grid, grid) / trapezoid(density, grid)
        assert drawn[:, n, 1].mean() == pytest.approx(mean, abs=0.1)


def test_the_estimated_marginal_of_flows_is_the_integral(plane, fitted):
    x, y = plane
    flows, gaussians = fitted
    grid = np.linspace(-20, 20, 801)
    rng = np.random.default_rng(0)
    log_prob, efficiency = marginal_of_flows(flows, gaussians, x[::80], np.array([1]), 500, rng)
    for n, c in enumerate(y[::80]):
        points = np.column_stack([np.full_like(grid, x[80 * n, 0]), grid])
        integral = trapezoid(np.exp(flows.log_prob_classes(points)[:, c]), grid)
        assert log_prob[n, c] == pytest.approx(np.log(integral), abs=0.2)
    assert (efficiency > 0).all()
    assert (efficiency <= 1 + 1e-12).all()


@pytest.mark.parametrize("name", ["random forest", "histogram gradient boosting"])
def test_log_posteriors_of_rivals_are_finite(plane, name):
    x, y = plane
    model = fit_rival(EXPERIMENT.configure("smoke", trees=5), name, x, y)
    log_proba = finite_log_proba(model, x)
    assert np.isfinite(log_proba).all()
    np.testing.assert_allclose(np.exp(log_proba), model.predict_proba(x), atol=1e-12)


def test_thinned_classes_fall_geometrically():
    y = np.repeat(np.arange(3), 100)
    rows = thinned(y, 25, np.random.default_rng(0))
    assert sorted(np.bincount(y[rows])) == [4, 20, 100]
    assert len(set(rows)) == len(rows)


def test_true_priors_help_where_classes_overlap():
    """Two classes whose densities say nothing: only the prior decides."""
    y = np.repeat([0, 1], 500)
    scored = {("flat", "as fitted"): np.full((1000, 2), np.log(0.5))}
    rows = prior_shift(scored, y, np.array([0.5, 0.5]), (9,), 0).rows
    values = {metric: found for _, _, metric, found in rows}
    assert values["accuracy_true_priors"] == pytest.approx(0.9, abs=0.01)
    assert values["prior_distance_old"] == pytest.approx(0.4, abs=0.01)


def test_the_task_keeps_parts_apart():
    config = EXPERIMENT.configure("smoke")
    cell = load_cell("digits", "GenMM")
    task = divide(cell, config)
    assert len(task.x) + len(task.x_held) == len(cell.x_train)
    assert set(task.known) | set(task.new) == set(range(10))
    assert not set(task.known) & set(task.new)
    with pytest.raises(ValueError, match="fewer than 2"):
        divide(cell, EXPERIMENT.configure("smoke", n_new=9))


@pytest.fixture
def growing(plane):
    """Models of two of the four classes, and of all."""
    x, y = plane
    config = EXPERIMENT.configure("smoke", n_new=2, trees=5)
    task = Task(x, y, x[::9], y[::9], x, y, new=np.array([1, 3]))

    def models(rows):
        flows = MixtureClassifier(2, max_epochs=3, random_state=0).fit(x[rows], y[rows])
        gaussians = fit_gaussians(x[rows], y[rows], n_components=2, reg_covar=0.05, seed=0)
        forest = fit_rival(config, "random forest", x[rows], y[rows])
        seconds = {"GenMM": 1.0, "random forest": 1.0}
        return Models(flows, gaussians, {"random forest": forest}, seconds)

    return models(np.isin(y, [0, 2])), models(y >= 0), task, config


def test_adding_leaves_other_classes_bit_identical(growing):
    early = growing[0]
    before = [mixture_of(early.flows, c).state_dict() for c in range(2)]
    found = adding_classes(*growing)
    assert early.flows.classes_.tolist() == [0, 1, 2, 3]
    for old, c in zip(before, (0, 2), strict=True):
        new = mixture_of(early.flows, c).state_dict()
        assert all(torch.equal(old[name], new[name]) for name in old)
    stages = [setting for model, setting, *_ in found.rows if model == "GenMM"]
    assert stages == [
        *(f"classes added, {n} classes" for n in (2, 3, 4)),
        "trained anew, 4 classes",
    ]


def test_a_run_stops_if_adding_changes_another_class(growing, monkeypatch):
    add = MixtureClassifier.add_class

    def careless(self, X, label):
        add(self, X, label)
        with torch.no_grad():
            next(self.mixture_.parameters()).add_(1e-12)
        return self

    monkeypatch.setattr(MixtureClassifier, "add_class", careless)
    with pytest.raises(RuntimeError, match="changed the parameters"):
        adding_classes(*growing)


def test_components_are_described_by_their_samples(plane, fitted):
    x, y = plane
    flows, _ = fitted
    found = components(flows, Task(x, y, x[:0], y[:0], x, y, np.array([3])))
    weights, means = found.arrays["component weights"], found.arrays["component means"]
    np.testing.assert_allclose(weights.sum(1), 1)
    z = (x - x.mean(0)) / x.std(0)
    for c in range(4):
        # Shares and means of the parts make up the mean of the class.
        shares = flows.mixture_.select(torch.arange(2 * c, 2 * c + 2)).posterior(
            torch.as_tensor(z[y == c])
        )
        whole = (shares.mean(0).numpy()[:, None] * means[c]).sum(0)
        np.testing.assert_allclose(whole, found.arrays["class means"][c], atol=1e-10)
        typical = found.arrays["typical samples"][c]
        assert all(np.isclose(z[y == c], sample).all(1).any() for sample in typical)
    effective = dict((metric, v) for _, _, metric, v in found.rows)["effective_components"]
    assert 1 <= effective <= 2
