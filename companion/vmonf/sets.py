"""The paper's two-dimensional sets: samples, labels, and the density that drew them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import numpy as np

from mixflow.datasets.densities import circles_log_density, pinwheel_log_density
from mixflow.datasets.synthetic import circles, pinwheel

PlaneSet = Literal["pinwheel-5", "pinwheel-3", "circles", "circles-semi"]
LABELLED, UNLABELLED = 32, 1024
N_TEST = 10_000


@dataclass(frozen=True)
class Plane:
    """A drawn set: samples (N, 2), their classes (N,), what the model may know of them.

    Attributes
    ----------
    labels
        Class of the labelled samples, -1 for the others, (N,).
    log_density
        The true log density, (M, 2) -> (M,) in nats.
    """

    x: np.ndarray
    y: np.ndarray
    labels: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    log_density: Callable[[np.ndarray], np.ndarray]

    @property
    def n_classes(self) -> int:
        """Wings or rings."""
        return int(self.y.max()) + 1


def draw(name: PlaneSet, seed: int, *, size: float = 1.0) -> Plane:
    """Draw a set and a test set; ``size`` scales the number of training samples.

    Raises
    ------
    ValueError
        If there is no such set.
    """
    if name not in get_args(PlaneSet):
        raise ValueError(f"no set {name!r}; there are {get_args(PlaneSet)}")
    density: Callable[..., np.ndarray] = circles_log_density
    wings = {"pinwheel-5": (8192, 5, 0.4), "pinwheel-3": (512, 3, 0.25)}
    if name in wings:
        n, n_wings, rate = wings[name]
        generate = partial(pinwheel, n_wings=n_wings, rate=rate)
        x, y = generate(max(8, round(size * n)), random_state=seed)
        x_test, y_test = generate(N_TEST // n_wings, random_state=_test_seed(seed))
        density = partial(pinwheel_log_density, n_wings=n_wings, rate=rate)
    else:
        n = UNLABELLED + (LABELLED if name == "circles-semi" else 0)
        x, y = circles(max(LABELLED, round(size * n)), random_state=seed)
        x_test, y_test = circles(N_TEST, random_state=_test_seed(seed))
    labels = np.full(len(x), -1)
    if name == "circles-semi":
        # Samples come shuffled: the first of each class are a random choice.
        for c in (0, 1):
            rows = np.flatnonzero(y == c)[: LABELLED // 2]
            labels[rows] = c
    return Plane(x, y, labels, x_test, y_test, density)


def _test_seed(seed: int) -> int:
    return 1_000_000 + seed
