"""Norb's toys left out one by one: what K gives toys never seen, with the light and without."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from mixflow.experiments.base import Experiment, Result, RunContext
from mixflow.experiments.em_gm.table_2 import Table2, validation_curve
from mixflow.experiments.em_gm.table_2_data import load_cell

COMPONENTS, TOYS = (1, 4, 10), 5


def run(config: Table2, context: RunContext) -> Result:
    """Fit to the training split without a toy of every class, that of the seed; classify it.

    The test split is not looked at. Where samples show no toys, a share of them is left out.
    """
    cell = load_cell(config.dataset, config.model, config.split_seed)
    start = time.perf_counter()
    accuracy = validation_curve(config, context, cell)
    row = {
        "dataset": config.dataset,
        "model": config.model,
        "setting": f"K={config.n_components}",
        "seed": config.seed,
        "metric": "left_out_accuracy",
        "value": float(accuracy[-1]),
    }
    return Result(pd.DataFrame([row]), costs={"fit_seconds": time.perf_counter() - start})


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
    title="Norb's toys left out one by one, as they are and without the light",
    config=Table2,
    run=run,
    defaults={"smoke": {"dataset": "digits"}, "laptop": {}, "paper": {}},
    plan=plan,
)
