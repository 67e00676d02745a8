"""Images of another kind: the two scores."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from companion.em_gm.images import doubt as image_doubt
from companion.em_gm.images.data import load_images
from companion.em_gm.images.doubt import OTHERS, _others, measure
from companion.runs.experiment import RunContext
from companion.runs.registry import find


def test_strangers_that_are_more_likely_are_missed_by_density_and_found_by_typicality():
    rng = np.random.default_rng(0)
    nll = {
        "training": 2 + 0.1 * rng.standard_normal(500),
        "held out": 2 + 0.1 * rng.standard_normal(300),
        "other": 1 + 0.1 * rng.standard_normal(200),
    }
    found = measure(nll)
    assert found["auroc_density"] == pytest.approx(0, abs=0.01)
    assert found["auroc_typicality"] == pytest.approx(1, abs=0.01)
    assert measure({**nll, "other": nll["held out"]})["auroc_density"] == pytest.approx(0.5)


def test_others_are_of_the_models_shape():
    assert OTHERS["mnist"] == "fashion-mnist"
    digits = load_images("digits").held_out
    np.testing.assert_array_equal(_others("digits"), -digits)


def test_it_builds_on_a_stored_mixture(tmp_path):
    experiment = find("em-gm/image-doubt")
    with pytest.raises(ValueError, match="needs RunContext.require"):
        experiment.run(experiment.configure("smoke"), RunContext(tmp_path, progress=False))


def test_the_page_shows_what_the_runs_found():
    run = SimpleNamespace(
        config={"dataset": "mnist", "n_components": 7},
        arrays={"nll, held out": np.array([2.0, 2.1, 2.2]), "nll, other": np.array([1.0, 3.0])},
        rows=pd.DataFrame({"metric": ["auroc_density", "auroc_typicality"], "value": [0.25, 0.75]}),
    )
    shown = image_doubt.panels([run])
    assert list(shown["MNIST, K = 7"]) == ["held out", "Fashion-MNIST"]
    assert image_doubt.describe(shown) == (
        "MNIST, K = 7: median 2.10 (held out) and 2.00 (Fashion-MNIST) nat/pixel."
    )
    said = image_doubt.say_scores([run])
    assert said.startswith("- **MNIST, K = 7**: AUROC 0.250 by the density alone, 0.750")
