"""Hybrids at equal parameters and FLOPs, and what is judged of figures 3 to 6."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from mixflow.experiments import RunContext, find
from mixflow.experiments.em_gm.images import figures_3_6, hybrids

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


def test_latmm_is_judged_by_a_single_flow():
    config = HYBRIDS.configure("laptop")

    def lines(latmm):
        values = {"LatMM": latmm, "single flow": 0.95}
        return [{"model": m, "metric": "test_accuracy", "value": v} for m, v in values.items()]

    assert [hybrids._claim(lines(a), config)[0]["value"] for a in (0.945, 0.93)] == [1, 0]
    assert hybrids._claim([], config) == []


def _stored(model, k, nll, quality, curve=(3.0, 2.0)):
    metrics = {"nll_train": nll, **{m: quality for m in figures_3_6.QUALITY}, "FID": quality}
    rows = pd.DataFrame([{"metric": m, "value": v} for m, v in metrics.items()])
    return SimpleNamespace(rows=rows, arrays={"curve_nll": np.array(curve)})


def _found(falls):
    return {
        (model, k): _stored(model, k, 2 - 0.01 * i * (1 if falls else -1), 10 - i)
        for model in figures_3_6.MODELS
        for i, k in enumerate((1, 3, 5, 7, 9))
    }


def test_the_likelihood_must_fall_with_every_k():
    assert all(holds for *_, holds in figures_3_6._likelihood(_found(falls=True)))
    judged = {(m, name): holds for m, name, holds in figures_3_6._likelihood(_found(falls=False))}
    assert not judged["LatMM", "NLL falls with K"]
    assert judged["LatMM", "NLL falls with the epoch"]


def test_measures_of_samples_have_a_direction():
    judged = {name: holds for _, name, holds in figures_3_6._quality(_found(falls=True))}
    assert judged == {
        "IS is better with K > 1": False,  # it fell, and should rise
        "FID root is better with K > 1": True,
        "MMD is better with K > 1": True,
        "1NN is better with K > 1": True,
    }


def test_the_runs_that_are_judged_are_those_of_table_1():
    table_1 = find("em-gm/table-1")
    planned = {config.digest() for config in table_1.configs("laptop")}
    config = FIGURES.configure("laptop")
    asked = {
        table_1.configure("laptop", **figures_3_6._point(config, dataset, model, k)).digest()
        for dataset in ("mnist", "fashion-mnist")
        for model in figures_3_6.MODELS
        for k in (1, 3, 5, 7, 9)
    }
    assert len(asked) == 18
    assert asked <= planned
