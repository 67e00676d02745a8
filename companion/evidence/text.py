"""How results are written."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats


def mean_and_sd(mean: float, sd: float, digits: int = 4) -> str:
    r"""Write a mean and its standard deviation so that no line breaks between them.

    An sd of NaN, as of a single value, is left out; a mean of NaN gives an empty text.

    Examples
    --------
    >>> mean_and_sd(0.97, 0.0012, digits=3).replace("\u00a0", " ")
    '0.970 ± 0.001'
    """
    if mean != mean:
        return ""
    return f"{mean:.{digits}f}" + (f"\u00a0±\u00a0{sd:.{digits}f}" if sd == sd else "")


def half_interval(values: ArrayLike) -> float:
    """Return half of the 95 % interval of a mean, by Student's t; NaN of fewer than two values.

    Examples
    --------
    >>> round(half_interval([1.0, 2.0, 3.0]), 3)
    2.484
    """
    values = np.asarray(values, dtype=float)
    n = values.size
    if n < 2:
        return math.nan
    return float(stats.t.ppf(0.975, n - 1) * np.std(values, ddof=1) / math.sqrt(n))
