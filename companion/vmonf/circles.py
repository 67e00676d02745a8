"""VMoNF on two circles without labels: where it cuts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from companion.runs.config import PROFILES
from companion.runs.experiment import Experiment
from companion.vmonf.fresh_seeds import seeds
from companion.vmonf.plane import PlaneConfig, run


def plan(profile: str) -> Sequence[Mapping[str, Any]]:
    """Return our recipe from two starts, the published one, and the baselines."""
    if profile == "smoke":
        return [{"epochs": 40, "keep": True, "seed": 0}]
    return [
        *seeds(10, model="VMoNF"),
        *seeds(10, model="VMoNF", start="spectral"),
        *seeds(10, model="VMoNF consistency", start="spectral"),
        *seeds(10, model="VMoNF as published", start="random"),
        *seeds(10, model="VMoNF as published, T = 1", start="random"),
        *seeds(10, model="single flow"),
        *seeds(10, model="Gaussian mixture"),
        *seeds(10, model="spectral clustering"),
        *seeds(10, model="HDBSCAN"),
    ]


EXPERIMENT = Experiment(
    name="vmonf/circles",
    title="VMoNF on two circles, unsupervised",
    config=PlaneConfig,
    run=run,
    defaults={profile: {"dataset": "circles"} for profile in PROFILES},
    plan=plan,
)
