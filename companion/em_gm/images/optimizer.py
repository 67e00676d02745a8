"""Table I's flows and mixtures once more, trained by Muon instead of AdamW."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from companion.em_gm.images import long_flow, table_1
from companion.runs.experiment import Experiment

NAME = "em-gm/optimizer"
SIZES = (1, 7)  # K


def plan(profile: str) -> Sequence[Mapping[str, Any]]:
    """Return one flow and the largest mixture of table I, and at laptop one flow for long."""
    if profile == "smoke":
        return [{"seed": 0, "n_components": k} for k in (1, 3)]
    points: list[Mapping[str, Any]] = [
        {"dataset": dataset, "n_components": k, "seed": 0}
        for k in SIZES
        for dataset in ("mnist", "fashion-mnist")
    ]
    if profile == "laptop":
        points.append({"dataset": "mnist", "seed": 0, "epochs": long_flow.EPOCHS})
    return points


EXPERIMENT = Experiment(
    name=NAME,
    title="Table I's mixtures, trained with orthogonalised steps",
    config=table_1.Images,
    run=table_1.run,
    defaults={
        profile: {**values, "optimizer": "muon"}
        for profile, values in table_1.EXPERIMENT.defaults.items()
    },
    plan=plan,
)
