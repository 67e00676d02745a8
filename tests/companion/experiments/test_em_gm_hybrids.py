"""Hybrids at equal parameters and FLOPs, and what is judged of figures 3 to 6."""

from types import SimpleNamespace

import numpy as np
import pytest

from companion.em_gm.images import figures_3_6, hybrids
from companion.runs.experiment import RunContext
from companion.runs.registry import find

HYBRIDS, FIGURES = find("em-gm/hybrids"), find("em-gm/figures-3-6")


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    config = HYBRIDS.configure("smoke", epochs=4, e_steps=1, hidden_features=8)
    return HYBRIDS.run(config, RunContext(tmp_path_factory.mktemp("run"), progress=False))


def test_models_have_equal_parameters_and_flops(ran):
    table = ran.rows.pivot_table(index="model", columns="metric", values="value")
    assert set(table.index) == set(hybrids.MODELS)
    reference = table.loc["GenMM"]
    np.testing.assert_allclose(table["parameters"], reference["parameters"], rtol=0.06)
    assert table.loc["single flow", "width"] > 2 * reference["width"]
    # Whole epochs, of which there are few.
    np.testing.assert_allclose(table["FLOPs per sample"], reference["FLOPs per sample"], rtol=0.5)
    assert (table["test_nll"] > table["train_nll"] - 0.1).all()


@pytest.mark.parametrize(("model", "n_components"), [("LatMM", 16), ("GenMM of LatMMs", 16)])
def test_models_have_the_gaussians_asked_for(model, n_components):
    data = hybrids._Images("digits")
    mixture = hybrids._blank(hybrids.matched(HYBRIDS.configure("smoke"), data, model))
    assert mixture.n_components == n_components
    assert mixture.n_flows == (1 if model == "LatMM" else 4)


def test_figures_read_curves_and_samples(tmp_path):
    """Of stored mixtures: a curve that falls, and how many samples the network is sure of."""

    class Network:
        def extract(self, images):
            sure = np.linspace(0, 1, len(images))
            return SimpleNamespace(probabilities=np.stack([sure, 1 - sure], 1))

    curve = {"curve_epoch": np.arange(6.0), "curve_nll": 3 - np.arange(6.0)}
    stored = SimpleNamespace(arrays={**curve, "samples": np.zeros((11, 1, 8, 8), np.uint8)})
    assert figures_3_6._curve(stored) == {"curve_points": 6, "curve_rank_correlation": -1}
    assert figures_3_6._read(stored, Network()) == {"samples_read": 11, "samples_read_surely": 4}
    assert figures_3_6._read(SimpleNamespace(arrays=curve), Network()) == {}


@pytest.mark.parametrize(("seed", "expected"), [(0, 18), (1, 8), (2, 8)])
def test_the_runs_that_are_read_are_those_of_table_1(seed, expected):
    table_1 = find("em-gm/table-1")
    planned = {config.digest() for config in table_1.configs("laptop")}
    config = FIGURES.configure("laptop", seed=seed)
    asked = {
        table_1.configure("laptop", **figures_3_6._point(config, dataset, model, k)).digest()
        for dataset in ("mnist", "fashion-mnist")
        for model, k in figures_3_6.mixtures(config)
    }
    assert len(asked) == expected
    assert asked <= planned
