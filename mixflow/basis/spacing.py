"""How far apart the values of rounded data lie."""

from __future__ import annotations

import numpy as np

SAMPLES = 4096  # values that are looked at
TIMES = 3  # rounded data come so often each, on average
SAME = 1e-9  # of the range: values that differ by less are one


def distinct(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct values of (N,) in order, up to rounding errors, and their counts."""
    values, counts = np.unique(x, return_counts=True)
    with np.errstate(over="ignore"):
        new = np.diff(values, prepend=-np.inf) > SAME * (values[-1] - values[0])
    return values[new], np.add.reduceat(counts, np.flatnonzero(new))


def spacings(x: np.ndarray) -> np.ndarray:
    """Return the usual distance of neighbouring values, (D,), 0 where values do not recur.

    Parameters
    ----------
    x
        Points (N, D). So many of them are looked at that rounded data show.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(1000, 2))
    >>> x[:, 1] = x[:, 1].round(1)
    >>> spacings(x).round(6).tolist()
    [0.0, 0.1]
    """
    some = x[:: max(1, len(x) // SAMPLES)]
    return np.array([_spacing(column) for column in some.T])


def _spacing(x: np.ndarray) -> float:
    values, counts = distinct(x)
    if len(values) < 2 or len(values) * TIMES > len(x):
        return 0.0
    return float(np.median(np.repeat(np.diff(values), counts[:-1])))
