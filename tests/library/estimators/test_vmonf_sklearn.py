"""scikit-learn's own checks of VMoNF, and life among its tools."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from mixflow import VMoNF

SMALL = {"n_layers": 1, "hidden_features": 4, "hidden_layers": 1, "posterior_features": 4}
SMALL |= {"max_epochs": 3, "random_state": 0}


class UnsupervisedVMoNF(VMoNF):
    """Ignores y: the checks pass class labels such as "a" or 7, which VMoNF refuses."""

    def fit(self, X, y=None):
        return super().fit(X)


@parametrize_with_checks([UnsupervisedVMoNF(**SMALL), UnsupervisedVMoNF(2, **SMALL)])
def test_estimator_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def X():
    return load_iris(return_X_y=True)[0]


@pytest.fixture(scope="module")
def model(X):
    return VMoNF(2, **SMALL).fit(X)


@pytest.mark.parametrize("make_copy", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_answer_alike(model, X, make_copy):
    other = make_copy(model)
    assert (other.score_samples(X) == model.score_samples(X)).all()
    assert (other.predict_proba(X) == model.predict_proba(X)).all()
    assert (other.elbo(X) == model.elbo(X)).all()


def test_clones_are_unfitted_and_fit_alike(model, X):
    other = clone(model)
    for method in ("score_samples", "predict", "predict_proba", "posterior", "elbo", "gap"):
        with pytest.raises(NotFittedError):
            getattr(other, method)(X)
    other.fit(X)
    assert (other.score_samples(X) == model.score_samples(X)).all()
    assert (other.predict_proba(X) == model.predict_proba(X)).all()


def test_the_seed_decides(X):
    fits = [VMoNF(2, **{**SMALL, "random_state": seed}).fit(X) for seed in (1, 1, 2)]
    scores = [model.score_samples(X) for model in fits]
    assert (scores[0] == scores[1]).all()
    assert (scores[0] != scores[2]).any()


def test_other_draws_do_not_matter(X, model):
    """Neither does the state of the global generators, nor is it moved."""
    import torch

    torch.manual_seed(3)
    np.random.seed(3)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    other = VMoNF(2, **SMALL).fit(X)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()
    assert (other.score_samples(X) == model.score_samples(X)).all()


def test_a_random_state_that_moves(X):
    rng = np.random.RandomState(0)
    settings = {**SMALL, "random_state": rng}
    first, second = (VMoNF(2, **settings).fit(X).score_samples(X) for _ in range(2))
    assert (first != second).any()


def test_in_a_pipeline_and_a_grid_search(X):
    pipeline = make_pipeline(StandardScaler(), VMoNF(**SMALL))
    search = GridSearchCV(pipeline, {"vmonf__n_components": [1, 2]}, cv=2).fit(X)
    assert np.isfinite(search.best_score_)
    assert search.predict_proba(X[:5]).shape == (5, search.best_params_["vmonf__n_components"])
    assert np.isfinite(cross_val_score(VMoNF(2, **SMALL), X, cv=2)).all()
