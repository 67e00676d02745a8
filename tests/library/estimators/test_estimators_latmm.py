"""LatMM, and GenMM with sources or a trunk: scikit-learn's conventions, and what they learn."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.mixture import GaussianMixture
from sklearn.utils.estimator_checks import parametrize_with_checks

from mixflow import GenMM, LatMM, MixtureClassifier, load

SMALL = {"n_layers": 1, "hidden_features": 4, "hidden_layers": 1, "random_state": 0}
QUICK = {**SMALL, "max_epochs": 2}


# As for GenMM, with one component: see test_estimators_sklearn.
@parametrize_with_checks([LatMM(max_epochs=3, **SMALL)])
def test_estimator_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def gaussians():
    """Return samples of three well separated diagonal Gaussians, their means and sds."""
    rng = np.random.default_rng(0)
    mean = np.array([[0.0, 0.0], [8.0, 1.0], [3.0, 9.0]])
    sd = np.array([[1.0, 0.5], [0.6, 1.2], [1.1, 0.8]])
    component = rng.integers(3, size=600)
    return mean[component] + sd[component] * rng.normal(size=(600, 2)), component


def test_a_gaussian_mixture_is_recovered(gaussians):
    """Without couplings the flow is affine: a Gaussian mixture with one common shape."""
    X, component = gaussians
    model = LatMM(3, n_layers=0, precision_prior=None, max_epochs=60, random_state=0).fit(X)
    reference = GaussianMixture(3, covariance_type="diag", random_state=0).fit(X)
    assert model.score(X) == pytest.approx(reference.score(X), abs=0.02)
    labels = model.predict(X)
    pairs = {(a, b) for a, b in zip(labels.tolist(), component.tolist(), strict=True)}
    assert len(pairs) == 3
    np.testing.assert_allclose(np.sort(model.weights_), np.sort(reference.weights_), atol=0.01)
    drawn, of = model.sample(3000)
    for k in range(3):
        np.testing.assert_allclose(drawn[of == k].mean(0), X[labels == k].mean(0), atol=0.15)


def test_the_priors_hold_the_precisions(gaussians):
    X = gaussians[0]

    def precisions(prior):
        settings = {"n_layers": 0, "max_epochs": 80, "learning_rate": 0.05, "random_state": 0}
        model = LatMM(3, precision_prior=prior, batch_size=len(X), **settings).fit(X)
        return model.mixture_.sources.log_precision.exp().numpy(), model

    free, model = precisions(None)
    assert "log_prior" in model.history_
    held = precisions(("gamma", 201.0, 200.0))[0]
    assert np.abs(held - 1).max() < 0.2 < np.abs(free - 1).max()
    small = precisions(("l2", 1.0))[0]
    assert small.mean() < free.mean()


MODELS = {
    "LatMM": LatMM(3, **QUICK),
    "LatMM of blocks": LatMM(4, n_blocks=2, n_init=2, precision_prior=("l2", 0.1), **QUICK),
    "GenMM with LatMM sources": GenMM(2, n_sources=2, n_init=2, **QUICK),
    "common and individual": GenMM(3, shared_layers=1, n_init=2, **QUICK),
    "all at once": GenMM(2, shared_layers=1, n_sources=2, n_blocks=2, batch_size=40, **QUICK),
}
COMPONENTS = {"GenMM with LatMM sources": 4, "all at once": 4, "LatMM of blocks": 4}
LAYOUT = {  # flows, parts
    "LatMM": (1, 1),
    "LatMM of blocks": (2, 2),
    "GenMM with LatMM sources": (2, 2),
    "common and individual": (3, 1),
    "all at once": (2, 2),
}


@pytest.mark.parametrize("name", MODELS)
def test_every_model_answers_and_keeps(name, iris, tmp_path):
    X, k = iris[0], COMPONENTS.get(name, 3)
    model = clone(MODELS[name])
    with pytest.raises(NotFittedError):
        model.score_samples(X)
    model.fit(X)
    assert (model.mixture_.n_flows, model.mixture_.n_parts) == LAYOUT[name]
    assert model.predict_proba(X).shape == (150, k)
    np.testing.assert_allclose(model.predict_proba(X).sum(1), 1)
    assert model.weights_.shape == (k,)
    assert model.weights_.sum() == pytest.approx(1)
    assert model.sample(20)[0].shape == (20, 4)
    assert np.isfinite(model.bic(X))
    labels = model.predict(X)
    np.testing.assert_allclose(model.decode(model.encode(X, labels), labels), X, atol=1e-6)
    scores = model.score_samples(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read = load(model.save(tmp_path / "model"))
    for other in (read, copy.deepcopy(model), pickle.loads(pickle.dumps(model)), clone(model)):
        fitted = other if hasattr(other, "mixture_") else other.fit(X)
        assert (fitted.score_samples(X) == scores).all()
    assert read.get_params() == model.get_params()


@pytest.mark.parametrize("per_position", [False, True])
def test_images(per_position, tmp_path):
    X = np.random.default_rng(0).random((30, 64))
    settings = {**QUICK, "image_shape": (1, 8, 8), "per_position": per_position}
    model = LatMM(2, **settings).fit(X)
    shape = (2, 2, 2, 8) if per_position else (2, 1, 1, 8)
    assert model.mixture_.sources.mean.shape == shape
    assert model.sample(3)[0].shape == (3, 1, 8, 8)
    other = load(model.save(tmp_path / "images"))
    assert (other.score_samples(X) == model.score_samples(X)).all()


def test_flows_of_images_may_have_a_trunk_and_sources():
    X = np.random.default_rng(0).random((30, 64))
    model = GenMM(2, image_shape=(1, 8, 8), shared_layers=1, n_sources=2, **QUICK).fit(X)
    assert model.predict_proba(X).shape == (30, 4)
    assert (model.mixture_.n_flows, model.mixture_.n_parts) == (2, 1)


def test_weights_leave_samples_out(iris):
    X = iris[0]
    some = np.arange(150) % 3 > 0
    part = LatMM(2, **QUICK).fit(X[some]).score_samples(X)
    assert (LatMM(2, **QUICK).fit(X, sample_weight=some).score_samples(X) == part).all()


def test_a_warm_start_goes_on(gaussians):
    X = gaussians[0]
    model = LatMM(3, max_epochs=5, warm_start=True, **SMALL).fit(X)
    first = model.score(X)
    assert model.fit(X).score(X) > first
    assert model.mixture_.n_flows == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"n_components": 1, "n_sources": 2},
        {"n_components": 2, "n_sources": 2, "shared_layers": 1},
    ],
)
def test_a_classifier_of_latmms(iris, tmp_path, settings):
    """A class more is what training anew gives, and leaves the others alone."""
    X, y = iris
    model = MixtureClassifier(max_epochs=15, **settings, **SMALL).fit(X, y)
    assert model.score(X, y) > 0.9
    k = settings["n_components"] * 2
    assert (model.mixture_.n_components, model.mixture_.n_parts) == (3 * k, 3)
    grown = MixtureClassifier(max_epochs=15, **settings, **SMALL).fit(X[50:], y[50:])
    before = grown.log_prob_classes(X)
    grown.add_class(X[:50], 0)
    assert grown.classes_.tolist() == [0, 1, 2]
    np.testing.assert_allclose(grown.log_prob_classes(X)[:, 1:], before)
    read = load(grown.save(tmp_path / "model"))
    assert (read.predict_proba(X) == grown.predict_proba(X)).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"precision_prior": ("gamma", 1.0)}, r"precision_prior must be \('gamma', a, b\)"),
        ({"precision_prior": "gamma"}, "'precision_prior' parameter of LatMM must be"),
        ({"n_components": 0}, "'n_components' parameter of LatMM must be"),
        ({"n_components": 200}, "200 components need as many samples"),
        ({"n_components": 3, "n_blocks": 2}, "n_blocks=2 must divide n_components=3"),
        ({"init": np.zeros(150, int) + 5}, r"labels 0\.\.1"),
        ({"image_shape": (1, 2, 3)}, "does not fit 4 features"),
    ],
)
def test_wrong_settings_are_named(iris, settings, message):
    model = LatMM(**{"n_components": 2, **QUICK, **settings})
    with pytest.raises(ValueError, match=message):
        model.fit(iris[0])
    assert not hasattr(model, "mixture_")


def test_wrong_data_are_named(iris):
    X = iris[0].copy()
    X[0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        LatMM(**QUICK).fit(X)
    X[:, 0] = 1
    with pytest.raises(ValueError, match="feature 0 is constant"):
        LatMM(**QUICK).fit(X)
