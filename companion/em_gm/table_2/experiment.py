"""EM-GM table II: one mixture per class, the class of the largest likelihood wins."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from companion.em_gm.table_2.config import Table2, rows_of
from companion.em_gm.table_2.data import UNEQUAL, Cell, companion, load_cell
from companion.em_gm.table_2.fit import density, fit, fit_gaussians
from companion.em_gm.table_2.recipes import (
    COMPONENTS,
    GAUSSIANS,
    OTHER_COMPONENTS,
    RECIPES,
    Dataset,
)
from companion.runs.experiment import Experiment, RunContext
from companion.runs.result import Result

# By profile, in the order of the plan. No processor trains all of Norb's pixels in a laptop's time.
DATASETS: dict[str, tuple[Dataset, ...]] = {
    "laptop": ("letter", "satimage", "norb-8x16-normalised"),
    "paper": ("letter", "satimage", "norb"),
}


def run(config: Table2, context: RunContext) -> Result:
    """Fit the classifier, with a companion on less data that chooses the epoch."""
    cell = load_cell(config.dataset, config.model, config.split_seed)
    if config.model in GAUSSIANS:
        return _run_gaussian(config, cell)
    start = time.perf_counter()
    model = fit(config, context, "full", cell)
    costs = {
        "fit_seconds": time.perf_counter() - start,
        "parameters": float(sum(p.numel() for p in model.mixture_.parameters())),
    }
    curve = pd.DataFrame(model.history_).dropna(subset=["accuracy"])
    metrics = _test_metrics(config, cell, density(config, model.log_prob_classes)(cell.x_test))
    metrics["test_accuracy_best_on_test"] = float(curve["accuracy"].max())
    arrays = {
        "epoch": curve["epoch"].to_numpy() + 1,
        "test_accuracy": curve["accuracy"].to_numpy(),
        "weights": np.exp(model.mixture_.log_weights.cpu().numpy()).reshape(
            len(model.classes_), -1
        ),
    }
    if config.validation_fraction > 0:
        validation = _validation_curve(config, context, cell)
        chosen = int(np.argmax(validation))
        metrics["test_accuracy_validation_chosen"] = float(arrays["test_accuracy"][chosen])
        metrics["validation_accuracy"] = float(validation[chosen])
        arrays["validation_accuracy"] = validation
    return Result(rows_of(config, metrics), arrays, costs)


def _validation_curve(config: Table2, context: RunContext, cell: Cell) -> np.ndarray:
    """Fit on all but a part of the training split; return that part's accuracy by epoch."""
    held_out = companion(cell, config.validation_fraction, config.seed)
    model = fit(config, context, "held-out", held_out)
    accuracy: np.ndarray = pd.DataFrame(model.history_)["accuracy"].dropna().to_numpy()
    return accuracy


def _run_gaussian(config: Table2, cell: Cell) -> Result:
    """Fit scikit-learn's Gaussian mixtures: the plain reference."""
    start = time.perf_counter()
    log_prob = density(config, fit_gaussians(config, cell))
    metrics = _test_metrics(config, cell, log_prob(cell.x_test))
    return Result(rows_of(config, metrics), costs={"fit_seconds": time.perf_counter() - start})


def _test_metrics(config: Table2, cell: Cell, log_prob: np.ndarray) -> dict[str, float]:
    """Measure log p(x given y), (N, n_classes) in the model's units, at the last epoch."""

    def accuracy(prior: np.ndarray) -> float:
        return float(((log_prob + np.log(prior)).argmax(1) == cell.y_test).mean())

    own = log_prob[np.arange(len(log_prob)), cell.y_test] - cell.log_unit
    metrics = {
        "test_accuracy_last_epoch": accuracy(cell.class_prior),
        "test_nll": float(-own.mean()),
    }
    if config.dataset in UNEQUAL:
        shares = np.bincount(cell.y_train) / len(cell.y_train)
        metrics["test_accuracy_uniform_priors"] = accuracy(np.ones(len(shares)))
        metrics["test_accuracy_class_priors"] = accuracy(shares)
    return metrics


def plan(profile: str) -> Sequence[Mapping[str, Any]]:
    """Return the cells, fewer seeds of the published model, and K = 20 on other splits."""
    if profile == "smoke":
        short = {"epochs": 20, "evaluate_every": 5, "seed": 0}
        return [
            *({"model": "GenMM", "n_components": k, **short} for k in (1, 2)),
            {"model": "GenMM as published", "n_components": 1, **short},
            {"model": "GMM full covariance", "n_components": 1, "seed": 0},
        ]
    cells = [
        {"dataset": dataset, "model": model, "n_components": k, "seed": seed, **_frugal(model)}
        for dataset in DATASETS[profile]
        for model in RECIPES[dataset]
        for k in OTHER_COMPONENTS.get(model, COMPONENTS)
        for seed in range(_n_seeds(profile, dataset, model))
    ]
    other_splits = [
        {"dataset": "letter", "model": model, "n_components": 20, "seed": 0, "split_seed": split}
        for model in ("GenMM", "GMM full covariance")
        for split in range(1, 5)
    ]
    return cells + other_splits


def _n_seeds(profile: str, dataset: str, model: str) -> int:
    if profile == "laptop" and model == "GenMM as published":
        return 1
    return 3 if dataset.startswith("norb") else 5


def _frugal(model: str) -> dict[str, Any]:
    """Return what makes the published model bearable: its curves cost as much as training."""
    return {"evaluate_every": 20} if model == "GenMM as published" else {}


EXPERIMENT = Experiment(
    name="em-gm/table-2",
    title="Maximum-likelihood classification by mixtures of flows, K = 1 ... 20",
    config=Table2,
    run=run,
    defaults={"smoke": {"dataset": "digits"}, "laptop": {}, "paper": {}},
    plan=plan,
)
