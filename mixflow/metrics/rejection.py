"""Whether a classifier knows when it is wrong: its doubt, and accuracy without the doubtful."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from mixflow.validation import (
    Real,
    as_floats,
    as_log_probabilities,
    as_whole_numbers,
    check_shape,
    refuse,
)


def log_error_probability(log_proba: ArrayLike) -> Real:
    r"""Return the log probability that the predicted class is wrong, :math:`\log(1 - \max_c p_c)`.

    Parameters
    ----------
    log_proba
        log P(y given x) in nats, (N, C), of two classes or more; -inf is a probability of 0.

    Returns
    -------
    numpy.ndarray
        Nats, (N,), from -inf to log(1 - 1/C); low is sure. It ranks samples whose largest
        probability is 1 to the last digit of a double, as posteriors in high dimension are.

    Raises
    ------
    ValueError
        No sample, fewer than two classes, masked values, NaN, logarithms above 0, a line that has
        no possible class.

    Notes
    -----
    What C. K. Chow's rule, https://doi.org/10.1109/TIT.1970.1054406, rejects by, as a logarithm:
    the sum over the other classes, without the difference from 1.

    Examples
    --------
    >>> log_error_probability([[0.0, -50.0], [0.0, -70.0]]).tolist()
    [-50.0, -70.0]
    """
    log_p = as_log_probabilities(log_proba, "log_proba")
    if log_p.shape[1] < 2:
        raise ValueError(f"log_proba must have two classes or more, got {log_p.shape}")
    others = np.sort(log_p, axis=1)[:, :-1]
    error: Real = logsumexp(others, axis=1)
    return error


def accuracy_by_coverage(confidence: ArrayLike, correct: ArrayLike) -> Real:
    """Return the accuracy on the n most confident samples, for n = 1 ... N.

    Parameters
    ----------
    confidence
        Any score that is high for sure, (N,); infinite ones are allowed. For posteriors take minus
        :func:`log_error_probability`.
    correct
        Whether the sample's class was right, (N,), truth values or 0 and 1.

    Returns
    -------
    numpy.ndarray
        Shares in [0, 1], (N,), against the coverage n / N; higher is better. The last is the
        accuracy; the mean, in [0, 1], is 1 minus the area under the risk-coverage curve. Samples
        of equal confidence keep their order.

    Raises
    ------
    ValueError
        No sample, unequal lengths, masked values, NaN, or what is neither right nor wrong.

    Notes
    -----
    Y. Geifman, R. El-Yaniv, https://arxiv.org/abs/1705.08500, section 2.

    Examples
    --------
    >>> accuracy_by_coverage([0.6, 0.9], [False, True]).tolist()
    [1.0, 0.5]
    """
    score = as_floats(confidence, "confidence")
    check_shape(score, "confidence", "N")
    refuse(np.isnan(score), "confidence", "NaN")
    right = as_whole_numbers(correct, "correct", len(score), 0, 1)
    order = np.argsort(-score, kind="stable")
    accuracy: Real = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    return accuracy
