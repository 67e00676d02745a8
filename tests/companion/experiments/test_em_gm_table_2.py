"""Table II on digits, small: what a run gives, and that a cut one ends alike."""

from typing import get_args

import numpy as np
import pytest

from companion.em_gm.table_2 import experiment as table_2
from companion.em_gm.table_2.config import Table2
from companion.em_gm.table_2.data import (
    Cell,
)
from companion.em_gm.table_2.experiment import EXPERIMENT, _test_metrics
from companion.em_gm.table_2.fit import _classifier_parameters
from companion.em_gm.table_2.recipes import (
    COMPONENTS,
    GAUSSIANS,
    OF_VIEWS,
    Model,
    n_blocks,
    recipe,
)
from companion.runs.config import ParameterError
from companion.runs.experiment import RunContext
from companion.runs.places import published_root
from companion.runs.registry import find
from companion.runs.store import Store
from mixflow.estimators import MixtureClassifier
from mixflow.training.resume import Saver

PLAIN = {"GenMM, eight views": "GenMM", "GMM, eight views": "GMM full covariance"}
SMALL = {"epochs": 4, "evaluate_every": 2, "n_components": 2}


def context(folder):
    return RunContext(checkpoint=folder, progress=False)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    config = EXPERIMENT.configure("smoke", **SMALL)
    return config, EXPERIMENT.run(config, context(tmp_path_factory.mktemp("whole")))


def test_it_is_registered():
    assert find("em-gm/table-2") is EXPERIMENT


def test_a_run_gives_every_metric_and_a_curve(small):
    _, result = small
    values = result.rows.set_index("metric")["value"]
    assert set(values.index) == {
        *("test_accuracy_last_epoch", "test_accuracy_best_on_test", "test_nll"),
        *("test_accuracy_validation_chosen", "validation_accuracy"),
    }
    assert values["test_accuracy_last_epoch"] > 0.9
    assert result.arrays["epoch"].tolist() == [2, 4]
    assert result.arrays["test_accuracy"].max() == values["test_accuracy_best_on_test"]
    assert values["test_accuracy_validation_chosen"] in result.arrays["test_accuracy"]
    np.testing.assert_allclose(result.arrays["weights"].sum(1), 1)


@pytest.mark.parametrize("saves", [1, 5, 12])
def test_a_run_that_was_cut_ends_as_one_that_was_not(small, tmp_path, monkeypatch, saves):
    """Checkpoints at every step; the run dies after some of them, then is given again."""
    config, whole = small
    count, save = 0, Saver.save

    def save_and_die(self, state):
        nonlocal count
        save(self, state)
        count += 1
        if count == saves:
            raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(Saver, "due", lambda self: True)
        patch.setattr(Saver, "save", save_and_die)
        with pytest.raises(SystemExit):
            EXPERIMENT.run(config, context(tmp_path))
    result = EXPERIMENT.run(config, context(tmp_path))
    assert result.rows.equals(whole.rows)
    for name, array in whole.arrays.items():
        np.testing.assert_array_equal(result.arrays[name], array)


def test_the_recipe_is_in_the_config():
    config = EXPERIMENT.configure("laptop", n_components=20)
    assert (config.n_blocks, config.noise, config.dataset) == (4, 0.2, "letter")
    other = EXPERIMENT.configure("laptop", n_components=20, noise=0.1)
    assert other.noise == 0.1
    assert other.digest() != config.digest()


def test_a_parameter_of_another_model_is_refused():
    with pytest.raises(ParameterError, match="no parameter epochs"):
        EXPERIMENT.configure("laptop", model="GMM full covariance", epochs=3)
    with pytest.raises(ParameterError, match="did you mean 'n_components'"):
        EXPERIMENT.configure("laptop", n_component=3)


def test_the_plan_has_every_cell():
    configs = EXPERIMENT.configs("laptop")
    cells = {(c.model, c.n_components) for c in configs}
    assert {k for model, k in cells if model == "GenMM"} == set(COMPONENTS)
    ours = [c for c in configs if c.model == "GenMM"]
    for dataset in ("letter", "satimage"):
        here = [c for c in ours if c.dataset == dataset]
        assert len([c for c in here if c.split_seed == 0]) == 5 * len(COMPONENTS)
    assert {c.split_seed for c in ours} == set(range(5))


def test_the_paper_profile_has_norb_too():
    configs = [c for c in EXPERIMENT.configs("paper") if c.dataset == "norb"]
    assert {(c.model, c.n_components, c.seed) for c in configs} == {
        (model, k, seed)
        for model in ("GenMM", "GenMM as published", "GMM full covariance")
        for k in COMPONENTS
        for seed in range(3)
    }


def test_the_laptop_profile_has_norb_at_a_quarter_of_the_side():
    configs = [c for c in EXPERIMENT.configs("laptop") if c.dataset.startswith("norb")]
    assert {c.dataset for c in configs} == {"norb-8x16-normalised"}
    assert {(c.n_components, c.seed) for c in configs if c.model == "GenMM"} == {
        (k, seed) for k in COMPONENTS for seed in range(3)
    }
    assert {c.model for c in configs} == set(get_args(Model)) - {"GenMM as published", *OF_VIEWS}


def test_a_model_without_a_recipe_is_refused():
    with pytest.raises(ParameterError, match="no recipe of 'GenMM as published'.*'GenMM'"):
        EXPERIMENT.configure("laptop", dataset="norb-8x16", model="GenMM as published")


@pytest.mark.parametrize("model", PLAIN)
def test_models_of_views_tell_a_turned_test_window_as_it_was(model, monkeypatch, tmp_path):
    """Classes differ in a corner, that of test windows is another one."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 100)
    windows = rng.normal(size=(200, 3, 3, 4))
    windows[y == 0, 0, 0] += 6
    turned = [windows, np.rot90(windows, 2, axes=(1, 2))]
    x, x_test = (part.reshape(200, 36) for part in turned)
    cell = Cell(x, y, x_test, y, 0.0, np.ones(2) / 2)
    monkeypatch.setattr(table_2, "load_cell", lambda *_: cell)
    short = {} if model in GAUSSIANS else {"epochs": 3, "evaluate_every": 1}
    accuracy = []
    for name in (model, PLAIN[model]):
        config = EXPERIMENT.configure("laptop", dataset="satimage", model=name, **short)
        rows = EXPERIMENT.run(config, context(tmp_path / name)).rows
        accuracy.append(rows.set_index("metric")["value"]["test_accuracy_last_epoch"])
    assert accuracy[0] > 0.95
    assert accuracy[1] < 0.9


@pytest.mark.parametrize(
    ("dataset", "model", "shape"),
    [
        ("letter", "GenMM", None),
        ("letter", "GenMM as published", (1, 4, 4)),
        ("norb", "GenMM", (1, 16, 32)),
        ("norb", "GenMM as published", (1, 32, 64)),
        ("norb-8x16", "GenMM", None),
    ],
)
def test_a_model_is_told_what_it_takes(dataset, model, shape):
    config = EXPERIMENT.configure("paper", dataset=dataset, model=model)
    cell = Cell(*[np.zeros(1)] * 4, 0.0, np.ones(1))
    told = _classifier_parameters(config, cell)
    assert told.get("image_shape") == shape
    assert ("dropout" in told) == (shape is None)
    assert told.get("n_levels", 1) == (3 if dataset == "norb" else 1)
    assert (told.get("schedule") == "noam") == (model == "GenMM as published")
    MixtureClassifier(**told)


@pytest.mark.parametrize(
    ("model", "flows", "sources", "shared"),
    [
        ("GenMM", 4, 0, 0),
        ("LatMM", 1, 4, 0),
        ("GenMM of LatMMs", 4, 2, 0),
        ("common and individual", 4, 0, 4),
    ],
)
def test_models_between_share_what_their_names_say(model, flows, sources, shared):
    config = EXPERIMENT.configure("laptop", dataset="satimage", model=model, n_components=4)
    told = _classifier_parameters(config, Cell(*[np.zeros(1)] * 4, 0.0, np.ones(1)))
    estimator = MixtureClassifier(**told)
    found = estimator.n_components, estimator.n_sources, estimator.shared_layers
    assert found == (flows, sources, shared)
    assert estimator.n_layers + shared == config.n_layers
    assert config.m_step == ("dense" if model == "LatMM" else "sparse")


@pytest.mark.parametrize(("k", "size", "blocks"), [(1, 5, 1), (7, 3, 1), (10, 5, 2), (20, 5, 4)])
def test_blocks_divide_the_components(k, size, blocks):
    assert n_blocks(k, size) == blocks


def test_stored_runs_are_what_their_config_says_today():
    """Recipes and fields may not change under runs that are stored."""
    name, planned = EXPERIMENT.name, {c.digest() for c in EXPERIMENT.configs("laptop")}
    runs = list(Store(published_root()).runs(name))
    assert len(runs) >= 74
    for run in runs:
        assert Table2(**run.config).digest() == run.digest
        assert run.digest in planned


def test_recipes_are_those_of_the_data_set():
    letter = EXPERIMENT.configure("laptop", dataset="letter", n_components=20)
    satimage = EXPERIMENT.configure("laptop", dataset="satimage", n_components=20)
    filled = recipe("satimage", "GenMM", 20)
    assert {n: getattr(satimage, n) for n in filled} == filled
    assert {n: getattr(letter, n) for n in filled} != filled
    as_published = EXPERIMENT.configure("laptop", dataset="satimage", model="GenMM as published")
    assert (as_published.batch_size, as_published.n_layers, as_published.n_blocks) == (200, 12, 1)


def test_priors_are_the_shares_of_the_classes_where_they_differ():
    """Two classes whose densities tie: the more frequent one wins, unless priors are uniform."""
    y = np.array([0, 1, 1, 1])
    cell = Cell(np.zeros((4, 1)), y, np.zeros((4, 1)), y, 0.0, np.array([0.25, 0.75]))
    config = EXPERIMENT.configure("laptop", dataset="satimage")
    metrics = _test_metrics(config, cell, np.full((4, 2), -3.0))
    assert metrics == {
        "test_accuracy_last_epoch": 0.75,
        "test_accuracy_class_priors": 0.75,
        "test_accuracy_uniform_priors": 0.25,
        "test_nll": 3.0,
    }
