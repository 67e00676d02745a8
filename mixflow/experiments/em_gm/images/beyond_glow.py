"""Table I's mixtures once more, of flows with two things that the paper's have not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mixflow.experiments.base import Experiment, Result, RunContext
from mixflow.experiments.em_gm.images import long_flow, table_1
from mixflow.experiments.em_gm.images.table_1 import Images

NAME = "em-gm/beyond-glow"
# Parameter -> what a model that has it is called.
ADDITIONS = {"positional_bias": "positional bias", "tone_curve": "tone curve"}
NEITHER = dict.fromkeys(ADDITIONS, False)


def label(config: Images) -> str:
    """Return the name of a config's model, with what its flows have that Glow has not."""
    return ", ".join([config.model, *(s for n, s in ADDITIONS.items() if getattr(config, n))])


def run(config: Images, context: RunContext) -> Result:
    """Do what table I does, and name the model by its flows."""
    result = table_1.run(config, context)
    result.rows["model"] = result.rows["model"].replace(config.model, label(config))
    return result


def plan(profile: str) -> Sequence[Mapping[str, Any]]:
    """Return every K of table I, one flow with either addition alone, and one trained for long."""
    if profile == "smoke":
        return [{"seed": 0, "n_components": k} for k in (1, 3)]
    points: list[Mapping[str, Any]] = [
        {"dataset": dataset, "n_components": k, "seed": 0, "keep": k == 1}
        for k in table_1.IN_TABLE
        for dataset in ("mnist", "fashion-mnist")
    ]
    alone: list[Mapping[str, Any]] = [
        {"dataset": "mnist", "seed": 0, **NEITHER, name: True} for name in ADDITIONS
    ]
    if profile == "laptop":
        alone.append({"dataset": "mnist", "seed": 0, "epochs": long_flow.EPOCHS, "keep": True})
    return [*points, *alone]


EXPERIMENT = Experiment(
    name=NAME,
    title="Table I's mixtures, of flows that know the position and bend the pixels' values",
    config=Images,
    run=run,
    defaults={
        profile: {**values, **dict.fromkeys(ADDITIONS, True)}
        for profile, values in table_1.EXPERIMENT.defaults.items()
    },
    plan=plan,
)
