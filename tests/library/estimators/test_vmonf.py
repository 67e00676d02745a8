"""VMoNF, the estimator: labels, network and posterior, units, early stopping, files."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import logsumexp
from sklearn.datasets import load_digits
from sklearn.utils._param_validation import InvalidParameterError

from mixflow import VMoNF, load
from mixflow.datasets.synthetic import circles

SMALL = {"n_layers": 1, "hidden_features": 4, "hidden_layers": 1, "posterior_features": 8}
SMALL |= {"max_epochs": 4, "random_state": 0}
SHIFT = np.array([0.0, 6.0, 12.0])


def small(n_components=3, **settings):
    return VMoNF(n_components, **{**SMALL, **settings})


@pytest.fixture(scope="module")
def data():
    """Three blobs, in units of their own."""
    rng = np.random.default_rng(0)
    y = np.arange(120) % 3
    x = rng.normal(0, 1, (120, 2)) + SHIFT[y][:, None]
    return x * [10.0, 0.02] + [5.0, -3.0], y


@pytest.fixture(scope="module")
def model(data):
    return small().fit(data[0])


def partly(y, n=12):
    """Labels of the first n samples; samples come with their classes in turn."""
    return np.where(np.arange(len(y)) < n, y, -1)


def same(first, second):
    states = first.model_.state_dict(), second.model_.state_dict()
    return all(torch.equal(states[0][name], states[1][name]) for name in states[0])


# Labels ---------------------------------------------------------------------------------------


def test_labels_name_the_components(data):
    X, y = data
    model = small().fit(X, partly((y + 1) % 3))
    assert (model.posterior(X).argmax(1) == (y + 1) % 3).mean() > 0.95


@pytest.mark.parametrize("init", ["kmeans", "gmm"])
def test_labels_name_the_components_of_any_start(data, init):
    X, y = data
    model = small(init=init).fit(X, partly((y + 2) % 3))
    assert (model.posterior(X).argmax(1) == (y + 2) % 3).mean() > 0.95


def test_fewer_labels_than_components(data):
    X, y = data
    labels = np.where((y == 1) & (np.arange(120) < 20), 2, -1)
    model = small(max_epochs=10).fit(X, labels)
    found = model.posterior(X).argmax(1)
    assert (found[y == 1] == 2).mean() > 0.95
    assert len(np.unique(found)) == 3


def test_all_unlabelled_is_no_labels(data, model):
    assert same(small().fit(data[0], np.full(120, -1)), model)


def test_all_labelled(data):
    X, y = data
    model = small(max_epochs=20, learning_rate=3e-2).fit(X, y)
    assert (model.predict(X) == y).mean() > 0.95
    assert (model.posterior(X).argmax(1) == y).mean() > 0.95
    np.testing.assert_allclose(model.weights_, 1 / 3, atol=0.05)


def test_weights_of_labelled_samples_are_their_frequencies(data):
    X, y = data
    rows = np.flatnonzero((y != 2) | (np.arange(120) < 40))
    weights = small().fit(X[rows], y[rows]).weights_
    np.testing.assert_allclose(weights, np.bincount(y[rows]) / len(rows), atol=1e-6)


@pytest.mark.parametrize(
    "convert",
    [list, lambda y: y.astype(float), lambda y: y.astype("int8"), lambda y: y.astype("float32")],
)
def test_labels_of_any_integer_kind(data, convert):
    X, y = data
    labels = partly(y)
    assert same(small(max_epochs=1).fit(X, convert(labels)), small(max_epochs=1).fit(X, labels))


def test_booleans_are_labels(data):
    X, y = data
    assert same(small(2, max_epochs=1).fit(X, y == 1), small(2, max_epochs=1).fit(X, y % 2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda y: y + 1, r"labels \[3\], but n_components=3 allows 0\.\.2"),
        (lambda y: y - 2, r"labels \[-2\], .* -1 for unlabelled"),
        (lambda y: y + 0.5, "y must hold integers"),
        (lambda y: y.astype(str), "y must hold integers"),
        (lambda y: np.where(y == 0, np.nan, y), "y must hold integers"),
        (lambda y: np.where(y == 0, np.inf, y), "y must hold integers"),
        (lambda y: y[:-1], "120 samples, but y has 119"),
        (lambda y: np.concatenate([y, y]), "120 samples, but y has 240"),
        (lambda y: np.stack([y, y], 1), "1d array"),
        (lambda y: y[:0], "120 samples, but y has 0"),
        (lambda y: y[0], "1d array"),
    ],
)
def test_bad_labels_are_named(data, change, message):
    X, y = data
    model = small()
    with pytest.raises(ValueError, match=message):
        model.fit(X, change(y))
    assert not hasattr(model, "model_")


def test_fewer_components_than_labels(data):
    X, y = data
    with pytest.raises(ValueError, match=r"labels \[2\], but n_components=2 .*more components"):
        small(2).fit(X, y)


def test_a_failed_fit_leaves_the_last_one(data):
    X, y = data
    model = small(max_epochs=1).fit(X)
    before = model.predict_proba(X)
    with pytest.raises(ValueError, match="labels"):
        model.fit(X, y + 1)
    assert (model.predict_proba(X) == before).all()


def test_fit_predict_passes_labels(data):
    X, y = data
    labels = partly((y + 1) % 3)
    assert (small().fit_predict(X, labels) == small().fit(X, labels).predict(X)).all()
    assert (small().fit_predict(X, labels) != small().fit_predict(X)).any()


def test_labels_separate_the_circles():
    """Which no start without labels does."""
    X, y = circles(1056, random_state=3)
    labels = np.full(len(X), -1)
    for c in (0, 1):
        labels[np.flatnonzero(y == c)[:16]] = c
    settings = {"max_epochs": 12, "learning_rate": 1e-2, "n_layers": 4, "hidden_features": 16}
    settings |= {"posterior_features": 32, "noise": 0.05, "start_share": 0.5}
    model = small(2, **settings).fit(X, labels)
    assert (model.predict(X) == y).mean() > 0.95


def test_repeated_samples_with_labels():
    """More than ten copies of each: the graph that carries the labels has no width."""
    rng = np.random.default_rng(0)
    X = np.repeat(rng.normal(size=(10, 2)), 20, axis=0)
    labels = np.full(200, -1)
    labels[[0, 199]] = 0, 1
    assert np.isfinite(small(2, max_epochs=1, noise=0.1).fit(X, labels).score(X))


# The model ------------------------------------------------------------------------------------


def test_shapes_and_sums(model, data):
    X, y = data
    q, posterior = model.predict_proba(X), model.posterior(X)
    assert q.shape == posterior.shape == (120, 3)
    np.testing.assert_allclose(q.sum(1), 1)
    np.testing.assert_allclose(posterior.sum(1), 1)
    assert (q.argmax(1) == model.predict(X)).all()
    assert model.weights_.sum() == pytest.approx(1)
    assert len(model.history_["epoch"]) == model.n_iter_ == 4
    assert model.mixture_ is model.model_.mixture


def test_predict_proba_is_the_network_s(model, data):
    X, _ = data
    scaled = torch.from_numpy((X - X.mean(0)) / X.std(0))
    expected = torch.softmax(model.model_.network(scaled), 1).numpy()
    np.testing.assert_allclose(model.predict_proba(X), expected, atol=1e-12)


def test_posterior_is_bayes_rule(model, data):
    X, _ = data
    scaled = torch.from_numpy((X - X.mean(0)) / X.std(0))
    z, log_det = model.mixture_.flow(scaled.expand(3, *scaled.shape))
    log_p = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(2) + log_det
    joint = log_p.T.numpy() + np.log(model.weights_)
    expected = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    np.testing.assert_allclose(model.posterior(X), expected, atol=1e-10)
    raw = logsumexp(joint, axis=1) - np.log(X.std(0)).sum()
    np.testing.assert_allclose(model.score_samples(X), raw, atol=1e-8)


def test_elbo_and_gap_in_the_units_of_the_data(model, data):
    X, _ = data
    q, posterior = model.predict_proba(X), model.posterior(X)
    with np.errstate(divide="ignore", invalid="ignore"):
        kl = np.nansum(np.where(q > 0, q * (np.log(q) - np.log(posterior)), 0), axis=1)
    np.testing.assert_allclose(model.gap(X), kl, atol=1e-7)
    np.testing.assert_allclose(model.elbo(X), model.score_samples(X) - kl, atol=1e-7)
    assert (model.gap(X) >= 0).all()
    assert (model.elbo(X) <= model.score_samples(X) + 1e-12).all()


def test_a_change_of_units_shifts_elbo_and_score_and_leaves_the_gap(model, data):
    scale, shift = np.array([0.01, 300.0]), np.array([-5.0, 3.0])
    X = data[0]
    other = small().fit(X * scale + shift)
    moved = X * scale + shift
    jacobian = np.log(scale).sum()
    np.testing.assert_allclose(
        other.score_samples(moved), model.score_samples(X) - jacobian, atol=1e-3
    )
    np.testing.assert_allclose(other.elbo(moved), model.elbo(X) - jacobian, atol=1e-3)
    np.testing.assert_allclose(other.gap(moved), model.gap(X), atol=1e-3)


def test_density_integrates_to_one_in_the_units_of_the_data():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, (60, 2)), rng.normal(6, 2, (40, 2))])
    model = small(2).fit(X)
    axis = np.linspace(-15, 25, 401)
    grid = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    assert np.exp(model.score_samples(grid)).sum() * 0.1**2 == pytest.approx(1, abs=1e-3)


def test_the_fitted_network_is_the_one_that_was_trained():
    """At another temperature than 1 too: q must be near the posterior that it was fitted to."""
    rng = np.random.default_rng(0)
    X = rng.normal(0, 1, (300, 2)) + 1.5 * (np.arange(300) % 2)[:, None]  # overlapping
    settings = {"max_epochs": 40, "learning_rate": 1e-2, "batch_size": 100}
    gaps = {}
    for temperature in (1.0, 0.05):
        gaps[temperature] = small(2, temperature=temperature, **settings).fit(X).gap(X).mean()
    assert gaps[1.0] < 0.05
    assert gaps[0.05] < 0.05


def test_uniform_weights(data):
    model = small(weights="uniform").fit(data[0][np.r_[0:60, 60:120:3]])
    np.testing.assert_allclose(model.weights_, 1 / 3)
    assert small().fit(data[0][np.r_[0:60, 60:120:3]]).weights_.std() > 0.01


@pytest.mark.parametrize("settings", [{}, {"shared_layers": 2}])
def test_samples_encode_and_decode(data, settings):
    X, y = data
    model = small(**settings).fit(X)
    drawn, component = model.sample(600)
    assert drawn.shape == (600, 2)
    np.testing.assert_allclose(np.bincount(component) / 600, model.weights_, atol=0.08)
    assert (np.abs(drawn.mean(0) - X.mean(0)) < 0.3 * X.std(0)).all()
    assert (model.sample(600)[0] == drawn).all()
    z = model.encode(X, model.posterior(X).argmax(1))
    assert np.abs(z.mean(0)).max() < 0.3
    z = model.encode(X)
    np.testing.assert_allclose(model.decode(z, model.predict(X)), X, rtol=1e-6)
    z = model.encode(X, np.zeros(120, int))
    np.testing.assert_allclose(model.decode(z, np.zeros(120)), X, rtol=1e-6)


def test_encode_uses_the_network_s_choice(model, data):
    X, _ = data
    assert (model.encode(X) == model.encode(X, model.predict(X))).all()


def test_a_sample_s_answer_does_not_depend_on_the_others(model, data):
    X, _ = data
    for method in (model.predict_proba, model.posterior, model.elbo, model.gap):
        np.testing.assert_allclose(method(X[:1]), method(X)[:1], rtol=1e-9, atol=1e-12)


# Early stopping and resuming ------------------------------------------------------------------


@pytest.mark.parametrize("n_labelled", [0, 12, 119, 120])
def test_only_unlabelled_samples_are_held_out(data, monkeypatch, n_labelled):
    """While there are two of them."""
    X, y = data
    seen = {}

    def watch(self, settings, **data):
        seen.update(data)
        return original(self, settings, **data)

    original = VMoNF._objective
    monkeypatch.setattr(VMoNF, "_objective", watch)
    labels = partly(y, n_labelled)
    model = small(early_stopping=True, max_epochs=5).fit(X, labels)
    scaled = torch.from_numpy((X - X.mean(0)) / X.std(0)).float()
    held_out = [int((scaled == row).all(1).nonzero()) for row in seen["validation"]]
    expected = 12 if n_labelled in (0, 119, 120) else 11
    assert len(held_out) == expected
    assert len(seen["x"]) == 120 - expected
    if n_labelled == 12:
        assert (labels[held_out] == -1).all()
        assert (seen["labels"] >= 0).sum() == 12
    assert not {tuple(row) for row in seen["validation"].tolist()} & {
        tuple(row) for row in seen["x"].tolist()
    }
    kept = np.setdiff1d(np.arange(120), held_out)
    np.testing.assert_array_equal(seen["labels"].numpy(), labels[kept])
    assert torch.equal(seen["x"], scaled[kept])
    assert "validation_score" in model.history_


def test_early_stopping_keeps_the_best_epoch(data):
    X, _ = data
    settings = {"early_stopping": True, "patience": 2, "learning_rate": 0.3, "clip_norm": None}
    model = small(max_epochs=60, schedule="constant", **settings).fit(X)
    scores = pd.Series(model.history_["validation_score"]).dropna()
    assert model.n_iter_ < 60
    assert model.best_epoch_ == scores.idxmax()
    np.testing.assert_allclose(model.predict_proba(X).sum(1), 1)
    assert model.weights_.sum() == pytest.approx(1)


class CutError(Exception):
    pass


def test_a_fit_that_was_cut_goes_on(data, tmp_path, monkeypatch):
    from mixflow.training.resume import Saver

    X, y = data
    settings = {"noise": 0.1, "temperature": (2.0, 0.5), "consistency": 0.5, "batch_size": 60}
    whole = small(**settings).fit(X, partly(y))

    def cut(model, epoch):
        if epoch == 2:
            raise CutError
        return {}

    monkeypatch.setattr(Saver, "due", lambda self: self.path is not None)
    with pytest.raises(CutError):
        small(checkpoint=tmp_path, callback=cut, **settings).fit(X, partly(y))
    resumed = small(checkpoint=tmp_path, **settings).fit(X, partly(y))
    assert same(resumed, whole)
    assert (resumed.weights_ == whole.weights_).all()
    with pytest.warns(UserWarning, match="with other data"):
        other = small(checkpoint=tmp_path, **settings).fit(X, partly(y, 15))
    assert not same(other, whole)


def test_the_callback_can_ask_the_model(data):
    X, _ = data
    seen = []

    def look(model, epoch):
        seen.append((model.score(X), model.elbo(X).mean(), model.predict_proba(X).shape))
        return {"elbo": seen[-1][1]}

    model = small(callback=look).fit(X)
    assert len(seen) == 4
    assert all(elbo <= score for score, elbo, _ in seen)
    assert model.history_["elbo"].tolist() == [elbo for _, elbo, _ in seen]
    assert same(model, small().fit(X))


# Parameters and files -------------------------------------------------------------------------


def test_a_trunk_of_images():
    X = np.random.default_rng(0).normal(size=(30, 16))
    model = small(2, image_shape=(1, 4, 4), n_levels=1, shared_layers=1).fit(X)
    assert model.mixture_.n_parts == 1
    assert np.isfinite(model.score_samples(X)).all()


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": 0.0},
        {"temperature": (1.0, 0.0)},
        {"temperature": (1.0,)},
        {"temperature": "per_dimension"},
        {"weights": "free"},
        {"init": "labels"},
        {"label_weight": -1.0},
        {"start_share": 1.0},
        {"annihilation": -0.1},
        {"n_components": 0},
        {"init": np.zeros(120) - 1},
    ],
)
def test_bad_parameters_are_named(data, settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        small(**settings).fit(data[0])


def test_bad_temperatures_are_named_by_their_own_name(data):
    with pytest.raises(ValueError, match="^temperature must be"):
        small(temperature=(1.0, -1.0)).fit(data[0])


def test_unknown_strings_list_the_known_ones(data):
    with pytest.raises(InvalidParameterError, match="'spectral'"):
        small(init="spectral").fit(data[0])


def test_an_array_to_start_from(data):
    X, y = data
    model = small(init=(y + 1) % 3).fit(X)
    assert (model.posterior(X).argmax(1) == (y + 1) % 3).mean() > 0.95
    assert same(model, small(init=np.eye(3)[(y + 1) % 3]).fit(X))


KINDS = [
    {},
    {"shared_layers": 2},
    {"dtype": "float64", "mixing": "lu", "posterior_layers": 0},
    {"temperature": (2.0, 0.5), "early_stopping": True},
    {"weights": "uniform", "standardize": False},
]


@pytest.mark.parametrize("settings", KINDS)
def test_a_model_reads_as_written(data, tmp_path, settings):
    X, y = data
    X = (X - X.mean(0)) / X.std(0) if settings.get("standardize") is False else X
    model = small(**settings).fit(X, partly(y))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        other = load(model.save(tmp_path / "model"))
    for method in ("score_samples", "predict_proba", "posterior", "elbo", "gap", "encode"):
        assert (getattr(other, method)(X) == getattr(model, method)(X)).all(), method
    assert (other.sample(5)[0] == model.sample(5)[0]).all()
    assert other.get_params() == model.get_params()
    assert (other.weights_ == model.weights_).all()
    assert same(other, model)
    assert same(other.fit(X, partly(y)), model)


def test_images(tmp_path):
    X, y = load_digits(n_class=3, return_X_y=True)
    X, y = X[:90] / 16, y[:90]
    settings = {"image_shape": (1, 8, 8), "n_levels": 1, "noise": 0.1, "max_epochs": 8}
    settings |= {"posterior_features": 16, "posterior_dropout": 0.1, "batch_size": 30}
    model = small(**settings).fit(X, y)
    q = model.predict_proba(X)
    assert (q.argmax(1) == y).mean() > 0.8
    np.testing.assert_allclose(q.sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(
        model.elbo(X), model.score_samples(X) - model.gap(X), rtol=1e-4, atol=1e-2
    )
    other = load(model.save(tmp_path / "images"))
    assert (other.predict_proba(X) == q).all()
    assert (other.score_samples(X) == model.score_samples(X)).all()
    drawn, component = other.sample(4)
    assert drawn.shape == (4, 1, 8, 8)
    z = model.encode(drawn, component)
    np.testing.assert_allclose(model.decode(z, component), drawn, atol=1e-3)
    assert (model.predict(X.reshape(-1, 1, 8, 8)) == model.predict(X)).all()


def test_images_need_their_shape():
    X = np.random.default_rng(0).random((20, 16))
    with pytest.raises(ValueError, match=r"image_shape \(1, 4, 5\) does not fit 16 features"):
        small(2, image_shape=(1, 4, 5)).fit(X)
