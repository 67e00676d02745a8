"""Does a density of images notice images of another kind? Fashion under a model of digits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pydantic import Field
from sklearn.metrics import roc_auc_score

from companion.em_gm.images import table_1
from companion.em_gm.images.data import TITLES, ImageSetName, load_images, nll_per_pixel
from companion.em_gm.images.mixtures import rebuilt
from companion.runs.config import Config
from companion.runs.experiment import Experiment, RunContext
from companion.runs.result import Result
from companion.runs.stored import StoredRun

NAME = "em-gm/image-doubt"
# What is shown to a model of each set; digits are shown as negatives.
OTHERS: dict[str, ImageSetName] = {
    "mnist": "fashion-mnist",
    "fashion-mnist": "mnist",
    "digits": "digits",
}


class Doubt(Config):
    """One stored mixture, and images of another set."""

    dataset: ImageSetName = Field("mnist", description="what the mixture learned; digits at smoke")
    n_components: int = Field(1, ge=1, le=50, description="K of the stored GenMM")
    n_images: int = Field(1000, ge=10, description="held-out images of each set")


def run(config: Doubt, context: RunContext) -> Result:
    """Score held-out images and others by two scores that know no classes."""
    same = {"dataset": config.dataset, "n_components": config.n_components, "seed": 0}
    mixture = rebuilt(context.required(table_1.NAME, **same, keep=True))
    images = load_images(config.dataset)
    rng = np.random.default_rng(config.seed)
    nll = {
        name: nll_per_pixel(mixture, _drawn(rng, x, config.n_images), seed=config.seed)
        for name, x in (
            ("training", images.train),
            ("held out", images.held_out),
            ("other", _others(config.dataset)),
        )
    }
    lines = [
        {"model": "GenMM", "setting": f"K={config.n_components}", "metric": metric, "value": value}
        for metric, value in measure(nll).items()
    ]
    rows = pd.DataFrame(lines).assign(dataset=config.dataset, seed=config.seed)
    return Result(rows, {f"nll, {name}": values for name, values in nll.items()})


def measure(nll: Mapping[str, NDArray]) -> dict[str, float]:
    """Return how well NLL tells others from held-out images, as it is and by its distance.

    Parameters
    ----------
    nll
        Of training, held-out and other images, in nat/pixel, each (N,).

    Returns
    -------
    dict
        ``auroc_density`` takes the less likely image for the stranger; ``auroc_typicality``
        that whose NLL is further from the training images' mean, on either side (Nalisnick et
        al., arXiv 1906.02994, for single images).
    """
    stranger = np.repeat([0, 1], [len(nll["held out"]), len(nll["other"])])
    scored = np.concatenate([nll["held out"], nll["other"]])
    distance = np.abs(scored - nll["training"].mean())
    return {
        "auroc_density": float(roc_auc_score(stranger, scored)),
        "auroc_typicality": float(roc_auc_score(stranger, distance)),
        "nll_held_out": float(nll["held out"].mean()),
        "nll_other": float(nll["other"].mean()),
    }


def _others(dataset: str) -> torch.Tensor:
    other = load_images(OTHERS[dataset]).held_out
    return -other if OTHERS[dataset] == dataset else other


def _drawn(rng: np.random.Generator, x: torch.Tensor, n: int) -> torch.Tensor:
    return x[torch.from_numpy(rng.permutation(len(x))[:n])]


# The page ------------------------------------------------------------------------------------


def _title(run: StoredRun) -> str:
    return f"{TITLES[run.config['dataset']]}, K = {run.config['n_components']}"


def panels(runs: Sequence[StoredRun]) -> dict[str, dict[str, NDArray]]:
    """Return what ``figures.classifier.strangers`` draws: model -> kind of image -> NLL, (N,)."""
    found = {}
    for run in runs:
        dataset = run.config["dataset"]
        other = "negatives" if OTHERS[dataset] == dataset else TITLES[OTHERS[dataset]]
        found[_title(run)] = {"held out": run.arrays["nll, held out"]}
        found[_title(run)][other] = run.arrays["nll, other"]
    return found


def describe(found: Mapping[str, Mapping[str, NDArray]]) -> str:
    """Return the medians of :func:`panels`, for those who cannot see the figure."""
    return " ".join(
        f"{title}: median "
        + " and ".join(f"{np.median(nll):.2f} ({kind})" for kind, nll in kinds.items())
        + " nat/pixel."
        for title, kinds in found.items()
    )


def say_scores(runs: Sequence[StoredRun]) -> str:
    """Return, in Markdown, how well each model tells the two kinds apart."""
    lines = []
    for run in runs:
        value = run.rows.set_index("metric")["value"]
        lines.append(
            f"- **{_title(run)}**: AUROC {value['auroc_density']:.3f} by the density alone, "
            f"{value['auroc_typicality']:.3f} by its distance from that of training images."
        )
    return "\n".join(lines)


def plan(profile: str) -> Sequence[Mapping[str, Any]]:
    """Return one flow of each set, and a mixture of digits."""
    if profile == "smoke":
        return [{"seed": 0}]
    points: list[Mapping[str, Any]] = [
        {"dataset": d, "seed": 0} for d in ("mnist", "fashion-mnist")
    ]
    return [*points, {"dataset": "mnist", "n_components": 7, "seed": 0}]


EXPERIMENT = Experiment(
    name=NAME,
    title="Images of another kind under a mixture of image flows",
    config=Doubt,
    run=run,
    defaults={"smoke": {"dataset": "digits", "n_images": 200}},
    plan=plan,
)
