"""What the flows of a class divide among them, from mixtures whose division is known."""

import numpy as np
import pandas as pd
import pytest

from companion.em_gm.table_2 import norb_components, ways
from companion.em_gm.table_2.data import Cell
from companion.runs.experiment import RunContext
from companion.runs.registry import find
from mixflow.estimators import MixtureClassifier

TOYS = 3


@pytest.fixture(scope="module")
def found():
    """Two classes of three toys each, far apart: a component finds a toy."""
    rng = np.random.default_rng(0)
    toy, y = np.tile(np.arange(TOYS), 60), np.repeat([0, 1], 90)
    centres = 8 * rng.normal(size=(2, TOYS, 4))
    x = centres[y, toy] + 0.3 * rng.normal(size=(180, 4))
    cell = Cell(x, y, x, y, 0.0, np.ones(2) / 2, group=toy + 4)
    model = MixtureClassifier(TOYS, max_epochs=3, init="gmm", n_layers=2, random_state=0)
    images = np.arange(180, dtype=np.uint8)[:, None, None] * np.ones((1, 2, 3), np.uint8)
    return norb_components.divided(model.fit(x, y), cell, images), toy, y


def test_it_is_registered():
    assert find("em-gm/norb-components") is norb_components.EXPERIMENT


def test_components_are_seen_to_be_toys(found):
    (arrays, metrics), *_ = found
    assert metrics["agreement_with_toys"] == pytest.approx(1)
    assert 0 <= metrics["explained_brightness"] < 0.1  # images brighten with the row's number
    assert metrics["effective_components"] == pytest.approx(TOYS, abs=0.01)
    assert metrics["test_largest_responsibility"] > 0.99
    np.testing.assert_allclose(arrays["toys"].sum(1), 1)
    np.testing.assert_allclose(np.sort(arrays["toys"], axis=1)[:, -1], 1, atol=0.01)


def test_typical_samples_are_of_the_class_and_of_different_toys(found):
    (arrays, _), toy, y = found
    shown = arrays["typical"][..., 0, 0]
    assert arrays["typical"].shape == (2, TOYS, norb_components.N_SHOWN, 2, 3)
    for c in range(2):
        assert (y[shown[c]] == c).all()
        assert all(len(set(toy[rows])) == TOYS for rows in shown[c])
        # The densest of all comes first: a sample of the toy that the component has.
        own = arrays["toys"][c].argmax(1)
        assert toy[shown[c][:, 0]].tolist() == own.tolist()


def test_without_toys_the_densest_are_shown():
    density = np.array([[3.0, 0.0], [1.0, 1.0], [2.0, 2.0], [0.0, 3.0]])
    found = norb_components._densest(density, np.zeros(4, int))
    assert found.tolist() == [[0, 2, 1], [3, 2, 1]]


def test_what_parts_explain_of_a_variance():
    values = np.array([0.0, 0.0, 4.0, 4.0])
    assert norb_components._explained(values, np.array([0, 0, 1, 1])) == 1
    assert norb_components._explained(values, np.array([0, 1, 0, 1])) == 0
    assert norb_components._explained(values, np.array([0, 0, 1, 0])) == pytest.approx(1 / 3)


def test_smoke_runs_and_is_told(tmp_path):
    (config,) = norb_components.EXPERIMENT.configs("smoke")
    result = norb_components.run(config, RunContext(checkpoint=tmp_path, progress=False))
    assert result.arrays["typical"].shape == (10, 2, 3, 8, 8)
    assert result.arrays["classes"].tolist() == [str(digit) for digit in range(10)]
    assert "toy" not in ways.components_said(result.rows)


def test_agreement_with_toys_is_told_with_its_spread():
    values = {"effective_components": 2, "train_largest_responsibility": 0.9}
    values |= {"test_largest_responsibility": 0.8, "agreement_with_toys": 0.25}
    values |= {"explained_brightness": 0.5}
    rows = pd.DataFrame({"metric": [*values], "value": [*values.values()]})
    assert ways.components_said(rows).endswith("is 0.25.")
    twice = pd.concat([rows, rows.assign(value=rows["value"] + 0.1)])
    assert "is 0.30\u00a0±\u00a00.07 (sd" in ways.components_said(twice)
