"""The splits of EM-GM's table II, features as each model takes them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from pydantic import Field
from scipy.special import logsumexp
from sklearn.model_selection import train_test_split

from companion.runs.config import Config
from mixflow import datasets
from mixflow.datasets import load_split
from mixflow.datasets.split import Split

# What the published code takes images from: (C, H, W), and the raw values that become -0.5 and
# 0.5. The paper gives shapes, but no scaling; these are the least and the greatest value. Norb's
# two cameras stand side by side.
SHAPES = {"letter": (1, 4, 4), "satimage": (1, 6, 6), "digits": (1, 8, 8), "norb": (1, 32, 64)}
RANGES = {"letter": (0.0, 15.0), "satimage": (27.0, 157.0), "digits": (0.0, 16.0)}
RANGES |= {"norb": (0.0, 255.0)}
LEVELS = {"letter": 1, "satimage": 1, "digits": 1, "norb": 3}
# What Norb's images are reduced to for the models other than the published one; the smaller ones
# are taken as vectors.
REDUCED = {"norb": (1, 16, 32), "norb-8x16": (1, 8, 16), "norb-8x16-normalised": (1, 8, 16)}
AS_VECTORS = ("norb-8x16", "norb-8x16-normalised")
NORMALISED = ("norb-8x16-normalised",)
# The data set that is read, and that of the paper's table, where ours has a name of its own.
FILES = {"norb-8x16": "norb", "norb-8x16-normalised": "norb"}
TABLE_NAMES = {"norb-8x16-normalised": "norb"}
# Objects of a class that the training samples show, equally often.
OBJECTS = {"norb": 5}
# Classes of unequal size: 0.24 to 0.09 of the samples. Letter's are nearly equal, NORB's equal.
UNEQUAL = ("satimage",)
# Pixels of a sample: (height, width, bands). The class is that of the one in the middle, so
# turning a window or looking at it in a mirror does not change it.
WINDOWS = {"satimage": (3, 3, 4)}


# Gives log p(x given y): (N, D) -> (N, n_classes).
LogProb = Callable[[np.ndarray], np.ndarray]


def image_shape(dataset: str, model: str) -> tuple[int, int, int] | None:
    """Return (C, H, W) of the images that a model takes, or None where it takes vectors."""
    if model == "GenMM as published":
        return SHAPES[dataset]
    return None if dataset in AS_VECTORS else REDUCED.get(dataset)


class OfCell(Config):
    """A run on the data of a cell."""

    dataset: str
    split_seed: int = Field(0, ge=0, description="draws the 13333/6667 split of Letter")

    def data_sets(self) -> tuple[str, ...]:
        """Return the data set whose file is read: "norb" for all that is made of it."""
        return (FILES.get(self.dataset, self.dataset),)


@dataclass(frozen=True)
class Cell:
    """The data of one cell, features as the model takes them.

    Attributes
    ----------
    x_train, y_train, x_test, y_test
        Features (N, D) and classes (N,).
    log_unit
        Log density in the model's units minus that in raw units, in nats; 0 where each image
        is normalised: its density in raw units is lost.
    class_prior
        P(y) of the decision, shape (n_classes,).
    group
        The object that a training sample shows, (N,), where several samples show one; else None.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    log_unit: float
    class_prior: np.ndarray
    group: np.ndarray | None = None


def load_cell(dataset: str, model: str, split_seed: int = 0) -> Cell:
    """Load a split and scale it as the model expects.

    The published code takes images in [-0.5, 0.5], and so do all models of "norb"; the other models
    standardise by themselves. Images that are normalised have lost their brightness and contrast.
    Pixels of digits that never vary are left out. The published model decides by the largest
    likelihood; the others take the classes' shares in the training split as priors where the
    classes are of unequal size.

    Raises
    ------
    DatasetError
        A data file is missing or corrupt.
    """
    split = load_split(FILES.get(dataset, dataset), split_seed=split_seed)
    x_train, x_test, log_unit = split.x_train, split.x_test, 0.0
    published = model == "GenMM as published"
    if dataset in REDUCED:
        reduced = SHAPES[dataset] if published else REDUCED[dataset]
        x_train, x_test = (side_by_side(x, reduced) for x in (x_train, x_test))
    if dataset in NORMALISED:
        x_train, x_test = normalised(x_train), normalised(x_test)
    if image_shape(dataset, model) is not None:
        low, high = RANGES[dataset]
        x_train, x_test = ((x - low) / (high - low) - 0.5 for x in (x_train, x_test))
        log_unit = x_train.shape[1] * np.log(high - low)
    elif dataset == "digits":
        varies = x_train.std(0) > 0.5
        x_train, x_test = x_train[:, varies], x_test[:, varies]
    prior = _prior(split, uniform=published or dataset not in UNEQUAL)
    return Cell(
        x_train, split.y_train, x_test, split.y_test, log_unit, prior, group=split.group_train
    )


def validation_rows(cell: Cell, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Divide the training split: rows to fit to, and rows that choose.

    These are a share of every class, or, where samples show objects, one object of every class.
    """
    rows = np.arange(len(cell.y_train))
    if cell.group is not None:
        objects = np.unique(cell.group)
        chosen = cell.group == objects[seed % len(objects)]
        return rows[~chosen], rows[chosen]
    divided: list[np.ndarray] = train_test_split(
        rows, test_size=fraction, stratify=cell.y_train, random_state=seed
    )
    return divided[0], divided[1]


def n_validation(dataset: str, fraction: float) -> int:
    """Return how many rows choose in :func:`validation_rows`, without reading the data."""
    name = FILES.get(dataset, dataset)
    n_train = datasets.get(name).n_train
    return n_train // OBJECTS[name] if name in OBJECTS else math.ceil(fraction * n_train)


def companion(cell: Cell, fraction: float, seed: int) -> Cell:
    """Return the cell without its test part, divided by :func:`validation_rows`."""
    rows, held = validation_rows(cell, fraction, seed)
    return replace(
        cell,
        x_train=cell.x_train[rows],
        y_train=cell.y_train[rows],
        x_test=cell.x_train[held],
        y_test=cell.y_train[held],
        group=None if cell.group is None else cell.group[rows],
    )


def views(x: np.ndarray, dataset: str) -> list[np.ndarray]:
    """Return windows, (N, D), turned by quarters and mirrored: eight arrays (N, D)."""
    windows = x.reshape(-1, *WINDOWS[dataset])
    turned = [np.rot90(windows, quarters, axes=(1, 2)) for quarters in range(4)]
    return [view.reshape(x.shape) for w in turned for view in (w, w[:, :, ::-1])]


def over_views(log_prob: LogProb, dataset: str) -> LogProb:
    """Return the log of a density averaged over the eight views of a window.

    A view only reorders features, so this is a density too: a mixture of eight.

    Parameters
    ----------
    log_prob
        Gives log p(x given y): (N, D) -> (N, n_classes).
    dataset
        One of ``WINDOWS``.
    """

    def averaged(x: np.ndarray) -> np.ndarray:
        each = [log_prob(view) for view in views(x, dataset)]
        return np.asarray(logsumexp(each, axis=0) - np.log(len(each)))

    return averaged


def side_by_side(x: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Join two cameras, (N, 2, H, W) uint8, and average blocks of pixels: (N, prod(shape))."""
    n, cameras, height, width = x.shape
    factor = height // shape[1]
    blocks = x.reshape(n, cameras, shape[1], factor, width // factor, factor)
    means: np.ndarray = blocks.mean((3, 5), dtype=np.float32)
    return means.transpose(0, 2, 1, 3).reshape(n, -1)


def normalised(x: np.ndarray) -> np.ndarray:
    """Shift and scale each image, (N, D) of grey values, to mean 0 and sd 1.

    An image that varies by less than one grey value is scaled as if it varied by one.
    """
    centred: np.ndarray = x - x.mean(1, keepdims=True)
    return centred / centred.std(1, keepdims=True).clip(1.0)


def _prior(split: Split, uniform: bool) -> np.ndarray:
    counts = np.bincount(split.y_train, minlength=split.n_classes)
    return np.full(split.n_classes, 1 / split.n_classes) if uniform else counts / counts.sum()
