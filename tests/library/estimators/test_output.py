"""Samples as data frames, where asked; progress from the first second."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone

from mixflow import BasisDensity, GenMM, LatMM, RotatedBasisDensity, VMoNF

SMALL = {"n_layers": 1, "hidden_features": 4, "hidden_layers": 1, "max_epochs": 2}
X = np.random.default_rng(0).normal(size=(60, 2))
FRAME = pd.DataFrame(X, columns=["height", "weight"])
MODELS = {
    "GenMM": GenMM(2, random_state=0, **SMALL),
    "LatMM": LatMM(2, random_state=0, **SMALL),
    "VMoNF": VMoNF(2, random_state=0, **SMALL),
    "BasisDensity": BasisDensity(20, random_state=0),
    "RotatedBasisDensity": RotatedBasisDensity(20, random_state=0),
}


def samples(model):
    drawn = model.sample(5)
    return drawn[0] if isinstance(drawn, tuple) else drawn


@pytest.mark.parametrize("name", MODELS)
def test_samples_are_frames_where_asked(name):
    model = clone(MODELS[name]).fit(FRAME)
    plain = samples(model)
    assert isinstance(plain, np.ndarray)
    frame = samples(model.set_output(transform="pandas"))
    assert frame.columns.tolist() == ["height", "weight"]
    assert (frame.to_numpy() == plain).all()
    assert np.isfinite(model.score_samples(frame)).all()


@pytest.mark.parametrize("name", MODELS)
def test_samples_of_arrays_have_numbered_columns(name):
    model = clone(MODELS[name]).fit(X)
    with sklearn.config_context(transform_output="pandas"):
        assert samples(model).columns.tolist() == ["x0", "x1"]


@pytest.mark.parametrize("name", ["GenMM", "VMoNF"])
def test_decoded_latents_are_frames_and_images_are_arrays(name):
    model = clone(MODELS[name]).fit(FRAME).set_output(transform="pandas")
    assert model.decode(model.encode(FRAME), model.predict(FRAME)).shape == (60, 2)
    assert list(model.decode(X, np.zeros(60, int))) == ["height", "weight"]
    images = type(model)(2, image_shape=(1, 4, 4), n_levels=1, n_layers=1, max_epochs=1)
    images.set_output(transform="pandas").fit(np.random.default_rng(0).normal(size=(40, 16)))
    assert images.sample(2)[0].shape == (2, 1, 4, 4)


@pytest.mark.parametrize("name", ["GenMM", "LatMM", "VMoNF"])
def test_progress_shows_at_once(name, capsys):
    clone(MODELS[name]).fit(X)
    assert capsys.readouterr().err == ""
    clone(MODELS[name]).set_params(verbose=1).fit(X)
    said = capsys.readouterr().err
    assert f"{name}: kmeans start on 60 samples" in said or f"{name}: auto start" in said
    assert "0/2" in said
    assert "2/2" in said
