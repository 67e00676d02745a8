"""How far a measured number may be from the one that is meant: confidence intervals."""

from __future__ import annotations

import math
from typing import NamedTuple

from numpy.typing import ArrayLike
from scipy.special import betaincinv, stdtrit

from mixflow.validation import as_real, check_between, check_whole


class Interval(NamedTuple):
    """The two ends of an interval, in the unit of what was measured."""

    low: float
    high: float


def student_t_interval(values: ArrayLike, *, confidence: float = 0.95) -> Interval:
    r"""Return the interval of a mean over seeds, :math:`\bar x \pm t_{n-1}\, s / \sqrt n`.

    Parameters
    ----------
    values
        One number for each seed, or other independent repetition, (n,), n >= 2.
    confidence
        Share of such intervals that hold the true mean, in (0, 1).

    Returns
    -------
    Interval
        ``low`` and ``high``, in the unit of the values; narrower says more.

    Raises
    ------
    ValueError
        Fewer than two values, which have no spread; masked values, NaN or infinity; a confidence
        outside (0, 1).

    Notes
    -----
    Student, https://doi.org/10.2307/2331554. s has the divisor n - 1. Exact for normal values.
    Seeds share data: the interval is of the training, not of the choice of the samples.

    Examples
    --------
    >>> low, high = student_t_interval([1.0, 2.0, 3.0])
    >>> round(low, 3), round(high, 3)
    (-0.484, 4.484)
    """
    x = as_real(values, "values", "n", at_least=2)
    check_between("confidence", confidence, 0, 1)
    n, mean = len(x), float(x.mean())
    half = float(stdtrit(n - 1, (1 + confidence) / 2) * x.std(ddof=1) / math.sqrt(n))
    return Interval(mean - half, mean + half)


def binomial_interval(successes: int, n: int, *, confidence: float = 0.95) -> Interval:
    """Return the interval of a share, such as an accuracy on n test samples.

    Parameters
    ----------
    successes
        How many of them were right, 0 ... n.
    n
        Independent samples, 1 or more.
    confidence
        At least this share of such intervals hold the true share, in (0, 1).

    Returns
    -------
    Interval
        ``low`` and ``high``, shares in [0, 1]; narrower says more.

    Raises
    ------
    ValueError
        Counts that are not whole numbers in their range, a confidence outside (0, 1).

    Notes
    -----
    C. J. Clopper, E. S. Pearson, https://doi.org/10.1093/biomet/26.4.404: exact, so for few
    samples wider than needed. It is of the choice of the samples, not of the training.

    Examples
    --------
    >>> low, high = binomial_interval(95, 100)
    >>> round(low, 3), round(high, 3)
    (0.887, 0.984)
    """
    check_whole("n", n, 1)
    check_whole("successes", successes, 0, n)
    check_between("confidence", confidence, 0, 1)
    tail = (1 - confidence) / 2
    low = betaincinv(successes, n - successes + 1, tail) if successes else 0.0
    high = betaincinv(successes + 1, n - successes, 1 - tail) if successes < n else 1.0
    return Interval(float(low), float(high))
