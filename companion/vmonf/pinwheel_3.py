"""VMoNF on the three wings, with the frames of the training animation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from companion.runs.config import PROFILES
from companion.runs.experiment import Experiment
from companion.vmonf.fresh_seeds import seeds
from companion.vmonf.plane import PlaneConfig, run


def plan(profile: str) -> Sequence[Mapping[str, Any]]:
    """Return 20 fresh seeds of our recipe, 10 of the others, and the baselines."""
    if profile == "smoke":
        return [{"epochs": 60, "keep": True, "seed": 0}]
    return [
        *seeds(20, model="VMoNF"),
        *seeds(10, model="VMoNF annealed"),
        *seeds(10, model="VMoNF as published", start="random"),
        *seeds(10, model="VMoNF as published, T = 1", start="random"),
        *seeds(10, model="single flow"),
        *seeds(10, model="Gaussian mixture"),
        *seeds(10, model="spectral clustering"),
        *seeds(10, model="HDBSCAN"),
    ]


EXPERIMENT = Experiment(
    name="vmonf/pinwheel-3",
    title="VMoNF on the pinwheel of 3 wings, and the training animation",
    config=PlaneConfig,
    run=run,
    defaults={profile: {"dataset": "pinwheel-3"} for profile in PROFILES},
    plan=plan,
)
