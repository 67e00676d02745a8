"""Beside table II: other classifiers, and what flows gain when they share their samples."""

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from companion.em_gm.table_2 import context as table_2_context
from companion.em_gm.table_2 import sharing
from companion.em_gm.table_2.data import Cell, load_cell
from companion.runs.experiment import RunContext
from companion.runs.registry import find


def run(experiment, folder, **values):
    config = experiment.configure("smoke", **values)
    return experiment.run(config, RunContext(checkpoint=folder, progress=False))


@pytest.mark.parametrize("module", [table_2_context, sharing])
def test_they_are_registered(module):
    assert find(module.EXPERIMENT.name) is module.EXPERIMENT


def test_a_classifier_is_searched_on_the_training_split_alone(tmp_path, monkeypatch):
    """Other test labels change the accuracy, and not what was chosen."""
    cell = load_cell("digits", "kNN")
    rows = []
    for y_test in (cell.y_test, (cell.y_test + 1) % 10):
        changed = type(cell)(
            cell.x_train, cell.y_train, cell.x_test, y_test, cell.log_unit, cell.class_prior
        )
        monkeypatch.setattr(table_2_context, "load_cell", lambda *_, cell=changed: cell)
        result = run(table_2_context.EXPERIMENT, tmp_path, model="kNN", folds=2)
        rows.append(result.rows.iloc[0])
    assert rows[0]["setting"] == rows[1]["setting"]
    assert rows[0]["value"] > 0.95
    assert rows[1]["value"] < 0.1


def test_parameters_are_chosen_on_whole_objects(monkeypatch):
    """Copies of an object are near it: within objects one neighbour is right, across them never."""
    rng = np.random.default_rng(0)
    group, y = np.repeat(np.arange(20), 10), np.repeat(np.arange(20) % 2, 10)
    x = rng.normal(size=(20, 5))[group] + 0.01 * rng.normal(size=(200, 5))
    config = table_2_context.EXPERIMENT.configure("smoke", folds=5)
    model = table_2_context.classifier("kNN", 0)
    scores = []
    monkeypatch.setattr(table_2_context, "GRIDS", {"kNN": {"n_neighbors": [1]}})

    class Recorded(GridSearchCV):
        def fit(self, *args, **kwargs):
            super().fit(*args, **kwargs)
            scores.append(self.best_score_)
            return self

    monkeypatch.setattr(table_2_context, "GridSearchCV", Recorded)
    for groups in (None, group):
        cell = Cell(x, y, x, y, 0.0, np.ones(2) / 2, group=groups)
        table_2_context._search(config, model, cell)
    assert scores[0] == 1
    assert scores[1] < 0.9


def test_the_smoke_plan_of_the_context_runs(tmp_path):
    for config in table_2_context.EXPERIMENT.configs("smoke"):
        context = RunContext(checkpoint=tmp_path, progress=False)
        assert table_2_context.EXPERIMENT.run(config, context).rows["value"].min() > 0.95


@pytest.mark.parametrize("model", table_2_context.RANDOM)
def test_seeds_differ_where_a_model_draws(model, monkeypatch):
    monkeypatch.setattr(table_2_context, "TREES", 10)
    x, y = np.random.default_rng(0).normal(size=(200, 3)), np.arange(200) % 2
    scores = [
        table_2_context.classifier(model, seed).fit(x[:150], y[:150]).predict_proba(x[150:])
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert not np.array_equal(scores[0], scores[2])


def test_the_context_plan_repeats_random_models_only():
    counts = {}
    for config in table_2_context.EXPERIMENT.configs("laptop"):
        key = config.dataset, config.model
        counts[key] = counts.get(key, 0) + 1
    assert counts["letter", "kNN"] == counts["satimage", "QDA"] == 1
    assert counts["letter", "random forest"] == 5


def test_a_single_flow_gains_nothing_and_owns_all(tmp_path):
    result = run(sharing.EXPERIMENT, tmp_path, n_components=1, epochs=2)
    values = result.rows.set_index("metric")["value"]
    for part in ("train", "test"):
        assert values[f"{part}_accuracy"] == values[f"mean_flow_{part}_accuracy"]
        assert values[f"{part}_nll"] == pytest.approx(values[f"mean_flow_{part}_nll"])
        assert values[f"{part}_posterior_entropy"] == pytest.approx(0)
        assert values[f"{part}_largest_responsibility"] == pytest.approx(1)
    assert values["effective_components"] == pytest.approx(1)


def test_measures_agree_with_the_classifier(tmp_path):
    config = sharing.EXPERIMENT.configure("smoke", n_components=2, n_blocks=2, epochs=3)
    cell = load_cell("digits", "GenMM")
    context = RunContext(checkpoint=tmp_path, progress=False)
    model = sharing.fit(config, context, "full", cell)
    metrics = sharing.measure(model, cell)
    log_prob = model.log_prob_classes(cell.x_test)
    own = log_prob[np.arange(len(cell.y_test)), cell.y_test]
    assert metrics["test_nll"] == pytest.approx(-own.mean())
    assert metrics["test_accuracy"] == (log_prob.argmax(1) == cell.y_test).mean()
    # Densities pool with equal weights, so log of their mean exceeds the mean of their logs.
    assert metrics["test_nll"] <= metrics["mean_flow_test_nll"]
    assert metrics["effective_components"] == pytest.approx(2)


def test_every_way_has_a_setting_of_its_own():
    configs = sharing.EXPERIMENT.configs("laptop")
    ways = {(c.dataset, c.n_blocks, c.posterior_temperature) for c in configs}
    assert len(ways) == 2 * len(sharing.WAYS)
    assert {c.validation_fraction for c in configs} == {0.0}
