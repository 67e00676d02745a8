"""How the test windows of Satimage overlap its training windows, counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field
from scipy.ndimage import gaussian_filter

from companion.em_gm.table_2.windows import windows
from companion.runs.config import Config
from companion.runs.experiment import Experiment, RunContext
from companion.runs.result import Result
from mixflow.datasets import load_split
from mixflow.datasets.split import Split

SIDE, TRAIN_SHARE = 24, 0.7


class SatimageWindows(Config):
    """Which windows are counted."""

    dataset: Literal["satimage", "scene"] = Field(
        "satimage", description="scene: a small one drawn at random, for smoke"
    )


def run(config: SatimageWindows, context: RunContext) -> Result:
    """Count; every attribute of ``Windows`` is a metric."""
    split = _scene(config.seed) if config.dataset == "scene" else load_split("satimage")
    same = {
        "dataset": config.dataset,
        "model": "windows",
        "setting": "official split" if config.dataset == "satimage" else "random split",
        "seed": config.seed,
    }
    found = asdict(windows(split))
    return Result(pd.DataFrame([{**same, "metric": m, "value": v} for m, v in found.items()]))


def _scene(seed: int) -> Split:
    """Draw a smooth scene of two classes and cut it into windows, divided at random."""
    rng = np.random.default_rng(seed)
    height = gaussian_filter(rng.normal(size=(SIDE, SIDE)), 2)
    scene = 100 * height[..., None] + rng.integers(27, 158, size=(SIDE, SIDE, 4))
    corners = np.indices((SIDE - 2, SIDE - 2)).reshape(2, -1).T
    x = np.stack([scene[i : i + 3, j : j + 3].ravel() for i, j in corners])
    y = (height[1:-1, 1:-1].ravel() > 0).astype(np.int64)
    order = rng.permutation(len(x))
    train, test = np.split(order, [int(TRAIN_SHARE * len(x))])
    return Split(x[train], y[train], x[test], y[test], "scene", ("low", "high"))


def plan(profile: str) -> Sequence[Mapping[str, Any]]:
    """Return one run: nothing is drawn but the scene of smoke."""
    return [{"seed": 0}]


EXPERIMENT = Experiment(
    name="em-gm/satimage-windows",
    title="Satimage: test windows that overlap training windows",
    config=SatimageWindows,
    run=run,
    defaults={"smoke": {"dataset": "scene"}, "laptop": {}, "paper": {}},
    plan=plan,
)
