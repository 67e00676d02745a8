"""Table I's mixtures once more, of couplings that know where in the image they look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mixflow.experiments.base import Experiment, Result, RunContext
from mixflow.experiments.em_gm.images import long_flow, table_1
from mixflow.experiments.em_gm.images.table_1 import Images

NAME = "em-gm/positional"
LABEL = "positional bias"


def run(config: Images, context: RunContext) -> Result:
    """Do what table I does, under a name of its own: the paper has no such flow."""
    result = table_1.run(config, context)
    result.rows["model"] = [
        f"{model}, {LABEL}" if model == config.model and config.positional_bias else model
        for model in result.rows["model"]
    ]
    return result


def plan(profile: str) -> Sequence[Mapping[str, Any]]:
    """Return every K of table I on both data sets, and one flow trained for longer."""
    if profile == "smoke":
        return [{"seed": 0, "n_components": k} for k in (1, 3)]
    points: list[Mapping[str, Any]] = [
        {"dataset": dataset, "n_components": k, "seed": 0, "keep": k == 1}
        for k in table_1.IN_TABLE
        for dataset in ("mnist", "fashion-mnist")
    ]
    if profile == "laptop":
        points.append({"dataset": "mnist", "seed": 0, "epochs": long_flow.EPOCHS, "keep": True})
    return points


EXPERIMENT = Experiment(
    name=NAME,
    title="Table I's mixtures, of couplings that know where in the image they look",
    config=Images,
    run=run,
    defaults={
        profile: {**values, "positional_bias": True}
        for profile, values in table_1.EXPERIMENT.defaults.items()
    },
    plan=plan,
)
