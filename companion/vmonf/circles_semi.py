"""VMoNF on two circles with 32 labels and 1024 unlabelled samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from companion.runs.config import PROFILES
from companion.runs.experiment import Experiment
from companion.vmonf.fresh_seeds import seeds
from companion.vmonf.plane import PlaneConfig, run


def plan(profile: str) -> Sequence[Mapping[str, Any]]:
    """Return 20 fresh seeds of our recipe, 10 of the others."""
    if profile == "smoke":
        return [{"epochs": 40, "keep": True, "seed": 0}]
    return [
        *seeds(20, model="VMoNF"),
        *seeds(10, model="VMoNF annealed"),
        *seeds(10, model="VMoNF consistency"),
        *seeds(10, model="EM every batch"),
        *seeds(10, model="VMoNF as published", start="random"),
        *seeds(10, model="VMoNF as published, T = 1", start="random"),
    ]


EXPERIMENT = Experiment(
    name="vmonf/circles-semi",
    title="VMoNF on two circles, 32 labels and 1024 unlabelled samples",
    config=PlaneConfig,
    run=run,
    defaults={profile: {"dataset": "circles-semi", "start": "labels"} for profile in PROFILES},
    plan=plan,
)
