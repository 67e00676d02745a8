"""What the flows of a class of Norb divide among them, and whether it is its toys."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import entr
from sklearn.metrics import adjusted_mutual_info_score

from companion.em_gm.classifier.models import mixture_of, standardised
from companion.em_gm.table_2.config import Table2, rows_of
from companion.em_gm.table_2.data import FILES, Cell, load_cell
from companion.em_gm.table_2.fit import fit
from companion.runs.experiment import Experiment, RunContext
from companion.runs.result import Result
from mixflow.datasets import load_split
from mixflow.estimators import MixtureClassifier

N_COMPONENTS, N_SHOWN = 5, 3  # as many components as a class has toys; pictures of each


def run(config: Table2, context: RunContext) -> Result:
    """Fit once; say how responsibilities divide a class, and keep its typical samples.

    The arrays are ``weights`` (C, K), ``typical`` (C, K, 3, H, W) uint8, the training samples of a
    class whose density under a component is largest, each of another toy where there are toys,
    ``toys`` (C, K, T), the share that each component has of each toy, and ``classes``, names.
    """
    cell = load_cell(config.dataset, config.model)
    images, classes = pictures(config.dataset)
    start = time.perf_counter()
    model = fit(config, context, "full", cell)
    costs = {"fit_seconds": time.perf_counter() - start}
    arrays, metrics = divided(model, cell, images)
    return Result(rows_of(config, metrics), arrays | {"classes": np.array(classes)}, costs)


def divided(
    model: MixtureClassifier, cell: Cell, images: NDArray
) -> tuple[dict[str, NDArray], dict[str, float]]:
    """Return the arrays and metrics of :func:`run`.

    ``agreement_with_toys`` is the adjusted mutual information of a training sample's most
    responsible component and its toy, the mean over classes: 0 by chance, 1 for one toy each.
    ``explained_brightness`` is the share of the variance of images' mean grey level that this
    component explains, the mean over classes: what the light sets, at least of Norb's.

    Parameters
    ----------
    model
        Fitted to the cell.
    cell
        The data.
    images
        What the training samples show, (N, H, W) uint8.
    """
    classes = [_of_class(model, cell, images, c) for c in range(len(model.classes_))]
    arrays = {name: np.stack([c[name] for c in classes]) for name in ("weights", "typical", "toys")}
    metrics = {
        f"{part}_largest_responsibility": np.concatenate([c[part] for c in classes]).mean()
        for part in ("train", "test")
    }
    metrics["effective_components"] = np.exp(entr(arrays["weights"]).sum(1)).mean()
    metrics["explained_brightness"] = np.mean([c["brightness"] for c in classes])
    if cell.group is not None:
        metrics["agreement_with_toys"] = np.mean([c["agreement"] for c in classes])
    return arrays, {name: float(value) for name, value in metrics.items()}


@torch.no_grad()
def _of_class(
    model: MixtureClassifier, cell: Cell, images: NDArray, c: int
) -> dict[str, NDArray | float]:
    """Return one class's part of the arrays, and its samples' largest responsibilities."""
    mixture, rows = mixture_of(model, c), np.flatnonzero(cell.y_train == c)
    x, x_test = (
        standardised(model, part) for part in (cell.x_train[rows], cell.x_test[cell.y_test == c])
    )
    toy = np.zeros(len(rows), int) if cell.group is None else cell.group[rows]
    shares = mixture.posterior(x).cpu().numpy()
    of_toy = np.stack([shares[toy == number].sum(0) for number in np.unique(toy)], 1)
    typical = _densest(mixture.log_prob_components(x).cpu().numpy(), toy)
    return {
        "weights": mixture.log_weights.exp().cpu().numpy(),
        "typical": images[rows[typical]],
        "toys": of_toy / of_toy.sum(0),
        "agreement": float(adjusted_mutual_info_score(toy, shares.argmax(1))),
        "brightness": _explained(images[rows].mean((1, 2)), shares.argmax(1)),
        "train": shares.max(1),
        "test": mixture.posterior(x_test).amax(1).cpu().numpy(),
    }


def _explained(values: NDArray, part: NDArray) -> float:
    """Return the share of the variance of values (N,) between parts, numbered in (N,)."""
    within = sum(values[part == k].var() * (part == k).mean() for k in np.unique(part))
    return float(1 - within / values.var())


def _densest(density: NDArray, groups: NDArray) -> NDArray:
    """Return for each component the rows where its density is largest, (N, K) -> (K, N_SHOWN).

    They are of different toys, as far as there are several.
    """
    chosen = []
    for column in density.T:
        order = np.argsort(-column, kind="stable")
        _, first = np.unique(groups[order], return_index=True)
        ranks = [*np.sort(first), *np.setdiff1d(np.arange(len(order)), first)]
        chosen.append(order[ranks[:N_SHOWN]])
    return np.stack(chosen)


def pictures(dataset: str) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Return training images (N, H, W), of Norb's cameras the left one, and names of classes."""
    split = load_split(FILES.get(dataset, dataset))
    x = split.x_train
    if x.ndim == 4:
        return x[:, 0], split.classes
    return (255 / 16 * x).round().astype(np.uint8).reshape(-1, 8, 8), split.classes  # digits


def plan(profile: str) -> Sequence[Mapping[str, Any]]:
    """Return a mixture with a flow for each toy, as the images are and normalised, three seeds."""
    whole = {"validation_fraction": 0.0, "n_components": N_COMPONENTS}
    if profile == "smoke":
        return [{**whole, "n_components": 2, "epochs": 10, "seed": 0}]
    return [
        {**whole, "dataset": dataset, "evaluate_every": 100, "seed": seed}
        for dataset in ("norb-8x16", "norb-8x16-normalised")
        for seed in range(3)
    ]


EXPERIMENT = Experiment(
    name="em-gm/norb-components",
    title="What the flows of a class of Norb divide among them",
    config=Table2,
    run=run,
    defaults={"smoke": {"dataset": "digits"}, "laptop": {}, "paper": {}},
    plan=plan,
)
