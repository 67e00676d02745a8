"""Samples of table I's mixtures beside the images that these were trained on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from pydantic import Field

from companion.em_gm.images import table_1
from companion.em_gm.images.data import ImageSet, ImageSetName, load_images
from companion.runs.config import Config
from companion.runs.experiment import Experiment, RunContext
from companion.runs.result import Result
from companion.runs.store import StoredRun

NAME = "em-gm/nearest-images"
METRIC = "samples_nearer_to_training"


class Nearest(Config):
    """The samples that a stored mixture keeps."""

    dataset: ImageSetName = Field("mnist", description="of the mixture; digits at smoke")
    n_components: int = Field(1, ge=1, le=50, description="K of the stored GenMM")


def run(config: Nearest, context: RunContext) -> Result:
    """Compare the samples of table I's run, made first where it is not there, with its images."""
    mixture = {"dataset": config.dataset, "n_components": config.n_components, "seed": config.seed}
    kept = table_1.kept(config.profile, config.n_components, config.seed)
    stored = context.required(table_1.NAME, **mixture, **kept)
    images = load_images(config.dataset, part=stored.config["part"])
    row = {
        "dataset": config.dataset,
        "model": "GenMM",
        "setting": f"K={config.n_components}",
        "seed": config.seed,
        "metric": METRIC,
        "value": nearer_to_training(stored.arrays["samples"], images),
    }
    return Result(pd.DataFrame([row]))


def nearer_to_training(samples: np.ndarray, images: ImageSet) -> float:
    """Return the share of samples that lie nearer to an image trained on than to any other.

    By Euclidean distance of pixels: about a half where nothing is known by heart and there are as
    many held-out images, 1 where samples are copies.

    Parameters
    ----------
    samples
        Grey values, uint8 (N, 1, H, W).
    images
        What the model was trained on, and others.
    """
    drawn = torch.from_numpy(samples.astype(np.float32) / 255 - 0.5).flatten(1)
    own, other = (
        torch.cdist(drawn, part.flatten(1)).amin(1) for part in (images.train, images.held_out)
    )
    return float((own < other).double().mean())


def plan(profile: str) -> Sequence[Mapping[str, Any]]:
    """Return every K of table I on both data sets, for one seed."""
    if profile == "smoke":
        return [{"n_components": k, "seed": 0} for k in (1, 3)]
    return [
        {"dataset": dataset, "n_components": k, "seed": 0}
        for dataset in ("mnist", "fashion-mnist")
        for k in table_1.COMPONENTS
    ]


EXPERIMENT = Experiment(
    name=NAME,
    title="Samples of table I's mixtures beside the images that these were trained on",
    config=Nearest,
    run=run,
    defaults={"smoke": {"dataset": "digits"}},
    plan=plan,
)


def shares(runs: Iterable[StoredRun]) -> dict[tuple[str, int], float]:
    """Return what runs measured, by data set and K."""
    return {
        (run.config["dataset"], run.config["n_components"]): float(
            run.rows.loc[run.rows["metric"] == METRIC, "value"].iloc[0]
        )
        for run in runs
    }
