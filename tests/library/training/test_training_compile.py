"""Compiled densities: the same fit as without."""

import shutil

import numpy as np
import pytest
import torch

from mixflow import GenMM, mixtures
from mixflow.flows import Glow
from mixflow.training import EM, EMSettings, Groups, LoopSettings, fit


@pytest.mark.skipif(
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


def test_flows_of_images_are_compiled_by_layers(monkeypatch):
    """Layers of one shape share what is compiled; nothing of it stays in the mixture."""
    torch.compiler.reset()
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    plain = torch.compile
    monkeypatch.setattr(torch, "compile", lambda f, **how: plain(f, backend=backend, **how))
    fitted = {}
    for compile_ in (False, True):
        torch.manual_seed(0)
        x = torch.randn(32, 1, 8, 8)
        mixture = mixtures.GenMM(Glow(2, (1, 8, 8), n_levels=2, n_steps=3, hidden_features=4))
        settings = EMSettings(batch_size=16, m_step="sparse", em_every=2, compile=compile_)
        em = EM(mixture, x, Groups.single(32), None, settings)
        em.start()
        fit(em, LoopSettings(max_epochs=3))
        assert not any("_forward" in vars(part) for part in mixture.modules())
        fitted[compile_] = mixture.log_prob_components(x)
    torch.testing.assert_close(fitted[True], fitted[False], rtol=1e-4, atol=1e-3)
    # Two levels of four kinds of layers and a split, and the first, whose input needs no gradient;
    # one by one they would be 21.
    assert 0 < len(graphs) <= 12


def test_dropout_draws_from_the_fits_generator_when_compiled(monkeypatch):
    """The same numbers as without, and no new graph in every step."""
    torch.compiler.reset()
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    plain = torch.compile
    monkeypatch.setattr(torch, "compile", lambda f, **how: plain(f, backend=backend, **how))
    X = np.random.default_rng(0).normal(size=(60, 2))
    settings = {"n_layers": 1, "hidden_features": 4, "max_epochs": 6, "batch_size": 20}
    settings |= {"dropout": 0.3, "noise": 0.1, "m_step": "dense", "random_state": 0}
    eager = GenMM(2, **settings).fit(X)
    before = torch.get_rng_state()
    compiled = GenMM(2, compile=True, **settings).fit(X)
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_allclose(compiled.score_samples(X), eager.score_samples(X), atol=1e-5)
    assert 0 < len(graphs) <= 12
