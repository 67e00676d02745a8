"""Table II's models on a part of the training split that was left out; no test sample is used."""

from __future__ import annotations

import time

import numpy as np

from companion.em_gm.table_2.config import Table2
from companion.em_gm.table_2.data import Cell, LogProb, companion, load_cell
from companion.em_gm.table_2.fit import fit
from companion.runs.experiment import RunContext
from mixflow.estimators import MixtureClassifier

EVERY = 4  # of so many training samples one is measured: as many as are left out


def fit_without(
    config: Table2, context: RunContext
) -> tuple[MixtureClassifier, Cell, dict[str, float]]:
    """Fit to all but the part that the seed draws; return model, data and costs.

    The data's test part is what was left out: a toy of every class where samples show toys, else
    a share of ``validation_fraction``.
    """
    cell = load_cell(config.dataset, config.model, config.split_seed)
    cell = companion(cell, config.validation_fraction, config.seed)
    start = time.perf_counter()
    model = fit(config, context, "held-out", cell)
    return model, cell, {"fit_seconds": time.perf_counter() - start}


def measure(log_prob_classes: LogProb, cell: Cell) -> dict[str, float]:
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
