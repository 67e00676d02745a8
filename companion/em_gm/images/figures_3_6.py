"""What EM-GM's figures 3 and 6 show of table I's stored mixtures: falling curves, and samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from companion.em_gm.images import features, table_1
from companion.em_gm.images.data import ImageSetName
from companion.em_gm.images.feature_network import FeatureNetwork
from companion.runs.config import Config
from companion.runs.experiment import Experiment, RunContext
from companion.runs.result import Result
from companion.runs.stored import StoredRun

Model = Literal["GenMM", "LatMM"]
DATASETS: dict[str, tuple[ImageSetName, ...]] = {"smoke": ("digits",)}
COMPONENTS = {"smoke": (1, 3)}
SURE = 0.9  # a sample is read surely when the feature network gives a class this probability


class Figures(Config):
    """All runs of one seed."""


def run(config: Figures, context: RunContext) -> Result:
    """Read the runs of table I, made first where they are not there.

    Of every mixture: how many points its curve of NLL has and their rank correlation with the
    epoch, how many samples are kept and how many of them the feature network reads surely.
    """
    rows: list[dict[str, Any]] = []
    for dataset in DATASETS.get(config.profile, ("mnist", "fashion-mnist")):
        network = features.required(context, dataset)
        for model, k in mixtures(config):
            stored = context.required(table_1.NAME, **_point(config, dataset, model, k))
            same = {"dataset": dataset, "model": model, "setting": f"K={k}", "seed": config.seed}
            rows += [
                {**same, "metric": metric, "value": float(value)}
                for metric, value in {**_curve(stored), **_read(stored, network)}.items()
            ]
    return Result(pd.DataFrame(rows))


def mixtures(config: Figures) -> Iterator[tuple[Model, int]]:
    """Yield model and K of the mixtures that table I's plan has of a seed."""
    sizes: tuple[int, ...] = COMPONENTS.get(config.profile, table_1.COMPONENTS)
    if config.seed and config.profile != "smoke":
        sizes = table_1.IN_TABLE
    yield from (("GenMM", k) for k in sizes)
    if not config.seed:  # one component makes no LatMM, and it has one seed
        yield from (("LatMM", k) for k in sizes if k > 1)


def _curve(stored: StoredRun) -> dict[str, float]:
    epoch, nll = stored.arrays["curve_epoch"], stored.arrays["curve_nll"]
    correlation = float(spearmanr(epoch, nll).statistic)
    return {"curve_points": float(len(nll)), "curve_rank_correlation": correlation}


def _read(stored: StoredRun, network: FeatureNetwork) -> dict[str, float]:
    """Return how many samples are read surely; published runs keep those of seed 0 alone."""
    if "samples" not in stored.arrays:
        return {}
    drawn = (stored.arrays["samples"] / 255).astype(np.float32)
    sure = network.extract(drawn).probabilities.max(1) >= SURE
    return {"samples_read": float(len(drawn)), "samples_read_surely": float(sure.sum())}


def _point(config: Figures, dataset: str, model: str, k: int) -> dict[str, Any]:
    """Return the point of table I's plan."""
    same = {"dataset": dataset, "n_components": k, "seed": config.seed, "model": model}
    return same | table_1.kept(config.profile, k, config.seed)


def plan(profile: str) -> Sequence[Mapping[str, Any]]:
    """Return the seeds of table I's plan."""
    return [{"seed": seed} for seed in range(1 if profile == "smoke" else 3)]


EXPERIMENT = Experiment(
    name="em-gm/figures-3-6",
    title="Curves of figure 3 and samples of figure 6, of the runs of table I",
    config=Figures,
    run=run,
    defaults={},
    plan=plan,
)
