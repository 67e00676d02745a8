"""VMoNF's experiments in the plane: recipes, claims, stored models, and a tiny run of each."""

from typing import get_args

import numpy as np
import pytest

from companion.runs.config import ParameterError
from companion.runs.experiment import RunContext
from companion.runs.registry import find, names
from companion.runs.stale import is_retired
from companion.runs.weights import pack, unpack
from companion.vmonf import plane, sets
from companion.vmonf.plane import PlaneConfig
from companion.vmonf.recipes import BASELINES, Model, recipe
from mixflow.metrics import integral_2d
from mixflow.training.resume import Saver

SETS = get_args(sets.PlaneSet)
PLANE = [n for n in names() if n.startswith("vmonf/") and find(n).config is PlaneConfig]


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """Few test samples, a coarse grid, and a function that runs a config."""
    monkeypatch.setattr(sets, "N_TEST", 300)

    def coarse(log_prob, x, **kwargs):
        return integral_2d(log_prob, x, **{**kwargs, "resolution": 50})

    monkeypatch.setattr(plane, "integral_2d", coarse)

    def run(name="vmonf/pinwheel-3", **values):
        epochs = {} if values.get("model") in BASELINES else {"epochs": 2}
        experiment = find(name)
        config = experiment.configure("smoke", **{"size": 0.02, **epochs, **values})
        return experiment.run(config, RunContext(tmp_path, progress=False))

    return run


# Recipes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", get_args(Model))
@pytest.mark.parametrize("dataset", SETS)
def test_the_recipe_is_in_the_config(dataset, model):
    config = PlaneConfig(dataset=dataset, model=model)
    filled = {n: getattr(config, n) for n in recipe(dataset, model)}
    assert filled == recipe(dataset, model)
    assert config.n_components is not None


def test_digests_differ_by_model_and_by_value():
    digests = {PlaneConfig(model=model).digest() for model in get_args(Model)}
    assert len(digests) == len(get_args(Model))
    plain = PlaneConfig(dataset="circles")
    assert PlaneConfig(dataset="circles", noise=plain.noise).digest() == plain.digest()
    assert PlaneConfig(dataset="circles", noise=0.123).digest() != plain.digest()


def test_the_published_temperature_falls_by_a_thousandth_a_step():
    config = PlaneConfig(dataset="circles", model="VMoNF as published")
    steps = config.epochs * round(1024 / config.batch_size)
    assert config.temperature_end == pytest.approx(np.exp(-0.001 * steps))
    assert PlaneConfig(dataset="circles", model="VMoNF as published, T = 1").temperature_end == 1


@pytest.mark.parametrize("model", BASELINES)
def test_a_parameter_of_another_model_is_refused(model):
    experiment = find("vmonf/pinwheel-5")
    with pytest.raises(ParameterError, match="no parameter epochs"):
        experiment.configure("laptop", model=model, epochs=3)
    with pytest.raises(ParameterError, match="did you mean 'n_components'"):
        experiment.configure("laptop", model=model, n_component=3)
    assert experiment.configure("laptop", model=model, n_components=7).n_components == 7


@pytest.mark.parametrize("values", [{"model": "VMoNFF"}, {"dataset": "moons"}, {"dataset": [1]}])
def test_unknown_names_are_parameter_errors(values):
    with pytest.raises(ParameterError, match=next(iter(values))):
        find("vmonf/pinwheel-5").configure("smoke", **values)


@pytest.mark.parametrize("name", PLANE)
def test_plans(name):
    experiment = find(name)
    assert 0 < len(experiment.configs("smoke")) < 4
    configs = experiment.configs("laptop")
    assert all(config.seed >= 100 for config in configs)
    assert len({config.digest() for config in configs}) == len(configs)


# Sets -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SETS)
def test_sets(name):
    drawn = sets.draw(name, 3, size=0.1)
    again = sets.draw(name, 3, size=0.1)
    assert (drawn.x == again.x).all()
    assert (drawn.x_test[: len(drawn.x)] != drawn.x[: len(drawn.x_test)]).any()
    known = drawn.labels >= 0
    assert (drawn.labels[known] == drawn.y[known]).all()
    assert known.sum() == (32 if name == "circles-semi" else 0)
    assert np.isfinite(drawn.log_density(drawn.x_test)).all()


# Runs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", get_args(Model))
def test_a_tiny_run_of_every_model(tiny, model):
    result = tiny(model=model)
    values = result.rows.set_index("metric")["value"]
    assert np.isfinite(values).all()
    assert values.index.is_unique
    assert {"accuracy", "ari", "nmi", "dead", "components_in_use"} <= set(values.index)
    has_density = model not in ("spectral clustering", "HDBSCAN")
    assert ("test_log_likelihood" in values) is has_density
    assert ("elbo_gap" in values) is model.startswith("VMoNF")
    assert not any(is_retired(metric) for metric in values.index)


def test_models_that_are_no_estimators_are_not_kept(tiny):
    arrays = tiny(model="EM every batch", keep=True).arrays
    assert "model" not in arrays
    assert "posterior" in arrays


@pytest.mark.parametrize("model", ["VMoNF", "EM every 5 epochs"])
def test_kept_models_read_as_written(tiny, model):
    result = tiny(model=model, keep=True)
    other = unpack(result.arrays["model"])
    q = other.predict_proba(result.arrays["data"][:5])
    np.testing.assert_allclose(q.sum(1), 1, rtol=1e-5)
    values = result.rows.set_index("metric")["value"]
    x = sets.draw("pinwheel-3", 0, size=0.02).x_test
    assert other.score(x) == pytest.approx(values["test_log_likelihood"])
    assert result.arrays["samples"].shape[1:] == (600, 2)


def test_the_map_of_an_em_fit_is_its_posterior(tiny):
    arrays = tiny(model="EM every batch", keep=True).arrays
    assert (arrays["posterior"].max(2) > 250).mean() > 0.5


def test_pack_and_unpack():
    from mixflow import GenMM

    X = np.random.default_rng(0).normal(size=(30, 2))
    model = GenMM(2, n_layers=1, max_epochs=1, random_state=0).fit(X)
    content = pack(model)
    assert content.dtype == np.uint8
    assert (unpack(content).score_samples(X) == model.score_samples(X)).all()
    with pytest.raises(ValueError, match="damaged"):
        unpack(content[:-7])


@pytest.mark.parametrize("model", ["EM every 5 epochs", "single flow", "EM every batch"])
def test_models_run_on_labelled_circles(tiny, model):
    values = tiny("vmonf/circles-semi", model=model, size=0.1).rows.set_index("metric")["value"]
    assert np.isfinite(values).all()


def test_runs_may_start_from_spectral_clusters(tiny):
    rows = tiny("vmonf/circles", size=0.1, start="spectral").rows
    assert rows.set_index("metric").loc["accuracy", "value"] >= 0.5


def test_a_model_that_sees_no_labels_is_matched(tiny):
    values = tiny("vmonf/circles-semi", model="spectral clustering", size=0.5)
    rows = values.rows.set_index("metric")["value"]
    assert rows["accuracy"] > 0.9 or rows["ari"] < 0.5
    gaussian = tiny("vmonf/circles-semi", model="Gaussian mixture", size=0.5).rows
    assert gaussian.set_index("metric")["value"]["accuracy"] >= 0.5


def test_a_run_that_was_cut_ends_as_one_that_was_not(tiny, monkeypatch):
    """Curves and frames too."""
    whole = tiny(epochs=6, keep=True)
    count, save = 0, Saver.save

    def save_and_die(self, state):
        nonlocal count
        save(self, state)
        count += 1
        if count == 3:
            raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(Saver, "due", lambda self: True)
        patch.setattr(Saver, "save", save_and_die)
        patch.setattr(Saver, "resume", lambda self: None)
        with pytest.raises(SystemExit):
            tiny(epochs=6, keep=True)
    result = tiny(epochs=6, keep=True)
    assert result.rows.equals(whole.rows)
    assert result.arrays.keys() == whole.arrays.keys()
    for name, array in whole.arrays.items():
        np.testing.assert_array_equal(result.arrays[name], array, err_msg=name)
