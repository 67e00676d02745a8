"""The single flow, trained for as long as a laptop has: K = 1 at its best in 45 minutes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from companion.em_gm.images import single_flow, table_1
from companion.runs.experiment import Experiment

NAME = "em-gm/long-flow"
# With the single flow's eight: 90 minutes of one core, or 45 of two.
EPOCHS = 52
# As many FLOPs as K = 9 of table I with its E-steps, or a little more.
EQUAL = 14


def plan(profile: str) -> Sequence[Mapping[str, Any]]:
    """Return the long runs, and at laptop one on either data set that costs what K = 9 does."""
    sets = ("mnist", "fashion-mnist")
    if profile == "laptop":
        return [{"seed": 0}, *({"seed": 0, "dataset": d, "epochs": EQUAL} for d in sets)]
    return [{"seed": 0}] if profile == "smoke" else [{"seed": 0, "dataset": d} for d in sets]


EXPERIMENT = Experiment(
    name=NAME,
    title="One flow of images, trained for longer than those of table I",
    config=table_1.Images,
    run=table_1.run,
    defaults={
        "smoke": {**table_1.SMOKE, "epochs": 8},
        "laptop": {"epochs": EPOCHS},
        "paper": {**single_flow.PAPER, "epochs": 340},  # as many as the paper's, in all
    },
    plan=plan,
)
