"""How well classes are predicted: the share of right ones, and proper scores.

The classes of the scores are the columns of the probabilities, 0 ... C - 1. For other labels give
``np.searchsorted(model.classes_, y)``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mixflow.validation import (
    as_labels,
    as_log_probabilities,
    as_probabilities,
    as_whole_numbers,
)


def accuracy(y: ArrayLike, predicted: ArrayLike) -> float:
    """Return the share of samples whose class is predicted.

    Parameters
    ----------
    y, predicted
        Classes, (N,), numbers or text; for clusters take
        :func:`mixflow.metrics.matched_accuracy`.

    Returns
    -------
    float
        In [0, 1], higher is better.

    Raises
    ------
    ValueError
        Empty, masked or unequal lengths, missing labels, text in one and numbers in the other.

    Notes
    -----
    The measure of EM-GM's table II, https://arxiv.org/abs/1907.13432.

    Examples
    --------
    >>> accuracy(["a", "b", "b", "a"], ["a", "b", "a", "a"])
    0.75
    """
    true = as_labels(y, "y")
    found = as_labels(predicted, "predicted", len(true))
    if (true.dtype.kind in "US") != (found.dtype.kind in "US"):
        raise ValueError(
            f"y and predicted must hold labels of one kind, got {true.dtype} and {found.dtype}"
        )
    return float((true == found).mean())


def brier_score(proba: ArrayLike, y: ArrayLike) -> float:
    r"""Return the mean squared distance of probabilities from the class.

    .. math:: \frac1N \sum_n \sum_c (p_{nc} - [y_n = c])^2

    Parameters
    ----------
    proba
        P(y given x), (N, C), lines that sum to 1.
    y
        Classes 0 ... C - 1, (N,).

    Returns
    -------
    float
        In [0, 2], lower is better: 0 for sure and right, 2 for sure and wrong, 1 - 1/C for equal
        probabilities.

    Raises
    ------
    ValueError
        No sample, unequal lengths, masked values, NaN, lines that do not sum to 1, classes that
        are not whole numbers in 0 ... C - 1.

    Notes
    -----
    G. W. Brier, https://doi.org/10.1175/1520-0493(1950)078%3C0001:VOFEIT%3E2.0.CO;2, eq. 2: over
    all classes. For two, scikit-learn's ``brier_score_loss`` is half of it by default.

    Examples
    --------
    >>> round(brier_score([[0.9, 0.1], [0.4, 0.6]], [0, 0]), 9)
    0.37
    """
    p = as_probabilities(proba, "proba")
    return float(((p - np.eye(p.shape[1])[as_columns(y, p)]) ** 2).sum(1).mean())


def log_loss(log_proba: ArrayLike, y: ArrayLike) -> float:
    r"""Return the mean negative log probability of the class, :math:`-\frac1N\sum_n\log p_{ny_n}`.

    Parameters
    ----------
    log_proba
        log P(y given x) in nats, (N, C), as of ``predict_log_proba``: posteriors of mixtures in
        high dimension round to 0 and 1, and their logarithms do not. -inf is a probability of 0.
    y
        Classes 0 ... C - 1, (N,).

    Returns
    -------
    float
        Nats per sample, 0 or more, lower is better: log C for equal probabilities, infinite where
        a class that came was held impossible.

    Raises
    ------
    ValueError
        No sample, unequal lengths, masked values, NaN, logarithms above 0, a line that has no
        possible class, classes that are not whole numbers in 0 ... C - 1.

    Notes
    -----
    The cross-entropy; I. J. Good, https://doi.org/10.1111/j.2517-6161.1952.tb00104.x.
    scikit-learn's ``log_loss`` takes probabilities, and cuts them off near 0.

    Examples
    --------
    >>> log_loss([[0.0, -800.0], [0.0, -800.0]], [0, 1])
    400.0
    """
    log_p = as_log_probabilities(log_proba, "log_proba")
    own = log_p[np.arange(len(log_p)), as_columns(y, log_p)]
    return float(0.0 - own.mean())  # no minus before 0


def as_columns(y: ArrayLike, proba: NDArray) -> NDArray[np.integer]:
    """Return classes (N,) as columns of probabilities, (N, C).

    Raises
    ------
    ValueError
        Another length, or classes that are not whole numbers in 0 ... C - 1.
    """
    return as_whole_numbers(y, "y", len(proba), 0, proba.shape[1] - 1)
