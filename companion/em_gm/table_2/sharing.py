"""Should the flows of a class share its samples, or divide them? Table II's GenMM, taken apart.

Between one EM (every flow specialises on the samples it is responsible for) and K single flows
(all see every sample, and their densities are averaged) lie blocks of flows with an EM each, and
posteriors of high temperature. What a run measures says which of the two helps, and why.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.special import entr, log_softmax, logsumexp

from companion.em_gm.table_2.config import Table2
from companion.em_gm.table_2.data import Cell, load_cell
from companion.em_gm.table_2.fit import fit
from companion.runs.experiment import Experiment, RunContext
from companion.runs.result import Result
from mixflow.estimators import MixtureClassifier
from mixflow.mixtures.base import in_chunks

N_COMPONENTS, SEEDS, CHUNK = 10, 2, 512
# Blocks and temperatures: one EM, exact and tempered up to the released code's T = D; then
# blocks with exact posteriors, down to single flows.
WAYS: tuple[tuple[int, float | str], ...] = (
    *((1, temperature) for temperature in (1.0, 2.0, 6.0, "per_dimension")),
    *((blocks, 1.0) for blocks in (2, 5, 10)),
)


def run(config: Table2, context: RunContext) -> Result:
    """Fit once; measure what the mixture gains over its flows, and what it overfits."""
    return measured(
        config,
        context,
        f"K={config.n_components} T={config.posterior_temperature} blocks={config.n_blocks}",
    )


def measured(config: Table2, context: RunContext, setting: str) -> Result:
    """Fit once; return what :func:`measure` gives as rows of that setting."""
    cell = load_cell(config.dataset, config.model, config.split_seed)
    start = time.perf_counter()
    model = fit(config, context, "full", cell)
    costs = {"fit_seconds": time.perf_counter() - start}
    same = {
        "dataset": config.dataset,
        "model": config.model,
        "setting": setting,
        "seed": config.seed,
    }
    metrics = measure(model, cell)
    rows = pd.DataFrame([{**same, "metric": m, "value": v} for m, v in sorted(metrics.items())])
    return Result(rows, costs=costs)


def measure(model: MixtureClassifier, cell: Cell) -> dict[str, float]:
    """Return accuracies, negative log-likelihoods in nats, and how posteriors divide samples.

    ``mean_flow_*`` is the mean over k of a classifier that has flow k of every class alone.
    """
    metrics: dict[str, float] = {}
    for part, x, y in (
        ("train", cell.x_train, cell.y_train),
        ("test", cell.x_test, cell.y_test),
    ):
        joint = _log_joint(model, x)
        own = joint[np.arange(len(y)), y]
        log_prior = np.log(cell.class_prior)
        right = (logsumexp(joint, 2) + log_prior).argmax(1) == y
        log_flow = joint - _log_weights(model)
        flow_right = (log_flow + log_prior[:, None]).argmax(1) == y[:, None]
        responsibilities = np.exp(log_softmax(own, 1))
        metrics |= {
            f"{part}_accuracy": float(right.mean()),
            f"{part}_nll": float(-logsumexp(own, 1).mean()),
            f"mean_flow_{part}_accuracy": float(flow_right.mean()),
            f"mean_flow_{part}_nll": float(-log_flow[np.arange(len(y)), y].mean()),
            f"{part}_posterior_entropy": float(entr(responsibilities).sum(1).mean()),
            f"{part}_largest_responsibility": float(responsibilities.max(1).mean()),
        }
    weights = np.exp(_log_weights(model))
    metrics["effective_components"] = float(np.exp(entr(weights).sum(1)).mean())
    return metrics


def _log_weights(model: MixtureClassifier) -> np.ndarray:
    """Return log pi: (n_classes, K)."""
    log_weights: np.ndarray = model.mixture_.log_weights.cpu().numpy()
    return log_weights.reshape(len(model.classes_), -1)


@torch.no_grad()
def _log_joint(model: MixtureClassifier, x: np.ndarray) -> np.ndarray:
    """Return log pi_yk p_yk(x) of every flow, in the units of x: (N, D) -> (N, n_classes, K)."""
    mixture = model.mixture_
    scaled = torch.as_tensor((x - model.location_) / model.scale_, dtype=torch.float64)
    joint = in_chunks(mixture.log_joint, scaled, CHUNK).cpu().numpy()
    out: np.ndarray = joint.reshape(len(x), len(model.classes_), -1)
    return out - np.log(model.scale_).sum()


def plan(profile: str) -> Sequence[Mapping[str, Any]]:
    """Return every way on Satimage, and on Letter, where specialising helps."""
    if profile == "smoke":
        short = {"n_components": 4, "epochs": 20, "evaluate_every": 20, "seed": 0}
        return [{"n_blocks": blocks, **short} for blocks in (1, 4)]
    return [
        {
            "dataset": dataset,
            "n_components": N_COMPONENTS,
            "n_blocks": blocks,
            "posterior_temperature": temperature,
            "validation_fraction": 0.0,
            "seed": seed,
        }
        for dataset in ("satimage", "letter")
        for blocks, temperature in WAYS
        for seed in range(SEEDS)
    ]


EXPERIMENT = Experiment(
    name="em-gm/table-2-sharing",
    title="Share the samples of a class among its flows, or divide them?",
    config=Table2,
    run=run,
    defaults={"smoke": {"dataset": "digits"}, "laptop": {}, "paper": {}},
    plan=plan,
)
