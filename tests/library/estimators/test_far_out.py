"""Points far from the data have a density, or none: never NaN, and no class made of it."""

import numpy as np
import pytest
import torch

from mixflow import GenMM, LatMM, MixtureClassifier, VMoNF
from mixflow.flows import VectorFlow
from mixflow.mixtures import GenMM as GenMMCore

X = np.random.default_rng(0).normal(size=(300, 3))
Y = (X[:, 0] > 0.8).astype(int)
FAR = (5.0, 50.0, 1e4, 1e10, 1e38, 1e100, 1e200, 1e308)
SMALL = {"n_layers": 6, "hidden_features": 8, "hidden_layers": 1}
EPOCHS = {"exp": 15, "tanh": 2, "sigmoid": 2}


@pytest.fixture(scope="module", params=["exp", "tanh", "sigmoid"])
def models(request):
    settings = {**SMALL, "scale": request.param, "random_state": 0}
    settings["max_epochs"] = EPOCHS[request.param]
    kinds = (GenMM, LatMM, VMoNF)
    models = [kind(2, **settings).fit(X) for kind in kinds]
    return [*models, MixtureClassifier(1, **settings).fit(X, Y)]


@pytest.mark.parametrize("far", FAR)
def test_scores_are_never_nan(models, far):
    away = np.sign(X) * far
    for model in models:
        scores = model.score_samples(away)
        assert not np.isnan(scores).any()
        assert (scores < 0).all()
        np.testing.assert_allclose(model.predict_proba(away).sum(1), 1)


@pytest.mark.parametrize("far", FAR)
def test_where_no_class_is_possible_the_prior_decides(models, far):
    away, model = np.sign(X) * far, models[-1]
    most = model.predict_proba(away).argmax(1)
    assert (model.predict(away) == model.classes_[most]).all()
    impossible = np.isneginf(model.score_samples(away))
    assert (model.predict(away)[impossible] == np.bincount(Y).argmax()).all()


def test_latents_of_images_far_out_in_float32():
    images = np.random.default_rng(0).normal(size=(40, 16))
    model = GenMM(2, image_shape=(1, 4, 4), n_levels=2, n_layers=1, max_epochs=1).fit(images)
    for far in FAR:
        assert not np.isnan(model.score_samples(np.sign(images) * far)).any()


def test_a_sample_that_is_no_number_keeps_nan():
    mixture = GenMMCore(VectorFlow(2, 3))
    x = torch.tensor([[0.0, 1.0, 2.0], [torch.nan, 0.0, 0.0]])
    assert mixture.log_prob(x).isnan().tolist() == [False, True]
