"""What estimators are given: masks, dates, tensors, labels, numbers of samples, callbacks."""

import datetime

import numpy as np
import pandas as pd
import pytest
import torch

from mixflow import BasisDensity, GenMM, LatMM, MixtureClassifier, RotatedBasisDensity, VMoNF, load

SMALL = {"n_layers": 1, "hidden_features": 4, "hidden_layers": 1, "max_epochs": 1}
X = np.random.default_rng(0).normal(size=(60, 2))
Y = np.arange(60) % 2
MASKED = np.ma.array(X, mask=X > 1)
DAYS = np.arange(120).reshape(60, 2).astype("datetime64[D]")

ESTIMATORS = {
    "GenMM": GenMM(2, random_state=0, **SMALL),
    "LatMM": LatMM(2, random_state=0, **SMALL),
    "MixtureClassifier": MixtureClassifier(random_state=0, **SMALL),
    "VMoNF": VMoNF(2, random_state=0, **SMALL),
    "BasisDensity": BasisDensity(20, random_state=0),
    "RotatedBasisDensity": RotatedBasisDensity(20, random_state=0),
}
SAMPLING = [name for name in ESTIMATORS if name != "MixtureClassifier"]


@pytest.fixture(scope="module")
def fitted():
    return {name: model.fit(X, Y) for name, model in ESTIMATORS.items()}


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("container", [MASKED, list(MASKED)])
def test_masked_values_are_refused(fitted, name, container):
    with pytest.raises(ValueError, match="X has masked values"):
        fitted[name].fit(container, Y)
    with pytest.raises(ValueError, match="X has masked values"):
        fitted[name].score_samples(container)


def test_masked_labels_and_weights_are_refused():
    masked = np.ma.array(Y, mask=Y > 0)
    with pytest.raises(ValueError, match="y has masked values"):
        MixtureClassifier(**SMALL).fit(X, masked)
    with pytest.raises(ValueError, match="y has masked values"):
        VMoNF(2, **SMALL).fit(X, masked)
    with pytest.raises(ValueError, match="sample_weight has masked values"):
        GenMM(**SMALL).fit(X, sample_weight=masked)


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize(
    "dates",
    [
        DAYS,
        DAYS - DAYS[0, 0],
        pd.DataFrame({"a": X[:, 0], "b": DAYS[:, 0]}),
        [[0.5, datetime.date(2020, 1, 1 + i % 28)] for i in range(60)],
    ],
)
def test_dates_are_refused(fitted, name, dates):
    with pytest.raises(ValueError, match="X holds dates or times"):
        fitted[name].fit(dates, Y)


def test_a_column_of_dates_is_named():
    with pytest.raises(ValueError, match="in column 'b'"):
        GenMM(**SMALL).fit(pd.DataFrame({"a": X[:, 0], "b": DAYS[:, 0]}))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_tensors_with_a_gradient_are_read_as_arrays(fitted, name):
    tensor = torch.tensor(X, requires_grad=True)
    scores = fitted[name].score_samples(tensor)
    scores = scores.numpy() if isinstance(scores, torch.Tensor) else scores
    np.testing.assert_array_equal(scores, fitted[name].score_samples(X))


def test_a_fit_to_tensors_is_a_fit_to_their_numbers():
    model = MixtureClassifier(random_state=0, **SMALL)
    expected = model.fit(X, Y).predict_proba(X)
    tensors = torch.tensor(X, requires_grad=True), torch.tensor(Y)
    assert (model.fit(*tensors).predict_proba(X) == expected).all()


@pytest.mark.parametrize("name", SAMPLING)
@pytest.mark.parametrize("number", [1.5, True, "2", None, 2.0, np.array([2])])
def test_the_number_of_samples_is_whole(fitted, name, number):
    with pytest.raises(ValueError, match="n_samples must be a whole number"):
        fitted[name].sample(number)
    with pytest.raises(ValueError, match="n_samples must be at least 1"):
        fitted[name].sample(0)
    assert len(fitted[name].sample(np.int64(2))) == 2


@pytest.mark.parametrize("name", ["GenMM", "LatMM", "VMoNF"])
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.full(60, 0.7), "whole numbers"),
        (np.full(60, "a"), "whole numbers"),
        (np.full(60, 2), "outside 0 ... 1"),
        (np.full(60, -1), "outside 0 ... 1"),
        (np.ma.array(Y, mask=Y > 0), "masked"),
        (np.zeros(59, int), "one entry for each of 60"),
        (0, "shape"),
    ],
)
def test_components_are_named_by_whole_numbers(fitted, name, labels, message):
    with pytest.raises(ValueError, match=message):
        fitted[name].decode(X, labels)
    with pytest.raises(ValueError, match=message):
        fitted[name].encode(X, labels)


def test_latents_have_the_width_of_the_samples(fitted):
    with pytest.raises(ValueError, match=r"Z must have shape \(N, 2\)"):
        fitted["GenMM"].decode(X[:, :1], Y)
    with pytest.raises(ValueError, match="Z holds NaN"):
        fitted["GenMM"].decode(X * np.nan, Y)


@pytest.mark.parametrize("name", ["GenMM", "LatMM", "MixtureClassifier", "VMoNF"])
def test_a_callback_may_return_nothing(name):
    seen = []
    model = type(ESTIMATORS[name])(2, **SMALL, callback=lambda model, epoch: seen.append(epoch))
    assert model.fit(X, Y).n_iter_ == 1
    assert seen == [0]


def test_what_a_callback_returns_is_checked():
    with pytest.raises(TypeError, match="a callback must return None, or a dict"):
        GenMM(**SMALL, callback=lambda model, epoch: 3.0).fit(X)


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("stem", ["run", "run_0.5", "a.b.c"])
def test_a_file_gets_its_suffix(fitted, tmp_path, name, stem):
    path = fitted[name].save(tmp_path / stem)
    assert path.name == f"{stem}.safetensors"
    assert fitted[name].save(path) == path
    for name_given in (path, tmp_path / stem):
        assert (load(name_given).score_samples(X) == fitted[name].score_samples(X)).all()


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_missing_folder_is_named(fitted, tmp_path, name):
    with pytest.raises(FileNotFoundError, match="make the folder first.*none'"):
        fitted[name].save(tmp_path / "none" / "run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("priors", [np.ma.array([0.5, 0.5], mask=[True, False]), ["a", "b"]])
def test_priors_are_numbers(priors):
    with pytest.raises(ValueError, match="priors"):
        MixtureClassifier(priors=priors, **SMALL).fit(X, Y)
