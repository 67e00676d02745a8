"""Five ways to train the same flows for the same steps on the same data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from companion.runs.config import PROFILES
from companion.runs.experiment import Experiment
from companion.vmonf.fresh_seeds import FRESH
from companion.vmonf.plane import PlaneConfig, run
from companion.vmonf.recipes import Model

METHODS: tuple[Model, ...] = (
    "VMoNF",
    "EM every batch",
    "EM every 5 epochs",
    "EM per dimension",
    "EM hard",
    "gradient",
)
# A quarter of the samples, and a cycle of the learning rate in 2/3 of the steps: the comparison
# needs 120 fits.
SHORT = {"size": 0.25, "epochs": 80, "batch_size": 512}
STARTS = {"kmeans": {}, "random": {"start_share": 0.0}}


def plan(profile: str) -> Sequence[Mapping[str, Any]]:
    """Return every method from both starts, 10 fresh seeds each."""
    if profile == "smoke":
        few = {"size": 0.05, "epochs": 20, "batch_size": 256, "seed": 0}
        return [{"model": method, **few} for method in METHODS[:2]]
    return [
        {"model": method, "start": start, "seed": FRESH + s, **SHORT, **own}
        for method in METHODS
        for start, own in STARTS.items()
        for s in range(10)
    ]


EXPERIMENT = Experiment(
    name="vmonf/head-to-head",
    title="VI, EM, hard EM and the plain gradient on the same flows, steps and data",
    config=PlaneConfig,
    run=run,
    defaults={profile: {"dataset": "pinwheel-5"} for profile in PROFILES},
    plan=plan,
)
