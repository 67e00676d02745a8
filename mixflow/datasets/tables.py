"""Data sets of feature vectors: Letter, Satimage and scikit-learn's digits.

Values are as published, as float64 and without any scaling: that belongs to the models.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mixflow.datasets import images, registry
from mixflow.datasets.fetch import locate
from mixflow.datasets.registry import DatasetError
from mixflow.datasets.split import Split, check_seed

LETTERS = tuple(string.ascii_uppercase)
SOILS = (
    "red soil",
    "cotton crop",
    "grey soil",
    "damp grey soil",
    "soil with vegetation stubble",
    "very damp grey soil",
)
# Code 6, a mixture of soils, does not occur in the published files.
_SOIL_CODES = (1, 2, 3, 4, 5, 7)
# Recovered from the curves published with EM-GM's table II.
_LETTER_TRAIN = 13333


def load_split(name: str, *, split_seed: int = 0) -> Split:
    """Load a labelled data set, divided into training and test samples.

    Parameters
    ----------
    name
        ``"letter"`` (13333/6667, drawn by `split_seed`), ``"satimage"`` (4435/2000,
        official), ``"digits"`` (1198/599, stratified, drawn by `split_seed`),
        ``"mnist"``, ``"fashion-mnist"`` (60000/10000, official) or ``"norb"``
        (24300/24300, official).
    split_seed
        Seed of the random splits; the official ones do not depend on it.

    Returns
    -------
    Split
        Tables as (N, D) float64, images as (N, C, H, W) uint8, labels from 0.

    Raises
    ------
    ValueError
        Unknown name, one without labelled splits, or a bad seed.
    DatasetError
        A data file is missing or corrupt.
    """
    seed = check_seed(split_seed)
    if name not in _LOADERS:
        if name in registry.names("generated"):
            raise ValueError(f"{name!r} is generated: call mixflow.datasets.{name}(...)")
        raise ValueError(registry.unknown_name("data set with a split", name, _LOADERS))
    return _LOADERS[name](seed)


def load_letter() -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """Load the Letter data as published, in its order.

    Returns
    -------
    x : numpy.ndarray
        Features, (20000, 16) float64, whole numbers from 0 to 15.
    y : numpy.ndarray
        Letters, (20000,) str, ``"A"`` to ``"Z"``.

    Raises
    ------
    DatasetError
        The data file is missing or corrupt.

    Notes
    -----
    D. Slate, Letter Recognition, UCI (1991), https://doi.org/10.24432/C5ZP40.
    """
    path = locate("letter", "letter-recognition.data")
    table = _read(path, delimiter=",", converters={0: lambda field: float(ord(field))})
    letters = table[:, 0].astype(np.uint32).view("<U1")
    return np.ascontiguousarray(table[:, 1:]), letters


def load_satimage() -> Split:
    """Load the Satimage data with its official split.

    Returns
    -------
    Split
        (4435, 36) and (2000, 36) float64, whole numbers from 27 to 157: for each of the
        nine pixels of a 3x3 neighbourhood its four spectral bands. The published labels
        1, 2, 3, 4, 5, 7 become 0 to 5.

    Raises
    ------
    DatasetError
        A data file is missing or corrupt.

    Notes
    -----
    A. Srinivasan, Statlog (Landsat Satellite), UCI (1993), https://doi.org/10.24432/C55887.
    """
    train, test = (_read(locate("satimage", file)) for file in ("sat.trn", "sat.tst"))
    return Split(*_soils(train), *_soils(test), "satimage", SOILS)


def load_digits(*, split_seed: int = 0) -> Split:
    """Load scikit-learn's digits as feature vectors, with a stratified split 2:1.

    Parameters
    ----------
    split_seed
        Seed of the split.

    Returns
    -------
    Split
        (1198, 64) and (599, 64) float64, whole numbers from 0 to 16. The same split as
        `mixflow.datasets.load_digit_images`, flattened.

    Raises
    ------
    ValueError
        Bad seed.
    """
    split = images.load_digit_images(split_seed=split_seed)
    x_train, x_test = (x.reshape(len(x), -1).astype(float) for x in (split.x_train, split.x_test))
    return Split(x_train, split.y_train, x_test, split.y_test, "digits", split.classes)


def _letter_split(seed: int) -> Split:
    """Return the Letter data, divided at random as in EM-GM's table II."""
    x, letters = load_letter()
    y = letters.view(np.uint32).astype(np.int64) - ord("A")
    order = np.random.default_rng(seed).permutation(len(x))
    train, test = order[:_LETTER_TRAIN], order[_LETTER_TRAIN:]
    return Split(x[train], y[train], x[test], y[test], "letter", LETTERS)


def _soils(table: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Divide a Satimage table into features (N, 36) and classes (N,) from 0 to 5."""
    y = np.searchsorted(_SOIL_CODES, table[:, -1]).astype(np.int64)
    return np.ascontiguousarray(table[:, :-1]), y


def _read(
    path: Path,
    *,
    delimiter: str | None = None,
    converters: dict[int | str, Callable[[str], float]] | None = None,
) -> NDArray[np.float64]:
    """Read a text table of numbers, (N, columns) float64."""
    try:
        return np.loadtxt(path, delimiter=delimiter, converters=converters, encoding="ascii")
    except (ValueError, TypeError) as error:
        raise DatasetError(f"{path} is not the table it should be: {error}") from error


_LOADERS: dict[str, Callable[[int], Split]] = {
    "letter": _letter_split,
    "satimage": lambda seed: load_satimage(),
    "digits": lambda seed: load_digits(split_seed=seed),
    "mnist": lambda seed: images.load_mnist(),
    "fashion-mnist": lambda seed: images.load_fashion_mnist(),
    "norb": lambda seed: images.load_norb(),
}
