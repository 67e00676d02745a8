"""Class priors: as a parameter asks for, corrected after training, or learned without labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax

from mixflow.validation import as_floats


def class_priors(priors: str | ArrayLike | None, counts: NDArray) -> NDArray:
    """Return P(y), shape (C,): as a classifier's parameter asks for it.

    Parameters
    ----------
    priors
        None for the shares of ``counts``, "uniform", or C probabilities.
    counts
        Samples of each class, or the sums of their weights, shape (C,).

    Raises
    ------
    ValueError
        If ``priors`` is another string, or no C probabilities.
    """
    n = len(counts)
    if priors is None:
        return counts / counts.sum()
    if isinstance(priors, str):
        if priors != "uniform":
            raise ValueError(f"priors must be None, 'uniform' or an array, got {priors!r}")
        return np.full(n, 1 / n)
    given = as_floats(priors, "priors")
    if given.shape != (n,) or given.min() < 0 or not np.isclose(given.sum(), 1):
        raise ValueError(f"priors must be {n} probabilities that sum to 1, got {given}")
    return given


def with_priors(log_proba: NDArray, old: NDArray, new: NDArray) -> NDArray:
    r"""Replace the class priors in a posterior.

    .. math:: p'(y \mid x) \propto p(y \mid x) \, P'(y) / P(y)

    Parameters
    ----------
    log_proba
        log p(y given x) under the old priors, shape (N, C).
    old, new
        P(y) and P'(y), shape (C,); the old ones are positive.

    Returns
    -------
    numpy.ndarray
        log p'(y given x), shape (N, C).

    Raises
    ------
    ValueError
        If shapes do not fit, or an old prior is 0: what it excluded cannot come back.
    """
    _check(log_proba, old, new)
    with np.errstate(divide="ignore"):  # a class that no longer occurs
        shifted: NDArray = log_softmax(log_proba + np.log(new) - np.log(old), axis=1)
    return shifted


def estimate_priors(
    log_proba: NDArray, old: NDArray, *, max_iter: int = 1000, tol: float = 1e-6
) -> NDArray:
    """Learn the class priors of unlabelled samples by EM.

    Parameters
    ----------
    log_proba
        log p(y given x) under the old priors, shape (N, C).
    old
        P(y) that it was trained with, shape (C,), positive.
    max_iter, tol
        EM stops after so many steps, or when no prior moves by more than ``tol``.

    Returns
    -------
    numpy.ndarray
        The priors of largest likelihood, shape (C,), if p(x given y) is as in training.

    Raises
    ------
    ValueError
        As :func:`with_priors`.

    Notes
    -----
    Source: Saerens, Latinne and Decaestecker, Adjusting the outputs of a classifier to new a
    priori probabilities, Neural Computation 14 (2002), eq. 2.9.
    """
    _check(log_proba, old, old)
    ratios, new = np.exp(log_proba) / old, old
    for _ in range(max_iter):
        # The mean of with_priors(log_proba, old, new), as products of matrices.
        last, new = new, new * ((1 / (ratios @ new)) @ ratios) / len(ratios)
        if np.abs(new - last).max() <= tol:
            break
    return new


def _check(log_proba: NDArray, old: NDArray, new: NDArray) -> None:
    if log_proba.ndim != 2 or old.shape != new.shape or old.shape != log_proba.shape[1:]:
        raise ValueError(
            f"expected (N, C), (C,) and (C,), got {log_proba.shape}, {old.shape} and {new.shape}"
        )
    if old.min() <= 0:
        raise ValueError("an old prior is 0; a class that was excluded cannot come back")
