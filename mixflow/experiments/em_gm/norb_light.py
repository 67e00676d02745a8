"""Norb's toys left out one by one: what K gives toys never seen, raw and normalised."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mixflow.experiments.base import Experiment, Result, RunContext
from mixflow.experiments.em_gm.table_2 import Table2, fit, rows_of
from mixflow.experiments.em_gm.table_2_data import Cell, companion, load_cell

COMPONENTS, TOYS = (1, 4, 10), 5
EVERY = 4  # of so many training samples one is measured: as many as are left out


def run(config: Table2, context: RunContext) -> Result:
    """Fit to the training split without a toy of every class, that of the seed; classify it.

    The test split is not looked at. Where samples show no toys, a share of them is left out.
    """
    cell = load_cell(config.dataset, config.model, config.split_seed)
    cell = companion(cell, config.validation_fraction, config.seed)
    start = time.perf_counter()
    model = fit(config, context, "held-out", cell)
    costs = {"fit_seconds": time.perf_counter() - start}
    metrics = measure(model.log_prob_classes, cell)
    # Under the data sets' own names: the table's "norb" are the normalised images alone.
    return Result(rows_of(config, metrics).assign(dataset=config.dataset), costs=costs)


def measure(log_prob_classes: Callable[[np.ndarray], np.ndarray], cell: Cell) -> dict[str, float]:
    """Return accuracy, and NLL in nats in the model's units, on what was left out and was seen.

    Parameters
    ----------
    log_prob_classes
        Gives log p(x given y): (N, D) -> (N, n_classes).
    cell
        Of :func:`companion`: its test part is what was left out.
    """
    seen = slice(None, None, EVERY)
    parts = {
        "left_out": (cell.x_test, cell.y_test),
        "seen": (cell.x_train[seen], cell.y_train[seen]),
    }
    metrics = {}
    for part, (x, y) in parts.items():
        log_prob = log_prob_classes(x)
        right = (log_prob + np.log(cell.class_prior)).argmax(1) == y
        metrics[f"{part}_accuracy"] = float(right.mean())
        metrics[f"{part}_nll"] = float(-log_prob[np.arange(len(y)), y].mean())
    return metrics


def plan(profile: str) -> Sequence[Mapping[str, Any]]:
    """Return every toy and K, with grey values as they are and with each image normalised."""
    if profile == "smoke":
        return [{"n_components": k, "epochs": 10, "seed": 0} for k in (1, 2)]
    return [
        {"dataset": dataset, "n_components": k, "evaluate_every": 100, "seed": toy}
        for toy in range(TOYS)
        for k in COMPONENTS
        for dataset in ("norb-8x16", "norb-8x16-normalised")
    ]


EXPERIMENT = Experiment(
    name="em-gm/norb-light",
    title="Norb's toys left out one by one, as they are and normalised",
    config=Table2,
    run=run,
    defaults={"smoke": {"dataset": "digits"}, "laptop": {}, "paper": {}},
    plan=plan,
)
