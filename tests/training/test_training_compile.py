"""Compiled densities: the same fit as without."""

import shutil

import numpy as np
import pytest
import torch

from mixflow import GenMM

pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, ("g++", "c++", "clang++"))), reason="torch.compile needs a compiler"
)


def test_a_compiled_fit_is_the_same():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, (60, 2)), rng.normal(6, 2, (40, 2))])
    settings = {"n_layers": 1, "hidden_features": 4, "hidden_layers": 1, "random_state": 0}
    settings |= {"max_epochs": 5, "em_every": 2, "batch_size": 40, "m_step": "dense"}
    eager = GenMM(2, **settings).fit(X)
    torch.compiler.reset()
    compiled = GenMM(2, compile=True, **settings).fit(X)
    np.testing.assert_allclose(compiled.score_samples(X), eager.score_samples(X), atol=1e-4)
    np.testing.assert_allclose(compiled.weights_, eager.weights_, atol=1e-4)
    np.testing.assert_allclose(compiled.history_["loss"], eager.history_["loss"], atol=1e-4)
