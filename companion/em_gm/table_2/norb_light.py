"""Norb's toys left out one by one: what K gives toys never seen, raw and normalised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from companion.em_gm.table_2.config import Table2, rows_of
from companion.em_gm.table_2.left_out import fit_without, measure
from companion.runs.experiment import Experiment, RunContext
from companion.runs.result import Result

COMPONENTS, TOYS = (1, 4, 10), 5


def run(config: Table2, context: RunContext) -> Result:
    """Fit to the training split without a toy of every class, that of the seed; classify it.

    The test split is not looked at. Where samples show no toys, a share of them is left out.
    """
    model, cell, costs = fit_without(config, context)
    metrics = measure(model.log_prob_classes, cell)
    # Under the data sets' own names: the table's "norb" are the normalised images alone.
    return Result(rows_of(config, metrics).assign(dataset=config.dataset), costs=costs)


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
