"""What EM-GM says of its figures 3 to 6, judged by the stored runs of table I."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from mixflow.experiments.base import Answer, Config, Experiment, Result, RunContext
from mixflow.experiments.em_gm.images import features, table_1
from mixflow.experiments.em_gm.images.data import ImageSetName
from mixflow.experiments.em_gm.images.feature_network import FeatureNetwork
from mixflow.results.store import StoredRun

Model = Literal["GenMM", "LatMM"]
MODELS: tuple[Model, ...] = ("GenMM", "LatMM")
DATASETS: dict[str, tuple[ImageSetName, ...]] = {"smoke": ("digits",)}
COMPONENTS = {"smoke": (1, 3)}
# Measure of samples -> whether it should rise.
QUALITY = {"IS": True, "FID root": False, "MMD": False, "1NN": False}
# A sample looks like its class when the feature network is this sure; so many must.
SURE, MOST = 0.9, 0.5
# LatMM is about as good as GenMM when its Frechet distance is at most this much larger.
ABOUT = 1.1


class Figures(Config):
    """All runs of one seed."""


def run(config: Figures, context: RunContext) -> Result:
    """Read the runs of table I, made first where they are not there, and judge the claims."""
    datasets = DATASETS.get(config.profile, ("mnist", "fashion-mnist"))
    sizes = COMPONENTS.get(config.profile, table_1.COMPONENTS)
    rows: list[dict[str, Any]] = []
    holds: dict[str, list[bool]] = {}
    for index, dataset in enumerate(datasets):
        network = features.required(context, dataset)
        found = {
            (model, k): context.required(table_1.NAME, **_point(config, dataset, model, k))
            for model in MODELS
            for k in sizes
        }
        for figure, judged in (
            ("3", _likelihood(found)),
            (("4", "5")[index], _quality(found)),
            ("6", _samples(found, network)),
        ):
            holds.setdefault(figure, []).extend(value for _, _, value in judged)
            rows += [
                _row(config, dataset, model, f"figure {figure}: {name}", value)
                for model, name, value in judged
            ]
    rows += [
        _row(config, "", "", f"claim_figure_{figure}", all(values))
        for figure, values in holds.items()
    ]
    return Result(pd.DataFrame(rows))


def _point(config: Figures, dataset: str, model: str, k: int) -> dict[str, Any]:
    """Return the point of table I's plan; one component makes no LatMM."""
    same = {"dataset": dataset, "n_components": k, "seed": config.seed}
    kept = table_1.kept(config.profile, k, config.seed)
    return same | kept | ({"model": model} if k > 1 else {})


def _row(config: Figures, dataset: str, model: str, metric: str, holds: bool) -> dict[str, Any]:
    same = {"dataset": dataset, "model": model, "setting": "", "seed": config.seed}
    return {**same, "metric": metric, "value": float(holds)}


Found = Mapping[tuple[Model, int], StoredRun]
Judged = list[tuple[str, str, bool]]


def _values(found: Found, model: str, metric: str) -> np.ndarray:
    """Return a metric by K, (n_sizes,)."""
    parts = [
        run.rows.loc[run.rows["metric"] == metric, "value"].iloc[0]
        for (name, _), run in found.items()
        if name == model
    ]
    return np.array(parts)


def _likelihood(found: Found) -> Judged:
    """Judge whether NLL falls with the epoch in every run, and with every K up to figure 3's 7."""
    out: Judged = []
    for model in MODELS:
        curves = [run.arrays["curve_nll"] for (name, _), run in found.items() if name == model]
        out.append((model, "NLL falls with the epoch", all(c[-1] < c[0] for c in curves)))
        nll = _values(found, model, "nll_train")[: table_1.COMPONENTS.index(9)]
        out.append((model, "NLL falls with K", bool((np.diff(nll) < 0).all())))
    return out


def _quality(found: Found) -> Judged:
    """Judge whether every measure of samples is better at the best K > 1 than at K = 1."""
    out: Judged = []
    for model in MODELS:
        for metric, rises in QUALITY.items():
            first, *others = _values(found, model, metric) * (1 if rises else -1)
            out.append((model, f"{metric} is better with K > 1", bool(max(others) > first)))
    return out


def _samples(found: Found, network: FeatureNetwork) -> Judged:
    """Judge whether samples at the largest K look like a class, and LatMM's are about as good."""
    out: Judged = []
    largest = max(k for _, k in found)
    for model in MODELS:
        drawn = found[model, largest].arrays["samples"] / 255
        sure = network.extract(drawn.astype(np.float32)).probabilities.max(1) >= SURE
        out.append((model, "samples look like a class", bool(sure.mean() >= MOST)))
    ours, theirs = (_values(found, model, "FID")[-1] for model in ("LatMM", "GenMM"))
    out.append(("LatMM", "FID is about GenMM's", bool(ours <= ABOUT * theirs)))
    return out


def plan(profile: str) -> Sequence[Mapping[str, Any]]:
    """Return the seed whose runs of table I have all models."""
    return [{"seed": 0}]


EXPERIMENT = Experiment(
    name="em-gm/figures-3-6",
    title="What is said of figures 3 to 6, judged by the runs of table I",
    config=Figures,
    run=run,
    defaults={},
    plan=plan,
    answers={
        f"figure-{number}": Answer(metrics={"claim": f"claim_figure_{number}"})
        for number in (3, 4, 5, 6)
    },
)
