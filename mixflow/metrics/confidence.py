"""How far a classifier's probabilities can be trusted: calibration, proper scores, rejection."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp

# Temperatures that are searched, as powers of e.
_LOG_TEMPERATURES = (-3.0, 5.0)


def reliability(proba: NDArray, y: NDArray, n_bins: int = 15) -> NDArray:
    """Compare the probability of the predicted class with how often it is right.

    Parameters
    ----------
    proba
        P(y given x), shape (N, C), rows that sum to 1.
    y
        Classes 0 ... C - 1, shape (N,).
    n_bins
        Bins of equal width over [0, 1].

    Returns
    -------
    numpy.ndarray
        Mean confidence, accuracy and number of samples of each bin, shape (n_bins, 3); the
        first two are NaN where a bin is empty.
    """
    _check(proba, y)
    confidence, correct = proba.max(1), proba.argmax(1) == y
    index = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    counts = np.bincount(index, minlength=n_bins)
    sums = [np.bincount(index, weights=w, minlength=n_bins) for w in (confidence, correct)]
    with np.errstate(invalid="ignore"):
        return np.stack([*(total / counts for total in sums), counts], axis=1)


def expected_calibration_error(bins: NDArray) -> float:
    """Return the mean of |accuracy - confidence| over samples, from :func:`reliability`.

    Notes
    -----
    Source: Guo, Pleiss, Sun and Weinberger, On calibration of modern neural networks, ICML
    2017, eq. 5.
    """
    confidence, accuracy, counts = bins[bins[:, 2] > 0].T
    return float((np.abs(accuracy - confidence) * counts).sum() / counts.sum())


def brier_score(proba: NDArray, y: NDArray) -> float:
    """Return the mean squared distance of P(y given x), (N, C), from the class; 0 to 2.

    Notes
    -----
    Source: Brier, Verification of forecasts expressed in terms of probability, 1950.
    """
    _check(proba, y)
    return float(((proba - np.eye(proba.shape[1])[y]) ** 2).sum(1).mean())


def temperature_scaled(log_proba: NDArray, temperature: float) -> NDArray:
    """Return log of p^(1/T), normalised, (N, C); above 1 makes a classifier less sure."""
    scaled: NDArray = log_softmax(log_proba / temperature, axis=1)
    return scaled


def best_temperature(log_proba: NDArray, y: NDArray) -> float:
    """Return the temperature of the least log loss on samples that were not trained on.

    Parameters
    ----------
    log_proba
        log P(y given x), finite, shape (N, C).
    y
        Classes 0 ... C - 1, shape (N,).

    Notes
    -----
    Source: Guo, Pleiss, Sun and Weinberger, ICML 2017, section 4.2.
    """
    _check(log_proba, y)

    def log_loss(log_temperature: float) -> float:
        scaled = temperature_scaled(log_proba, np.exp(log_temperature))
        return float(-scaled[np.arange(len(y)), y].mean())

    return float(np.exp(minimize_scalar(log_loss, bounds=_LOG_TEMPERATURES).x))


def log_doubt(log_proba: NDArray) -> NDArray:
    """Return log of the probability of all classes but the most probable: (N, C) -> (N,).

    It ranks samples whose largest probability is 1 to float64's precision.
    """
    others = np.sort(log_proba, axis=1)[:, :-1]
    doubt: NDArray = logsumexp(others, axis=1)
    return doubt


def accuracy_by_coverage(confidence: NDArray, correct: NDArray) -> NDArray:
    """Return the accuracy on the n most confident samples, n = 1 ... N: (N,), (N,) -> (N,).

    Its mean is the area under the curve of accuracy against coverage n / N, which is 1 minus
    the area under the risk-coverage curve of Geifman and El-Yaniv (2017).
    """
    order = np.argsort(-confidence, kind="stable")
    accuracy: NDArray = np.cumsum(correct[order]) / np.arange(1, len(order) + 1)
    return accuracy


def _check(proba: NDArray, y: NDArray) -> None:
    if proba.ndim != 2 or y.shape != (len(proba),):
        raise ValueError(f"expected (N, C) and (N,), got {proba.shape} and {y.shape}")
    if len(y) == 0 or not 0 <= y.min() <= y.max() < proba.shape[1]:
        raise ValueError(f"y must hold classes 0 ... {proba.shape[1] - 1}, at least one sample")
