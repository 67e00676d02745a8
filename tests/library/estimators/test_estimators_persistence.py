"""Saved models: the same scores, no code, no silent damage."""

import json
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError

from mixflow import GenMM, MixtureClassifier, load
from mixflow.training.checkpoints import file_bytes, read_file

SMALL = {"n_layers": 1, "hidden_features": 4, "hidden_layers": 1, "random_state": 0}


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def model(iris):
    return GenMM(2, max_epochs=2, **SMALL).fit(iris[0])


@pytest.fixture
def path(model, tmp_path):
    return model.save(tmp_path / "model")


def test_a_model_reads_as_written(model, path, iris):
    assert path.name == "model.safetensors"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        other = load(path)
    X = iris[0]
    assert (other.score_samples(X) == model.score_samples(X)).all()
    assert (other.sample(5)[0] == model.sample(5)[0]).all()
    assert other.get_params() == model.get_params()
    assert other.n_iter_ == model.n_iter_
    pd.testing.assert_frame_equal(pd.DataFrame(other.history_), pd.DataFrame(model.history_))
    assert other.bic(X) == model.bic(X)


@pytest.mark.parametrize(
    "settings",
    [
        {"dtype": "float64"},
        {"mixing": "lu", "scale": "exp"},
        {"n_components": 4, "n_blocks": 2, "n_init": 2},
        {"early_stopping": True, "betas": (0.8, 0.9), "posterior_temperature": (2.0, 1.0)},
        {"random_state": None},
    ],
)
def test_all_kinds_of_settings(settings, iris, tmp_path):
    X = iris[0]
    model = GenMM(**{"n_components": 2, "max_epochs": 2, **SMALL, **settings}).fit(X)
    other = load(model.save(tmp_path / "a.b"))
    assert (other.score_samples(X) == model.score_samples(X)).all()
    assert other.fit(X).score_samples(X).shape == (150,)


def test_images(tmp_path):
    X = np.random.default_rng(0).random((30, 16))
    model = GenMM(2, image_shape=(1, 4, 4), n_levels=1, max_epochs=1, **SMALL).fit(X)
    other = load(model.save(tmp_path / "images"))
    assert (other.score_samples(X) == model.score_samples(X)).all()
    assert other.sample(2)[0].shape == (2, 1, 4, 4)


@pytest.mark.parametrize("dtype", [str, object, int])
def test_a_classifier_keeps_its_labels_and_can_grow(iris, tmp_path, dtype):
    X, y = iris
    y = y.astype(str).astype(dtype) if dtype is not int else y
    model = MixtureClassifier(max_epochs=2, **SMALL).fit(X[:100], y[:100])
    other = load(model.save(tmp_path / "classes"))
    assert other.classes_.dtype == model.classes_.dtype
    assert (other.predict(X) == model.predict(X)).all()
    assert (other.predict_proba(X) == model.predict_proba(X)).all()
    model.add_class(X[100:], y[-1])
    other.add_class(X[100:], y[-1])
    assert (other.predict_proba(X) == model.predict_proba(X)).all()


def test_what_cannot_be_saved_is_said(iris, tmp_path):
    model = GenMM(max_epochs=1, **{**SMALL, "random_state": np.random.RandomState(0)}).fit(iris[0])
    with pytest.warns(UserWarning, match="random_state=.* cannot be saved"):
        path = model.save(tmp_path / "m")
    assert load(path).random_state is None


def test_an_array_of_responsibilities_is_saved(iris, tmp_path):
    r = np.full((150, 2), 0.5)
    model = GenMM(2, init=r, max_epochs=1, **SMALL).fit(iris[0])
    assert np.array_equal(load(model.save(tmp_path / "m")).init, r)


def test_an_unfitted_model_is_not_saved(tmp_path):
    with pytest.raises(NotFittedError):
        GenMM().save(tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file"):
        load(tmp_path / "none.safetensors")


def test_truncated_files_are_errors(path):
    content = path.read_bytes()
    for size in range(0, len(content), len(content) // 40):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match="damaged or no mixflow model"):
            load(path)


def test_a_flipped_bit_anywhere_is_an_error(path):
    content = path.read_bytes()
    for position in range(0, len(content), 61):
        damaged = bytearray(content)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="damaged or no mixflow model"):
            load(path)


def test_other_files_are_errors_and_never_executed(tmp_path):
    path = tmp_path / "m.safetensors"

    class Bomb:
        def __reduce__(self):
            return (path.unlink, ())

    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match="damaged or no mixflow model"):
        load(path)
    assert path.exists()
    torch.save({"a": torch.ones(2)}, path)
    with pytest.raises(ValueError, match="damaged or no mixflow model"):
        load(path)


def test_other_classes_are_not_made(model, path):
    tensors, text = read_file(path, "mixflow")
    for change in ({"class": "load"}, {"format": 99}):
        other = json.dumps({**json.loads(text), **change})
        path.write_bytes(file_bytes(tensors, "mixflow", other))
        with pytest.raises(ValueError, match="this version reads GenMM and MixtureClassifier"):
            load(path)


def test_files_of_other_content_are_errors(path):
    tensors, text = read_file(path, "mixflow")
    header = json.loads(text)
    headers = [{n: v for n, v in header.items() if n != name} for name in header]
    headers += [{**header, name: value} for name in header for value in (None, -1, "a", [1])]
    texts = ["[]", "null", "[" * 100_000, *map(json.dumps, headers)]
    for other in texts:
        path.write_bytes(file_bytes(tensors, "mixflow", other))
        with pytest.raises(ValueError, match="damaged or no mixflow model|this version reads"):
            load(path)
    for name in tensors:
        for value in (None, torch.ones(7)):
            rest = {n: t for n, t in tensors.items() if n != name}
            content = rest if value is None else {**rest, name: value}
            path.write_bytes(file_bytes(content, "mixflow", text))
            with pytest.raises(ValueError, match="damaged or no mixflow model"):
                load(path)


def test_a_write_that_fails_leaves_the_old_file(model, path, monkeypatch):
    before = path.read_bytes()

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mixflow.files.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        model.save(path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_loaded_model_is_settled_like_a_fitted_one(iris, tmp_path):
    """Parameters that could train would keep large banks from being screened in float32."""
    model = load(GenMM(2, max_epochs=1, **SMALL).fit(iris[0]).save(tmp_path / "model"))
    assert not model.mixture_.training
    assert not any(p.requires_grad for p in model.mixture_.parameters())
