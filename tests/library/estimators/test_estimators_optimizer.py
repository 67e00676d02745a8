"""Every estimator takes an optimiser by its name."""

import numpy as np
import pytest

from mixflow import GenMM, LatMM, MixtureClassifier, VMoNF
from mixflow.datasets import pinwheel

X, Y = pinwheel(40, n_wings=3, random_state=0)
SMALL = {"n_components": 2, "max_epochs": 5, "n_layers": 2, "hidden_features": 8, "random_state": 0}


@pytest.mark.parametrize("kind", [GenMM, LatMM, MixtureClassifier, VMoNF])
def test_muon_fits_other_weights_than_adamw_does(kind):
    arguments = (X, Y) if kind is MixtureClassifier else (X,)
    found = [kind(**SMALL, optimizer=o).fit(*arguments).predict_proba(X) for o in ("adamw", "muon")]
    assert all(np.isfinite(part).all() for part in found)
    assert not np.allclose(*found)
    again = kind(**SMALL, optimizer="muon").fit(*arguments).predict_proba(X)
    np.testing.assert_array_equal(again, found[1])


def test_an_unknown_optimizer_is_refused():
    with pytest.raises(ValueError, match=r"'optimizer' parameter of GenMM must be .*'muon'"):
        GenMM(2, optimizer="sgd").fit(X)


def test_layers_that_are_shared_and_vectors_of_one_feature_fit():
    shared = GenMM(**SMALL, shared_layers=1, optimizer="muon").fit(X)
    assert np.isfinite(shared.score(X))
    assert np.isfinite(GenMM(**SMALL, optimizer="muon").fit(X[:, :1]).score(X[:, :1]))
