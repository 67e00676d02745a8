"""The single flow, trained for as long as a laptop has: K = 1 at its best in 45 minutes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mixflow.experiments.base import Experiment
from mixflow.experiments.em_gm.images import single_flow, table_1

NAME = "em-gm/long-flow"
# With the single flow's eight: 90 minutes of one core, or 45 of two.
EPOCHS = 52


def plan(profile: str) -> Sequence[Mapping[str, Any]]:
    """Return one run."""
    return [{"seed": 0}]


EXPERIMENT = Experiment(
    name=NAME,
    title="One flow of images, trained for longer than those of table I",
    config=table_1.Images,
    run=table_1.run,
    defaults={
        "smoke": {**table_1.SMOKE, "epochs": 8},
        "laptop": {"epochs": EPOCHS},
        "paper": {**single_flow.PAPER, "epochs": 600},
    },
    plan=plan,
)
