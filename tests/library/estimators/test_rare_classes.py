"""Classes with few samples and early stopping: they train, and the others validate."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.model_selection import train_test_split

from mixflow import MixtureClassifier, VMoNF
from mixflow.training import Groups

SMALL = {"n_layers": 1, "hidden_features": 4, "hidden_layers": 1, "max_epochs": 2}


def table(*counts):
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(len(counts)), counts)
    return rng.normal(size=(len(y), 2)) + 5 * y[:, None], y


def held(model, y):
    model.classes_ = np.unique(y)
    return model._hold_out_of_each(y, 7)


@pytest.mark.parametrize("few", [1, 2, 3, 5, 6, 9])
@pytest.mark.parametrize("place", [0, 2])
def test_a_rare_class_trains(few, place):
    X, y = table(*np.insert([1200, 800], place, few))
    model = MixtureClassifier(random_state=0, **SMALL).fit(X, y)
    assert np.isfinite(model.history_["validation_score"]).any()
    assert (model.predict(X[y == place]) == place).all()


def test_a_class_keeps_as_many_samples_as_it_has_components():
    X, y = table(1200, 800, 10)
    model = MixtureClassifier(10, random_state=0, **SMALL)
    rows, held_out = held(model.set_params(early_stopping=True), y)
    assert (y[rows] == 2).sum() == 10
    assert sorted(y[held_out].tolist()) == [0] * 120 + [1] * 80


def test_nothing_moves_where_no_class_is_rare():
    """The split is scikit-learn's own, in its order."""
    X, y = table(100, 60, 40)
    model = MixtureClassifier(early_stopping=True)
    rows, held_out = held(model, y)
    expected = train_test_split(np.arange(200), test_size=0.1, stratify=y, random_state=7)
    assert (rows == expected[0]).all()
    assert (held_out == expected[1]).all()


@pytest.mark.parametrize("counts", [[1, 1, 1, 1], [7] * 300])
def test_without_samples_to_spare_all_train_with_a_warning(counts):
    X, y = table(*counts)
    model = MixtureClassifier(early_stopping=True, **{**SMALL, "max_epochs": 1})
    with pytest.warns(UserWarning, match="no class has samples to spare"):
        model.fit(X, y)
    assert "validation_score" not in model.history_


def test_groups_may_be_empty_where_that_is_meant():
    labels = torch.tensor([0, 0, 1])
    groups = Groups.of_some(labels, 3)
    assert groups.weight.sum(1).tolist() == [2, 1, 0]
    with pytest.raises(ValueError, match="needs samples"):
        Groups.by_label(labels, 3)


def test_no_component_loses_all_its_labels():
    X, y = table(40, 40, 1)
    for seed in range(12):
        model = VMoNF(3, early_stopping=True, validation_fraction=0.3)
        rows, held_out = model._rows(y, seed)
        assert set(y[rows]) == {0, 1, 2}
        assert len(rows) + len(held_out) == 81
        assert len(held_out) >= 24


def test_a_fit_with_a_rare_class_warns_of_nothing():
    X, y = table(1200, 800, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MixtureClassifier(random_state=0, **SMALL).fit(X, y)
