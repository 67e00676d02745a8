"""What resizing gives away: one flow of resized images, and of the same with a black border.

From 28 x 28 to 32 x 32 pixels the released code of EM-GM goes by bilinear interpolation. Of the
1024 numbers only 784 are then free; the others follow from them, by weights that return every 8
pixels. A coupling that knows the position can learn them, one that does the same everywhere can
not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from pydantic import Field

from companion.em_gm.images import models, single_flow
from companion.em_gm.images.data import load_images, nll_per_pixel, resized
from companion.em_gm.images.models import ADDITIONS, Flow
from companion.runs.experiment import Experiment, RunContext
from companion.runs.result import Result

NAME = "em-gm/resizing"
RESIZED, PADDED = "resized", "padded"
SIDE_BEFORE = 28


class Resizing(Flow):
    """One flow, trained from its start with a cosine schedule."""

    padded: bool = Field(False, description="give the images a black border instead of resizing")
    epochs: int = Field(5, ge=1, description="passes over the images; base_epochs has no meaning")


def run(config: Resizing, context: RunContext) -> Result:
    """Train, and measure NLL on the images trained on and on held-out ones."""
    images = load_images(config.dataset, part=config.part, padded=config.padded)
    images = images.to(context.device)
    mixture = models.new_flow(config, images.shape)
    models.train(
        mixture,
        images.train,
        config,
        context,
        name="flow",
        epochs=config.epochs,
        em_every=config.epochs,
        fresh=True,
    )
    same = {
        "dataset": config.dataset,
        "model": ", ".join(config.additions) or "Glow",
        "setting": PADDED if config.padded else RESIZED,
        "seed": config.seed,
    }
    values = {
        "nll_train": nll_per_pixel(mixture, images.train, seed=config.seed).mean(),
        "nll_held_out": nll_per_pixel(mixture, images.held_out, seed=config.seed).mean(),
    }
    if config.dataset != "digits" and not config.padded:
        values["free_pixels"] = float(free_pixels())
    return Result(pd.DataFrame([{**same, "metric": m, "value": v} for m, v in values.items()]))


def free_pixels() -> int:
    """Return the rank of the resizing as a linear map: the pixels that others do not determine."""
    units = np.eye(SIDE_BEFORE**2, dtype=np.float32).reshape(-1, SIDE_BEFORE, SIDE_BEFORE)
    images = np.stack([np.asarray(resized(unit)).ravel() for unit in units])
    return int(np.linalg.matrix_rank(images))


def plan(profile: str) -> Sequence[Mapping[str, Any]]:
    """Return every kind of flow on images of either kind."""
    kinds = [dict.fromkeys(ADDITIONS, False), dict.fromkeys(ADDITIONS, True)]
    kinds[1:1] = [{other: other == name for other in ADDITIONS} for name in ADDITIONS]
    return [
        {"seed": 0, "padded": padded, **kind}
        for kind in kinds
        for padded in ((False,) if profile == "smoke" else (False, True))
    ]


EXPERIMENT = Experiment(
    name=NAME,
    title="What resizing the images gives away to a flow that knows the position",
    config=Resizing,
    run=run,
    defaults={
        "smoke": {**single_flow.SMOKE, "epochs": 4},
        "laptop": {},
        "paper": {**single_flow.PAPER, "epochs": 200},
    },
    plan=plan,
)
