"""Table I's one flow, trained for more epochs: the paper prints the lowest NLL of 400."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from companion.em_gm.images import models, single_flow, table_1
from companion.em_gm.images.compute import (
    PUBLISHED_EPOCHS,
    epochs_of,
    say_time,
    single_flows,
    value_of,
)
from companion.em_gm.images.data import TITLES, ImageSet, load_images, log_density
from companion.em_gm.images.summary import published
from companion.em_gm.images.table_1 import Images
from companion.evidence.targets import Target
from companion.runs.experiment import Experiment, RunContext
from companion.runs.result import Result
from companion.runs.stored import StoredRun
from companion.runs.weights import unpack_weights
from mixflow.mixtures import GenMM

NAME = "em-gm/further-epochs"
# How this flow is trained, which says nothing of how table I's was.
HOW = ("profile", "optimizer", "learning_rate")
MUON = {"optimizer": "muon"}


def run(config: Images, context: RunContext) -> Result:
    """Go on from table I's flow, whose learning rate has come down; then measure as there."""
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
    config: Images, context: RunContext, images: ImageSet
) -> tuple[GenMM, dict[str, np.ndarray], int]:
    """Return table I's flow, the curve of its training, and its epochs."""
    same = {name: getattr(config, name) for name in models.Flow.model_fields if name not in HOW}
    stored = context.required(table_1.NAME, **same, n_components=1, keep=True)
    mixture = models.new_flow(config, images.shape)
    mixture.load_state_dict(unpack_weights(stored.arrays["weights"]))
    curve = {
        "epoch": np.asarray(stored.arrays["curve_epoch"]),
        "log_likelihood": log_density(np.asarray(stored.arrays["curve_nll"]), images.n_pixels),
    }
    return mixture, curve, epochs_of(stored.config)


def plan(profile: str) -> Sequence[Mapping[str, Any]]:
    """Return a flow for each data set, with its weights: table I's number is checked on them."""
    sets = ("digits",) if profile == "smoke" else ("mnist", "fashion-mnist")
    return [{"seed": 0, "dataset": dataset, "keep": True} for dataset in sets]


EXPERIMENT = Experiment(
    name=NAME,
    title="Table I's one flow, trained for more epochs",
    config=Images,
    run=run,
    defaults={
        "smoke": {**table_1.SMOKE, **MUON},
        "laptop": {**MUON, "learning_rate": 2e-3, "epochs": 8},
        # What two cores with bfloat16 do in an hour and a half.
        "paper": {
            **{**single_flow.PAPER, **MUON},
            **{"learning_rate": 5e-4, "epochs": 45, "em_every": 15},
        },
    },
    plan=plan,
)


def say(runs: Iterable[StoredRun], single: Iterable[StoredRun], targets: Iterable[Target]) -> str:
    """Return, in Markdown, what further epochs changed, beside what the paper reaches.

    Parameters
    ----------
    runs
        Of ``em-gm/further-epochs``.
    single
        Of ``em-gm/table-1``: the flows that they went on from.
    targets
        Published numbers.
    """
    ones, printed, said = single_flows(single), published(targets), []
    for run in runs:
        dataset, config = run.config["dataset"], run.config
        one = ones.get((dataset, config["seed"]))
        if one is None:
            continue
        train, held_out, distance = (
            [value_of(of, metric) for of in (one, run)]
            for metric in ("nll_train", "nll_held_out", "FID")
        )
        goal = printed.get(dataset, {}).get(1)
        beside = "" if goal is None else f" (published, {PUBLISHED_EPOCHS} epochs: {goal:.4f})"
        said.append(
            f"- **{TITLES[dataset]}**: {epochs_of(one.config)} epochs, then {config['epochs']} "
            f"more by {config['optimizer'].capitalize()} at a learning rate of at most "
            f"{config['learning_rate']:g}. NLL of training images {train[0]:.4f}, then "
            f"**{train[1]:.4f}**{beside}; of held-out ones {held_out[0]:.4f}, then "
            f"{held_out[1]:.4f}; Fréchet distance {distance[0]:.2f}, then {distance[1]:.2f}. "
            f"{say_time(run)}"
        )
    return "\n".join(said)
