"""What else GenMM's recipe on Satimage could be, on parts of the training split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from companion.em_gm.table_2.config import Table2, rows_of
from companion.em_gm.table_2.data import WINDOWS, over_views
from companion.em_gm.table_2.left_out import fit_without, measure
from companion.em_gm.table_2.recipes import recipe
from companion.runs.experiment import Experiment, RunContext
from companion.runs.result import Result

N_COMPONENTS, PARTS, SHARE = 10, 5, 0.2
AS_IS = "as in the table"
REFERENCE = f"K={N_COMPONENTS}, {AS_IS}"  # the setting that others are compared with
_WIDE = {"hidden_features": 64, "dropout": 0.3, "epochs": 60}
CHANGES: tuple[dict[str, Any], ...] = (
    {},
    {"n_components": 1},
    {"n_components": 20},
    {"epochs": 60},
    {"posterior_temperature": 1.0},
    {"n_blocks": N_COMPONENTS, "epochs": 60},
    _WIDE,
    {**_WIDE, "posterior_temperature": 1.0},
    {"model": "common and individual"},
)


def run(config: Table2, context: RunContext) -> Result:
    """Fit without a share of the training split, drawn by the seed; classify that.

    The test split is not looked at. ``*_symmetric`` are of densities averaged over the eight
    symmetries of a window.
    """
    model, cell, costs = fit_without(config, context)
    metrics = measure(model.log_prob_classes, cell)
    if config.dataset in WINDOWS:
        found = measure(over_views(model.log_prob_classes, config.dataset), cell)
        metrics |= {f"{name}_symmetric": value for name, value in found.items()}
    setting = f"K={config.n_components}, {changed(config)}"
    return Result(rows_of(config, metrics).assign(setting=setting), costs=costs)


def changed(config: Table2) -> str:
    """Say what of the recipe of data set and model is another value."""
    values = recipe(config.dataset, config.model, config.n_components)
    told = [f"{n} = {getattr(config, n)}" for n, v in values.items() if getattr(config, n) != v]
    return ", ".join(told) or AS_IS


def plan(profile: str) -> Sequence[Mapping[str, Any]]:
    """Return every change on every part."""
    common = {"validation_fraction": SHARE, "evaluate_every": 1000}
    if profile == "smoke":
        short = {**common, "n_components": 2, "seed": 0}
        return [{**short, "epochs": epochs} for epochs in (5, 10)]
    return [
        {"dataset": "satimage", "n_components": N_COMPONENTS, **common, **change, "seed": part}
        for part in range(PARTS)
        for change in CHANGES
    ]


EXPERIMENT = Experiment(
    name="em-gm/satimage-recipes",
    title="Satimage: other recipes, on parts of the training split",
    config=Table2,
    run=run,
    defaults={"smoke": {"dataset": "digits"}, "laptop": {}, "paper": {}},
    plan=plan,
)
