"""VMoNF on the five wings: the recipe, the published one, annealing on and off."""

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
        return [{"size": 0.1, "epochs": 40, "keep": True, "seed": 0}]
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
    name="vmonf/pinwheel-5",
    title="VMoNF on the pinwheel of 5 wings, unsupervised",
    config=PlaneConfig,
    run=run,
    defaults={profile: {"dataset": "pinwheel-5"} for profile in PROFILES},
    plan=plan,
)
