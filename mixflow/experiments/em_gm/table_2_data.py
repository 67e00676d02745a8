"""The splits of EM-GM's table II, features as each model takes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixflow.datasets import load_split
from mixflow.datasets.split import Split

# What the published code takes images from: (C, H, W), and the raw values that become -0.5 and
# 0.5. The paper gives shapes, but no scaling; these are the least and the greatest value.
SHAPES = {"letter": (1, 4, 4), "satimage": (1, 6, 6), "digits": (1, 8, 8)}
RANGES = {"letter": (0.0, 15.0), "satimage": (27.0, 157.0), "digits": (0.0, 16.0)}
# Classes of unequal size: 0.24 to 0.09 of the samples. Letter's are nearly equal, NORB's equal.
UNEQUAL = ("satimage",)


@dataclass(frozen=True)
class Cell:
    """The data of one cell, features as the model takes them.

    Attributes
    ----------
    x_train, y_train, x_test, y_test
        Features (N, D) and classes (N,).
    log_unit
        Log density in the model's units minus that in raw units, in nats.
    class_prior
        P(y) of the decision, shape (n_classes,).
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    log_unit: float
    class_prior: np.ndarray


def load_cell(dataset: str, model: str, split_seed: int = 0) -> Cell:
    """Load a split and scale it as the model expects.

    The published code takes images in [-0.5, 0.5]; the other models standardise by themselves.
    Pixels of digits that never vary are left out. The published model decides by the largest
    likelihood; the others take the classes' shares in the training split as priors where the
    classes are of unequal size.

    Raises
    ------
    DatasetError
        A data file is missing or corrupt.
    """
    split = load_split(dataset, split_seed=split_seed)
    x_train, x_test, log_unit = split.x_train, split.x_test, 0.0
    published = model == "GenMM as published"
    if published:
        low, high = RANGES[dataset]
        x_train, x_test = ((x - low) / (high - low) - 0.5 for x in (x_train, x_test))
        log_unit = x_train.shape[1] * np.log(high - low)
    elif dataset == "digits":
        varies = x_train.std(0) > 0.5
        x_train, x_test = x_train[:, varies], x_test[:, varies]
    uniform = published or dataset not in UNEQUAL
    return Cell(x_train, split.y_train, x_test, split.y_test, log_unit, _prior(split, uniform))


def _prior(split: Split, uniform: bool) -> np.ndarray:
    counts = np.bincount(split.y_train, minlength=split.n_classes)
    return np.full(split.n_classes, 1 / split.n_classes) if uniform else counts / counts.sum()
