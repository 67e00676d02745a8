"""Table I's mixtures once more, of flows with two things that the paper's have not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from companion.em_gm.images import long_flow, table_1
from companion.em_gm.images.models import ADDITIONS
from companion.runs.experiment import Experiment

NAME = "em-gm/beyond-glow"


def plan(profile: str) -> Sequence[Mapping[str, Any]]:
    """Return every K of table I, one flow with either addition alone, and one trained for long."""
    if profile == "smoke":
        return [{"seed": 0, "n_components": k, "keep": k == 1} for k in (1, 3)]
    points: list[Mapping[str, Any]] = [
        {"dataset": dataset, "n_components": k, "seed": 0, "keep": k == 1}
        for k in table_1.IN_TABLE
        for dataset in ("mnist", "fashion-mnist")
    ]
    alone: list[Mapping[str, Any]] = [
        {"dataset": "mnist", "seed": 0, **{other: other == name for other in ADDITIONS}}
        for name in ADDITIONS
    ]
    if profile == "laptop":
        alone.append({"dataset": "mnist", "seed": 0, "epochs": long_flow.EPOCHS, "keep": True})
    return [*points, *alone]


EXPERIMENT = Experiment(
    name=NAME,
    title="Table I's mixtures, of flows that know the position and bend the pixels' values",
    config=table_1.Images,
    run=table_1.run,
    defaults={
        profile: {**values, **dict.fromkeys(ADDITIONS, True)}
        for profile, values in table_1.EXPERIMENT.defaults.items()
    },
    plan=plan,
)
