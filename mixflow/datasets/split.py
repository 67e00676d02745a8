"""The container that every labelled data set comes in."""

from __future__ import annotations

import numbers
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Split:
    """Labelled data, already divided into a training and a test part.

    Parameters
    ----------
    x_train, x_test
        Samples, (N, D) float64 for tables or (N, C, H, W) uint8 for images; raw values.
    y_train, y_test
        Class of each sample, (N,) int64, from 0 to ``n_classes - 1``.
    name
        Name of the data set.
    classes
        Name of each class; ``classes[y]`` is the class of a sample.
    group_train
        Number of the object that a training sample shows, (N,), where several samples of a class
        show one: what is held out from training to choose anything must be whole objects.

    Raises
    ------
    ValueError
        Samples and labels do not fit together.
    """

    x_train: NDArray
    y_train: NDArray[np.int64]
    x_test: NDArray
    y_test: NDArray[np.int64]
    name: str
    classes: tuple[str, ...]
    group_train: NDArray | None = None

    def __post_init__(self) -> None:
        self._check_part("train", self.x_train, self.y_train)
        self._check_part("test", self.x_test, self.y_test)
        if self.group_train is not None and self.group_train.shape != self.y_train.shape:
            raise ValueError(
                f"{self.name}: {len(self.y_train)} training samples need as many groups, "
                f"got shape {self.group_train.shape}"
            )
        if self.x_train.shape[1:] != self.x_test.shape[1:]:
            raise ValueError(
                f"{self.name}: a training sample has shape {self.x_train.shape[1:]}, "
                f"a test sample {self.x_test.shape[1:]}; they must be equal"
            )

    def _check_part(self, part: str, x: NDArray, y: NDArray) -> None:
        """Check one part: one label for each sample, every label a class."""
        if y.shape != (len(x),):
            raise ValueError(
                f"{self.name}: {len(x)} {part} samples need labels of shape ({len(x)},), "
                f"got {y.shape}"
            )
        if not np.issubdtype(y.dtype, np.integer):
            raise ValueError(f"{self.name}: {part} labels must be integers, got {y.dtype}")
        if len(y) and not 0 <= y.min() <= y.max() < self.n_classes:
            raise ValueError(
                f"{self.name}: {part} labels must lie in 0..{self.n_classes - 1}, "
                f"got {y.min()}..{y.max()}"
            )

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one sample: (D,) or (C, H, W)."""
        return self.x_train.shape[1:]

    def __repr__(self) -> str:
        return (
            f"Split({self.name!r}: {len(self.x_train)} train + {len(self.x_test)} test, "
            f"event {self.event_shape} {self.x_train.dtype}, {self.n_classes} classes)"
        )


def check_seed(split_seed: int) -> int:
    """Return the seed of a split as an int.

    Raises
    ------
    ValueError
        It is not a whole number from 0 on.
    """
    whole = isinstance(split_seed, numbers.Integral) and not isinstance(split_seed, bool)
    if not whole or split_seed < 0:
        raise ValueError(f"split_seed must be a whole number >= 0, got {split_seed!r}")
    return int(split_seed)
