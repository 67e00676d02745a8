"""Proposition 2 in float64: full-batch generalised EM never lowers the bound."""

import numpy as np
import pytest
import torch

from companion.em_gm import convergence
from companion.runs.experiment import RunContext
from companion.runs.registry import find

EXPERIMENT = find("em-gm/convergence")
SMALL = {"n_components": 3, "size": 30, "iterations": 8, "steps": 4, "batch_size": 20}


def run(tmp_path, way, **values):
    config = EXPERIMENT.configure("smoke", way=way, **{**SMALL, **values})
    return EXPERIMENT.run(config, RunContext(tmp_path, progress=False))


@pytest.mark.parametrize("seed", [0, 1])
def test_a_line_search_never_lowers_the_bound(tmp_path, seed):
    result = run(tmp_path, "line search", seed=seed)
    rises = np.diff(result.arrays["bound"])
    assert rises.min() > -convergence.ROUNDING
    assert rises.max() > 1e-3
    assert result.rows.set_index("metric").loc["never_falls", "value"] == 1


def test_steps_of_minibatches_lower_it_now_and_then(tmp_path):
    result = run(tmp_path, "Adam, minibatches", learning_rate=0.05, iterations=20)
    values = result.rows.set_index("metric")["value"]
    assert values["never_falls"] == 0
    assert values["largest_fall"] == pytest.approx(-np.diff(result.arrays["bound"]).min())
    assert values["falls"] == (np.diff(result.arrays["bound"]) < -convergence.ROUNDING).sum()


def test_after_an_e_step_the_bound_is_the_log_likelihood():
    em = convergence._em(EXPERIMENT.configure("smoke", **SMALL))
    bound = em.e_step(1.0)["lower_bound"]
    assert em.x.dtype == torch.float64
    weights = em.mixture.log_weights.clone()
    assert bound == pytest.approx(convergence._bound(em), abs=1e-2)  # before pi has moved
    em.e_step(1.0)
    assert not torch.equal(weights, em.mixture.log_weights)
    assert em.e_step(1.0)["lower_bound"] >= bound - convergence.ROUNDING


def test_the_minibatch_loss_is_an_estimate_of_the_whole(tmp_path):
    config = EXPERIMENT.configure("smoke", **{**SMALL, "batch_size": 5000})
    em = convergence._em(config)
    em.e_step(1.0)
    found = convergence._minibatch_loss(em, config, torch.Generator().manual_seed(0))
    assert float(found) == pytest.approx(float(em.loss(0)), rel=0.1)


def test_weights_are_kept_at_every_iteration(tmp_path):
    result = run(tmp_path, "Adam, all samples")
    assert result.arrays["weights"].shape == (8, 3)
    np.testing.assert_allclose(result.arrays["weights"].sum(1), 1)
    assert len(result.arrays["bound"]) == 2 * 8 + 1
