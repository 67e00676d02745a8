"""scikit-learn's own checks, and life among its tools."""

import copy
import doctest
import importlib
import pickle
import pkgutil

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import mixflow
from mixflow import GenMM, MixtureClassifier

SMALL = {"n_layers": 1, "hidden_features": 4, "hidden_layers": 1, "random_state": 0}


# With one component: a start with several draws at random, and then a weight of two is not what a
# sample given twice is (scikit-learn excepts its own KMeans from that check).
@parametrize_with_checks([GenMM(max_epochs=3, **SMALL), MixtureClassifier(max_epochs=20, **SMALL)])
def test_estimator_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


def test_in_a_pipeline_and_a_grid_search(iris):
    X, y = iris
    pipeline = make_pipeline(StandardScaler(), MixtureClassifier(max_epochs=2, **SMALL))
    search = GridSearchCV(pipeline, {"mixtureclassifier__n_components": [1, 2]}, cv=2)
    search.fit(X, y)
    assert search.best_score_ > 0.85
    assert search.predict(X[:5]).shape == (5,)


def test_density_estimation_is_scored_by_cross_validation(iris):
    scores = cross_val_score(GenMM(2, max_epochs=2, **SMALL), iris[0], cv=2)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("make_copy", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_score_alike(iris, make_copy):
    X, y = iris
    for model in (GenMM(2, max_epochs=2, **SMALL), MixtureClassifier(max_epochs=2, **SMALL)):
        model.fit(X, y)
        assert (make_copy(model).score_samples(X) == model.score_samples(X)).all()


def test_clones_are_unfitted_and_fit_alike(iris):
    X = iris[0]
    model = GenMM(2, max_epochs=2, **SMALL).fit(X)
    other = clone(model)
    with pytest.raises(NotFittedError):
        other.score_samples(X)
    assert (other.fit(X).score_samples(X) == model.score_samples(X)).all()


def test_data_frames_name_their_features(iris):
    import pandas as pd

    X = pd.DataFrame(iris[0], columns=list("abcd"))
    model = GenMM(max_epochs=1, **SMALL).fit(X)
    assert model.feature_names_in_.tolist() == list("abcd")
    with pytest.raises(ValueError, match="feature names"):
        model.score_samples(X[list("dcba")])


def modules():
    names = [m.name for m in pkgutil.walk_packages(mixflow.__path__, "mixflow.")]
    return [name for name in names if not name.endswith("__main__")]


@pytest.mark.parametrize("name", modules())
def test_examples_in_docstrings(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0
    assert result.attempted > 0 or name not in WITH_EXAMPLES


WITH_EXAMPLES = [f"mixflow.flows.{name}" for name in ("vector", "glow")]
WITH_EXAMPLES += ["mixflow.mixtures.genmm", "mixflow.estimators.genmm"]
WITH_EXAMPLES += ["mixflow.estimators.classifier"]
WITH_EXAMPLES += ["mixflow.mixtures.latmm", "mixflow.estimators.latmm"]
