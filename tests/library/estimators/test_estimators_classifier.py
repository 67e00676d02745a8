"""MixtureClassifier: classes side by side, one at a time, priors, screening."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, load_iris

from mixflow import GenMM, MixtureClassifier
from mixflow.estimators import screening

SMALL = {"n_layers": 1, "hidden_features": 4, "hidden_layers": 1, "random_state": 0}


def small(n_components=1, **settings):
    return MixtureClassifier(n_components, **{**SMALL, "max_epochs": 3, **settings})


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True)
    return X, np.array(["setosa", "versicolor", "virginica"])[y]


@pytest.fixture(scope="module")
def model(iris):
    return small(2).fit(*iris)


def class_rows(model, label):
    index = model.classes_.tolist().index(label)
    rows = slice(index * model.n_components, (index + 1) * model.n_components)
    return {name: t[rows] for name, t in model.mixture_.state_dict().items()}


def assert_same_class(first, second, label):
    ours, theirs = class_rows(first, label), class_rows(second, label)
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name


def test_it_classifies(model, iris):
    X, y = iris
    assert model.classes_.tolist() == sorted(set(y))
    assert model.score(X, y) > 0.93
    proba = model.predict_proba(X)
    np.testing.assert_allclose(proba.sum(1), 1)
    assert (model.classes_[proba.argmax(1)] == model.predict(X)).all()
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), proba)


def test_bayes_rule_by_hand(model, iris):
    X = iris[0][::10]
    log_p = model.log_prob_classes(X)
    assert log_p.shape == (15, 3)
    joint = np.exp(log_p) * model.class_prior_
    np.testing.assert_allclose(model.score_samples(X), np.log(joint.sum(1)))
    np.testing.assert_allclose(model.predict_proba(X), joint / joint.sum(1, keepdims=True))


def test_weights_sum_to_one_within_each_class(model):
    sums = model.mixture_.log_weights.exp().view(3, 2).sum(1)
    torch.testing.assert_close(sums, torch.ones(3).double())


def test_a_class_of_its_own_is_its_density(iris):
    """One class: the classifier's density is GenMM's."""
    X = iris[0][:50]
    one = small(2).fit(X, np.zeros(50))
    other = GenMM(2, **SMALL, max_epochs=3).fit(X)
    np.testing.assert_allclose(one.score_samples(X), other.score_samples(X), atol=1e-6)
    assert (one.predict(X) == 0).all()


def test_classes_do_not_touch_each_other(model, iris):
    """Whatever the other classes' samples are (in the same scale), a class trains alike."""
    X, y = iris[0].copy(), iris[1]
    swap = np.flatnonzero(y == "virginica")
    X[swap] = X[swap][:, [1, 0, 3, 2]]
    settings = {"standardize": False, "clip_norm": 0.1}
    first, second = small(2, **settings).fit(*iris), small(2, **settings).fit(X, y)
    for label in ("setosa", "versicolor"):
        assert_same_class(first, second, label)


@pytest.mark.parametrize(
    ("priors", "expected"),
    [(None, [0.25, 0.75]), ("uniform", [0.5, 0.5]), ([0.9, 0.1], [0.9, 0.1]), ([1.0, 0], [1, 0])],
)
def test_priors(iris, priors, expected):
    X, y = iris[0][30:110], np.repeat([0, 1], [20, 60])
    model = small(priors=priors).fit(X, y)
    np.testing.assert_allclose(model.class_prior_, expected)
    proba = model.predict_proba(X)
    assert not np.isnan(proba).any()
    if 0 in expected:
        assert (model.predict(X) == 0).all()


@pytest.mark.parametrize("priors", ["unifrom", [0.5, 0.6, 0.1], [1.0], [-0.1, 0.6, 0.5]])
def test_wrong_priors(iris, priors):
    with pytest.raises(ValueError, match="priors must be"):
        small(priors=priors).fit(*iris)


def test_weighted_priors(iris):
    X, y = iris
    weight = np.where(y == "setosa", 2.0, 1.0)
    np.testing.assert_allclose(small().fit(X, y, weight).class_prior_, [0.5, 0.25, 0.25])


def test_weight_zero_is_left_out(iris):
    X, y = iris
    weight = (np.arange(150) % 3 > 0).astype(float)
    weight[y == "virginica"] = 0  # a whole class
    model = small(2).fit(X, y, sample_weight=weight)
    other = small(2).fit(X[weight > 0], y[weight > 0])
    assert model.classes_.tolist() == ["setosa", "versicolor"]
    assert (model.score_samples(X) == other.score_samples(X)).all()


def test_add_class_leaves_the_others_alone(iris):
    X, y = iris
    model = small(2).fit(X[50:], y[50:])
    before = {label: class_rows(model, label) for label in model.classes_}
    assert model.add_class(X[:50], "setosa") is model
    assert model.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    for label, rows in before.items():
        for name, tensor in class_rows(model, label).items():
            assert torch.equal(tensor, rows[name])
    np.testing.assert_allclose(model.class_prior_, [1 / 3] * 3)
    assert model.score(X, y) > 0.9
    assert model.n_iter_ == 3


def test_add_class_equals_the_class_trained_alone(iris):
    X, y = iris
    model = small(2, standardize=False).fit(X[:100], y[:100]).add_class(X[100:], "virginica")
    alone = small(2, standardize=False).fit(X[100:], y[100:])
    assert_same_class(model, alone, "virginica")


@pytest.mark.parametrize("labels", [[3, 7, 5], ["b", "a", "longer"]])
def test_added_labels_are_in_order(iris, labels):
    X, n = iris[0], 50
    y = np.repeat(labels[:2], n)
    model = small().fit(X[: 2 * n], y).add_class(X[2 * n :], labels[2])
    assert model.classes_.tolist() == sorted(labels)
    assert (model.predict(X) == np.repeat(labels, n)).mean() > 0.9


def test_add_class_that_fails_changes_nothing(iris):
    X, y = iris
    model = small(3).fit(X[:100], y[:100])
    before = model.predict_log_proba(X)
    for wrong, message in ((X[:2], "has 2 samples, but needs 3"), (X[:0], "minimum of 1")):
        with pytest.raises(ValueError, match=message):
            model.add_class(wrong, "new")
    with pytest.raises(ValueError, match="class 'setosa' is there already"):
        model.add_class(X, "setosa")
    assert model.classes_.tolist() == ["setosa", "versicolor"]
    assert (model.predict_log_proba(X) == before).all()


def test_add_class_needs_priors_that_can_grow(iris):
    X, y = iris
    model = small(priors=[0.5, 0.5]).fit(X[:100], y[:100])
    with pytest.raises(ValueError, match="add_class needs priors=None or 'uniform'"):
        model.add_class(X[100:], "virginica")


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    X = X[:, X.std(0) > 1]
    return X[:600], y[:600]


@pytest.mark.parametrize("n_features", [6, 50])
def test_screening_changes_no_probability(digits, monkeypatch, n_features):
    X, y = digits[0][:, :n_features], digits[1]
    model = small(7, learning_rate=1e-2).fit(X, y)
    assert model.mixture_.n_components == 70 >= screening.FROM
    noise = np.random.default_rng(0).normal(0, 3, X.shape)
    X = np.concatenate([X, X + noise, (X[:300] + X[300:]) / 2])
    screened, log_screened = model.predict_proba(X), model.score_samples(X)
    monkeypatch.setattr(screening, "FROM", 1000)
    np.testing.assert_allclose(screened, model.predict_proba(X), rtol=0, atol=1e-9)
    np.testing.assert_allclose(log_screened, model.score_samples(X), rtol=0, atol=1e-9)
    assert n_features > 6 or (screened.max(1) < 0.999).mean() > 0.5  # doubtful ones


def test_a_screen_is_not_kept_while_training(digits):
    X, y = digits
    scores = []
    settings = {"dtype": "float64", "learning_rate": 1e-2, "early_stopping": False}
    model = small(7, callback=lambda m, e: scores.append(m.score_samples(X[:5])) or {}, **settings)
    model.fit(X, y)
    assert (scores[0] != scores[1]).all()
    np.testing.assert_allclose(scores[-1], model.score_samples(X[:5]), atol=0.2)


def test_blocks_and_restarts(iris):
    model = small(4, n_blocks=2, n_init=2).fit(*iris)
    assert model.mixture_.n_components == 12
    weights = model.mixture_.log_weights.exp().view(3, 2, 2).sum(2)
    torch.testing.assert_close(weights, torch.full((3, 2), 0.5).double())


def test_warm_start_goes_on(iris):
    X, y = iris
    model = small(warm_start=True, max_epochs=5).fit(X, y)
    before = model.score_samples(X).mean()
    model.set_params(max_epochs=30).fit(X, y)
    assert model.score_samples(X).mean() > before
    with pytest.raises(ValueError, match="warm_start needs the classes"):
        model.fit(X[:100], y[:100])
    assert model.classes_.tolist() == ["setosa", "versicolor", "virginica"]


def test_early_stopping(iris):
    model = small(early_stopping=True, em_every=1).fit(*iris)
    assert np.isfinite(model.history_["validation_score"]).all()


@pytest.mark.parametrize(
    ("settings", "y", "message"),
    [
        ({"n_components": 3}, np.repeat([0, 1], [148, 2]), "class 1 has 2 samples, but needs 3"),
        (
            {"early_stopping": True},
            np.repeat([0, 1], [148, 2]),
            "class 1 has 0 samples.*early_stopping=False",
        ),
        ({}, np.linspace(0, 1, 150), "[Uu]nknown label type"),
        ({}, None, "requires y"),
        ({}, np.zeros(149), "inconsistent"),
    ],
)
def test_bad_labels_get_an_error_that_helps(iris, settings, y, message):
    with pytest.raises(ValueError, match=message):
        small(**settings).fit(iris[0], y)


def test_far_away_samples_have_probabilities(model):
    proba = model.predict_proba(np.array([[1e200] * 4, [1e30] * 4]))
    np.testing.assert_allclose(proba.sum(1), 1)
