"""What the components of a mixture are used for: how many hold points, and whose points."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr

from mixflow.metrics.matching import as_components, contingency_table
from mixflow.validation import (
    Real,
    as_array,
    as_probabilities,
    check_between,
)


class Separation(NamedTuple):
    """What keeps components and classes from being one and the same; best is False throughout.

    Attributes
    ----------
    class_cut
        Some class is divided: two or more components hold more than a share of it each.
    class_shared
        Some component takes more than that share of two or more classes.
    dead
        Some component has next to no points.
    """

    class_cut: bool
    class_shared: bool
    dead: bool


def separation(
    y: ArrayLike,
    component: ArrayLike,
    *,
    n_components: int | None = None,
    min_share: float = 0.05,
    dead_share: float = 0.01,
) -> Separation:
    """Say whether classes are cut or shared and whether a component is dead.

    Parameters
    ----------
    y
        Class of each point, (N,), numbers or text.
    component
        Component of each point, (N,), whole numbers from 0; -1 for none.
    n_components
        K; give it, or a last component without any point goes unnoticed.
    min_share
        A component holds a part of a class if it has more than this share of it.
    dead_share
        A component is dead if it has less than this share of all points.

    Returns
    -------
    Separation
        ``class_cut``, ``class_shared`` and ``dead``, three truth values; none of them is best.

    Raises
    ------
    ValueError
        As :func:`mixflow.metrics.contingency_table`, and for shares outside (0, 1).

    Notes
    -----
    What VMoNF, https://arxiv.org/abs/2009.00585, shows in pictures of samples by component, as
    conditions on counts; the definition and its shares are ours.

    Examples
    --------
    >>> separation([0, 0, 1, 1], [0, 1, 2, 2], n_components=3)
    Separation(class_cut=True, class_shared=False, dead=False)
    """
    check_between("min_share", min_share, 0, 1)
    check_between("dead_share", dead_share, 0, 1)
    table = contingency_table(y, component, n_components=n_components)
    sizes = table.counts.sum(axis=1) + table.unassigned
    holds = table.counts / sizes[:, None] > min_share
    return Separation(
        class_cut=bool((holds.sum(axis=1) > 1).any()),
        class_shared=bool((holds.sum(axis=0) > 1).any()),
        dead=bool((table.counts.sum(axis=0) < dead_share * sizes.sum()).any()),
    )


def components_in_use(
    responsibilities_or_labels: ArrayLike, min_share: float = 0.01
) -> NDArray[np.int64]:
    """Return the components that hold at least a share of the points.

    Parameters
    ----------
    responsibilities_or_labels
        Responsibilities (N, K), whose mean over points is the share, or the component of
        each point, (N,); -1 is none.
    min_share
        In (0, 1].

    Returns
    -------
    numpy.ndarray
        Indices, sorted, int64; its length is how many there are.

    Raises
    ------
    ValueError
        Another number of dimensions, no points, masked values, responsibilities that do not sum
        to 1, components that are not whole numbers, a share outside (0, 1].

    Examples
    --------
    >>> components_in_use([0, 0, 2, 2]).tolist()
    [0, 2]
    """
    check_between("min_share", min_share, 0, np.nextafter(1, 2))
    name = "responsibilities_or_labels"
    values = as_array(responsibilities_or_labels, name)
    if values.ndim not in (1, 2):
        raise ValueError(f"{name} must have shape (N, K) or (N,), got {values.shape}")
    if values.ndim == 2:
        shares = as_probabilities(values, name, "N K").mean(axis=0)
    else:
        components = as_components(values, name=name)
        shares = np.bincount(components + 1)[1:] / len(components)
    return np.flatnonzero(shares >= min_share)


def effective_components(weights: ArrayLike) -> Any:
    r"""Return the effective number of components, :math:`\exp(-\sum_k \pi_k \log \pi_k)`.

    Parameters
    ----------
    weights
        Weights of the components, (..., K), lines that sum to 1: of a mixture, or of one for each
        class.

    Returns
    -------
    float or numpy.ndarray
        In [1, K], for each line, (...): K for equal weights, 1 where one component has all. A
        float for (K,).

    Raises
    ------
    ValueError
        Masked values, NaN, negative weights, lines that do not sum to 1.

    Notes
    -----
    The perplexity of the weights, in ecology the Hill number of order 1: M. O. Hill,
    https://doi.org/10.2307/1934352.

    Examples
    --------
    >>> round(effective_components([0.5, 0.5, 0.0]), 9)
    2.0
    """
    values = as_array(weights, "weights")
    axes = "".join(f"C{axis} " for axis in range(values.ndim - 1)) + "K"
    effective: Real = np.exp(entr(as_probabilities(values, "weights", axes)).sum(axis=-1))
    return effective if effective.ndim else float(effective)
