"""What the authors leave to future work: consistency, shared layers, annihilation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from companion.runs.config import PROFILES
from companion.runs.experiment import Experiment
from companion.vmonf.fresh_seeds import FRESH
from companion.vmonf.head_to_head import SHORT
from companion.vmonf.plane import PlaneConfig, run
from companion.vmonf.recipes import Model

VARIANTS: tuple[Model, ...] = (
    "VMoNF",
    "VMoNF consistency",
    "VMoNF shared trunk",
    "VMoNF annihilation",
    "gradient annihilation",
)


def plan(profile: str) -> Sequence[Mapping[str, Any]]:
    """Return every variant on 10 fresh seeds, and K = 12 without the penalty."""
    if profile == "smoke":
        few = {"size": 0.05, "epochs": 20, "batch_size": 256, "seed": 0}
        return [{"model": model, **few} for model in ("VMoNF shared trunk", "VMoNF annihilation")]
    seeds = [{"seed": FRESH + s, **SHORT} for s in range(10)]
    return [
        *({"model": variant, **seed} for variant in VARIANTS for seed in seeds),
        *({"model": "VMoNF", "n_components": 12, **seed} for seed in seeds),
    ]


EXPERIMENT = Experiment(
    name="vmonf/ablations",
    title="Consistency regularisation, shared layers, annihilation of components",
    config=PlaneConfig,
    run=run,
    defaults={profile: {"dataset": "pinwheel-5"} for profile in PROFILES},
    plan=plan,
)
