"""The single flow, trained for longer than table I's: K = 1 at its best."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import Field

from mixflow.experiments.base import Answer, Experiment, Result, RunContext
from mixflow.experiments.em_gm.images import models, single_flow, table_1
from mixflow.experiments.em_gm.images.data import ImageSet, load_images, nats_per_pixel
from mixflow.experiments.models import unpack_weights
from mixflow.mixtures import GenMM

NAME = "em-gm/long-flow"
# With the single flow's eight: 90 minutes of one core, or 45 of two.
EPOCHS = 52
# As many FLOPs as K = 9 of table I with its E-steps, or a little more.
EQUAL = 14
# How table I's flow was trained, which may differ from how it goes on.
HOW = ("profile", "optimizer", "learning_rate")


class LongFlow(table_1.Images):
    """One flow, and where its training begins."""

    added = (*table_1.Images.added, "onwards")

    onwards: bool = Field(
        False,
        description="go on from table I's flow, whose learning rate has already come down, instead "
        "of the single flow",
    )


def run(config: LongFlow, context: RunContext) -> Result:
    """Train for longer, then measure as for table I."""
    if not config.onwards:
        return table_1.run(config, context)
    images = load_images(config.dataset, part=config.part).to(context.device)
    mixture, before, epochs = _of_table_1(config, context, images)
    start = time.perf_counter()
    done = models.train(
        mixture,
        images.train,
        config,
        context,
        name="onwards",
        epochs=config.epochs,
        em_every=config.em_every,
    )
    seconds = time.perf_counter() - start
    after = models.curve(done, before=epochs)
    found = {name: np.concatenate([before[name], after[name]]) for name in before}
    return table_1.measured(config, context, images, mixture, found, seconds)


def _of_table_1(
    config: LongFlow, context: RunContext, images: ImageSet
) -> tuple[GenMM, dict[str, np.ndarray], int]:
    """Return table I's flow, the curve of its training, and its epochs."""
    same = {name: getattr(config, name) for name in models.Flow.model_fields if name not in HOW}
    stored = context.required(table_1.NAME, **same, n_components=1, keep=True)
    mixture = models.new_flow(config, images.shape)
    mixture.load_state_dict(unpack_weights(stored.arrays["weights"]))
    nll = np.asarray(stored.arrays["curve_nll"])
    log_likelihood = (nats_per_pixel(np.zeros(1), 1) - nll) * images.n_pixels
    curve = {"epoch": np.asarray(stored.arrays["curve_epoch"]), "log_likelihood": log_likelihood}
    return mixture, curve, stored.config["base_epochs"] + stored.config["epochs"]


def plan(profile: str) -> Sequence[Mapping[str, Any]]:
    """Return the long runs, and at laptop one on either data set that costs what K = 9 does."""
    sets = ("mnist", "fashion-mnist")
    if profile == "laptop":
        return [{"seed": 0}, *({"seed": 0, "dataset": d, "epochs": EQUAL} for d in sets)]
    if profile == "smoke":
        return [{"seed": 0}, {"seed": 0, "onwards": True, "optimizer": "muon"}]
    return [{"seed": 0, "dataset": d} for d in sets]


EXPERIMENT = Experiment(
    name=NAME,
    title="One flow of images, trained for longer than those of table I",
    config=LongFlow,
    run=run,
    defaults={
        "smoke": {**table_1.SMOKE, "epochs": 8},
        "laptop": {"epochs": EPOCHS},
        # What two cores with bfloat16 do in an hour and a half.
        "paper": {
            **single_flow.PAPER,
            **{"onwards": True, "optimizer": "muon", "learning_rate": 5e-4},
            **{"epochs": 45, "em_every": 15},
        },
    },
    plan=plan,
    # Table I prints the lowest NLL of 400 epochs: the flow that was trained for longest is nearest.
    answers={"table-1": Answer(metrics={"nll_nat_per_pixel": "nll_train"}, first=True)},
)
