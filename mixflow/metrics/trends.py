"""Whether a number rises with another, such as K, by ranks alone."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mixflow.validation import as_real, refuse


class PageTrend(NamedTuple):
    """Page's L, and the probability of one as large without a trend."""

    statistic: float
    pvalue: float


def page_trend_test(values: ArrayLike) -> PageTrend:
    """Test whether values rise from one treatment to the next, in most blocks.

    Parameters
    ----------
    values
        A line for each block, such as a seed, and a column for each treatment, such as K, in the
        order in which they should rise: (n, m), n >= 2 and m >= 3.

    Returns
    -------
    PageTrend
        ``statistic``, L, the sum over treatments of rank sum times expected rank; and ``pvalue``,
        in [0, 1], the probability of such an L where the order is random; low speaks for a rise.

    Raises
    ------
    ValueError
        Fewer than two blocks or three treatments, masked values, NaN or infinity.

    Notes
    -----
    E. B. Page, https://doi.org/10.1080/01621459.1963.10500843; by SciPy's ``page_trend_test``,
    which computes exactly for few blocks and treatments, else by the normal limit.

    Examples
    --------
    >>> page_trend_test([[0.1, 0.2, 0.3], [0.2, 0.3, 0.5], [0.1, 0.4, 0.5]])
    PageTrend(statistic=42.0, pvalue=0.004629629629629629)
    """
    from scipy import stats  # slow to load

    table = as_real(values, "values", "n m", at_least=2)
    if table.shape[1] < 3:
        raise ValueError(f"values must have three columns or more, got {table.shape}")
    found = stats.page_trend_test(table)
    return PageTrend(float(found.statistic), float(found.pvalue))


def mean_rank_correlation(levels: ArrayLike, values: ArrayLike) -> float:
    """Return Spearman's rank correlation of levels and values, the mean over blocks.

    Parameters
    ----------
    levels
        What was varied, such as K, (m,), two or more that are not all equal.
    values
        A line for each block, such as a seed, and a column for each level: (n, m).

    Returns
    -------
    float
        In [-1, 1], without a unit: 1 where values rise with the levels in every block, -1 where
        they fall, near 0 without a trend.

    Raises
    ------
    ValueError
        Shapes that do not fit, masked values, NaN or infinity, levels or a block of values that
        are all equal and so have no order.

    Notes
    -----
    C. Spearman, https://doi.org/10.2307/1412159; by SciPy's ``spearmanr``.

    Examples
    --------
    >>> round(mean_rank_correlation([1, 2, 4], [[0.1, 0.2, 0.3], [0.1, 0.3, 0.2]]), 9)
    0.75
    """
    from scipy import stats

    x = as_real(levels, "levels", "m", at_least=2)
    table = as_real(values, "values", "n m")
    if table.shape[1] != len(x):
        raise ValueError(
            f"values must have a column for each of {len(x)} levels, got {table.shape}"
        )
    if np.ptp(x) == 0:
        raise ValueError("levels are all equal: they have no order")
    refuse(np.ptp(table, axis=1) == 0, "values", "blocks that are all equal, without an order,")
    return float(np.mean([stats.spearmanr(x, line).statistic for line in table]))
