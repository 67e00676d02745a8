"""Whether probabilities of classes can be taken at their word, and how to mend those that cannot.

The classes are the columns of the probabilities, 0 ... C - 1. For other labels give
``np.searchsorted(model.classes_, y)``.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from mixflow.metrics.classification import as_columns
from mixflow.validation import (
    Real,
    as_log_probabilities,
    as_probabilities,
    check_between,
    check_whole,
)

# Temperatures that are searched, as powers of e.
_LOG_TEMPERATURES = (-3.0, 5.0)


def reliability_diagram(proba: ArrayLike, y: ArrayLike, n_bins: int = 15) -> Real:
    """Compare the probability of the predicted class with how often it is right.

    Parameters
    ----------
    proba
        P(y given x), (N, C), lines that sum to 1.
    y
        Classes 0 ... C - 1, (N,).
    n_bins
        Bins of equal width over [0, 1].

    Returns
    -------
    numpy.ndarray
        Mean confidence, accuracy and number of samples of each bin, (n_bins, 3); the first two
        are NaN where a bin is empty. Of a calibrated classifier they differ by chance alone.

    Raises
    ------
    ValueError
        No sample, unequal lengths, masked values, NaN, lines that do not sum to 1, classes that
        are not whole numbers in 0 ... C - 1, fewer than one bin.

    Notes
    -----
    C. Guo et al., https://arxiv.org/abs/1706.04599, section 2. Bins are closed on the left, the
    last on both sides.

    Examples
    --------
    >>> proba = [[0.8, 0.2], [0.3, 0.7], [0.1, 0.9]]
    >>> reliability_diagram(proba, [0, 0, 1], n_bins=2).round(3).tolist()
    [[nan, nan, 0.0], [0.8, 0.667, 3.0]]
    """
    p = as_probabilities(proba, "proba")
    classes = as_columns(y, p)
    check_whole("n_bins", n_bins, 1)
    confidence, correct = p.max(1), p.argmax(1) == classes
    index = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    counts = np.bincount(index, minlength=n_bins)
    sums = [np.bincount(index, weights=w, minlength=n_bins) for w in (confidence, correct)]
    with np.errstate(invalid="ignore"):
        return np.stack([*(total / counts for total in sums), counts], axis=1)


def expected_calibration_error(proba: ArrayLike, y: ArrayLike, n_bins: int = 15) -> float:
    """Return the expected calibration error (ECE), the mean of |accuracy - confidence| over bins.

    Parameters
    ----------
    proba, y, n_bins
        As for :func:`reliability_diagram`; each bin counts as many times as it has samples.

    Returns
    -------
    float
        In [0, 1], lower is better. More bins or fewer samples give more: compare equal numbers of
        both.

    Raises
    ------
    ValueError
        As :func:`reliability_diagram`.

    Notes
    -----
    C. Guo et al., https://arxiv.org/abs/1706.04599, section 2. Not a proper score: a classifier
    that gives every sample the shares of the classes has 0.

    Examples
    --------
    >>> round(expected_calibration_error([[0.8, 0.2], [0.3, 0.7]], [0, 0], n_bins=2), 9)
    0.25
    """
    bins = reliability_diagram(proba, y, n_bins)
    confidence, accuracy, counts = bins[bins[:, 2] > 0].T
    return float((np.abs(accuracy - confidence) * counts).sum() / counts.sum())


def temperature_scaled(log_proba: ArrayLike, temperature: float) -> Real:
    r"""Return the log probabilities :math:`p^{1/T}`, normalised over the classes.

    Parameters
    ----------
    log_proba
        log P(y given x) in nats, (N, C); -inf is a probability of 0.
    temperature
        T, greater than 0; above 1 makes a classifier less sure, below 1 surer.

    Returns
    -------
    numpy.ndarray
        Log probabilities in nats, (N, C). The predicted class stays the same.

    Raises
    ------
    ValueError
        No sample, masked values, NaN, logarithms above 0, a line that has no possible class, a
        temperature that is not finite and above 0.

    Notes
    -----
    C. Guo et al., https://arxiv.org/abs/1706.04599, section 4.2.

    Examples
    --------
    >>> np.exp(temperature_scaled(np.log([[0.8, 0.2]]), 2.0)).round(3).tolist()
    [[0.667, 0.333]]
    """
    check_between("temperature", temperature, 0, math.inf)
    return _scaled(as_log_probabilities(log_proba, "log_proba"), temperature)


def best_temperature(log_proba: ArrayLike, y: ArrayLike) -> float:
    """Return the temperature of the least log loss, on samples that were not trained on.

    Parameters
    ----------
    log_proba
        log P(y given x) in nats, (N, C); -inf is a probability of 0, and may not be the class.
    y
        Classes 0 ... C - 1, (N,).

    Returns
    -------
    float
        T for :func:`temperature_scaled`, from exp(-3) to exp(5): 1 says that the classifier is
        calibrated on average, above 1 that it is too sure, below 1 not sure enough.

    Raises
    ------
    ValueError
        As :func:`mixflow.metrics.log_loss`, and for a class that has a probability of 0.

    Notes
    -----
    C. Guo et al., https://arxiv.org/abs/1706.04599, section 4.2.

    Examples
    --------
    >>> log_proba = np.log([[0.99, 0.01], [0.99, 0.01], [0.99, 0.01], [0.99, 0.01]])
    >>> temperature = best_temperature(log_proba, [0, 0, 0, 1])
    >>> np.exp(temperature_scaled(log_proba, temperature))[0].round(3).tolist()
    [0.75, 0.25]
    """
    log_p = as_log_probabilities(log_proba, "log_proba")
    classes, rows = as_columns(y, log_p), np.arange(len(log_p))
    if log_p[rows, classes].min() == -math.inf:
        raise ValueError("log_proba is -inf for a sample's own class: no temperature mends that")

    def log_loss(log_temperature: float) -> float:
        return float(-_scaled(log_p, np.exp(log_temperature))[rows, classes].mean())

    return float(np.exp(minimize_scalar(log_loss, bounds=_LOG_TEMPERATURES).x))


def _scaled(log_proba: Real, temperature: float) -> Real:
    scaled: Real = log_softmax(log_proba / temperature, axis=1)
    return scaled
