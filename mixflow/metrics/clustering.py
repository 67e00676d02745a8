"""How components match classes: accuracy under the best matching, and kinds of failure.

For the adjusted Rand index and normalised mutual information take scikit-learn's
``adjusted_rand_score`` and ``normalized_mutual_info_score``.
"""

from __future__ import annotations

import numbers
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

NOISE = -1  # what HDBSCAN calls a point that it leaves out


@dataclass(frozen=True)
class Failures:
    """What went wrong with a clustering whose classes are known.

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


def contingency_table(
    y: ArrayLike, component: ArrayLike, *, n_components: int | None = None
) -> pd.DataFrame:
    """Count the points of each class in each component.

    Parameters
    ----------
    y
        Class of each point, (N,); -1, which marks an unlabelled point, is refused.
    component
        Component of each point, (N,), whole numbers from 0; -1 for none (HDBSCAN's noise).
    n_components
        K; the largest component found, plus one, unless given. Components without a point
        get a column too.

    Returns
    -------
    pandas.DataFrame
        Counts; a line per class in sorted order, columns 0 ... K - 1, and -1 in front if
        some points belong to no component.

    Raises
    ------
    ValueError
        Empty or unequal lengths, a label of -1, components that are not whole numbers in
        -1 ... K - 1.

    Examples
    --------
    >>> contingency_table(["a", "a", "b"], [1, 1, 2]).to_numpy().tolist()
    [[0, 2, 0], [0, 0, 1]]
    """
    classes, row = np.unique(_classes(y), return_inverse=True)
    column = _components(component, len(row))
    least = max(int(column.max()) + 1, 1)
    n = least if n_components is None else n_components
    if isinstance(n, bool) or not isinstance(n, numbers.Integral) or n < least:
        raise ValueError(
            f"n_components must be a whole number of at least {least}, one more than the "
            f"largest component, got {n_components!r}"
        )
    counts = np.zeros((len(classes), n + 1), np.int64)
    np.add.at(counts, (row, column + 1), 1)
    table = pd.DataFrame(
        counts,
        index=pd.Index(classes, name="class"),
        columns=pd.RangeIndex(NOISE, n, name="component"),
    )
    return table if counts[:, 0].any() else table.drop(columns=NOISE)


def best_matching(table: pd.DataFrame) -> dict[int, int]:
    """Match components and classes one to one so that most points agree.

    Parameters
    ----------
    table
        Of :func:`contingency_table`.

    Returns
    -------
    dict
        Component -> position of its class among the lines. With more components than
        classes some components are left out, with fewer some classes.
    """
    counts = table.drop(columns=NOISE, errors="ignore")
    rows, columns = linear_sum_assignment(counts.to_numpy(), maximize=True)
    return {int(counts.columns[c]): int(r) for r, c in zip(rows, columns, strict=True)}


def matched_accuracy(y: ArrayLike, component: ArrayLike) -> float:
    """Return the accuracy under the best one-to-one matching of components and classes.

    Points of a component without a class, of a class without a component, and of no
    component at all (-1) count as wrong.

    Parameters
    ----------
    y, component
        As for :func:`contingency_table`.

    Returns
    -------
    float
        Share of all points, in [0, 1].

    Raises
    ------
    ValueError
        As :func:`contingency_table`: score labelled points only.

    Examples
    --------
    >>> matched_accuracy([0, 0, 0, 1, 1], [2, 2, 1, 0, 0])
    0.8
    """
    table = contingency_table(y, component)
    right = sum(table[c].iloc[row] for c, row in best_matching(table).items())
    return float(right / table.to_numpy().sum())


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
        Another number of dimensions, no points, values that are not finite, or a share
        outside (0, 1].

    Examples
    --------
    >>> components_in_use([0, 0, 2, 2]).tolist()
    [0, 2]
    """
    if not 0 < min_share <= 1:
        raise ValueError(f"min_share must lie in (0, 1], got {min_share!r}")
    values = np.asarray(responsibilities_or_labels)
    if values.ndim == 2 and len(values):
        if not np.isfinite(values).all():
            raise ValueError("responsibilities hold NaN or infinity")
        shares = values.mean(axis=0)
    elif values.ndim == 1:
        components = _components(values, len(values))
        shares = np.bincount(components + 1)[1:] / len(components)
    else:
        raise ValueError(
            f"expected responsibilities (N, K) or labels (N,) with N >= 1, got {values.shape}"
        )
    return np.flatnonzero(shares >= min_share)


def failures(
    y: ArrayLike,
    component: ArrayLike,
    *,
    n_components: int | None = None,
    min_share: float = 0.05,
    dead_share: float = 0.01,
) -> Failures:
    """Say whether classes are cut or shared and whether a component is dead.

    Parameters
    ----------
    y, component, n_components
        As for :func:`contingency_table`; give `n_components`, or a last component without
        any point goes unnoticed.
    min_share
        A component holds a part of a class if it has more than this share of it.
    dead_share
        A component is dead if it has less than this share of all points.

    Raises
    ------
    ValueError
        As :func:`contingency_table`, and for shares outside (0, 1).

    Examples
    --------
    >>> failures([0, 0, 1, 1], [0, 1, 2, 2], n_components=3)
    Failures(class_cut=True, class_shared=False, dead=False)
    """
    for name, share in (("min_share", min_share), ("dead_share", dead_share)):
        if not 0 < share < 1:
            raise ValueError(f"{name} must lie in (0, 1), got {share!r}")
    table = contingency_table(y, component, n_components=n_components)
    sizes, n = table.sum(axis=1), table.to_numpy().sum()
    counts = table.drop(columns=NOISE, errors="ignore")
    holds = counts.div(sizes, axis=0).to_numpy() > min_share
    return Failures(
        class_cut=bool((holds.sum(axis=1) > 1).any()),
        class_shared=bool((holds.sum(axis=0) > 1).any()),
        dead=bool((counts.sum(axis=0) < dead_share * n).any()),
    )


def _classes(y: ArrayLike) -> NDArray:
    """Return class labels (N,), none of them -1."""
    labels = np.asarray(y)
    if labels.ndim != 1 or not len(labels):
        raise ValueError(f"y must have shape (N,) with N >= 1, got {labels.shape}")
    unlabelled = int((labels == -1).sum()) if labels.dtype.kind in "iuf" else 0
    if unlabelled:
        raise ValueError(
            f"y is -1, unlabelled, for {unlabelled} of {len(labels)} points; "
            "score the labelled points, or give the true classes of all"
        )
    return labels


def _components(component: ArrayLike, n: int) -> NDArray[np.int64]:
    """Return components (n,) as integers of at least -1."""
    components = np.asarray(component)
    if components.shape != (n,) or not n:
        raise ValueError(
            f"component must hold one whole number for each of {n} points, got shape "
            f"{components.shape}"
        )
    if components.dtype.kind not in "iu" or components.min() < NOISE:
        raise ValueError(
            f"components must be whole numbers >= 0, or -1 for none, got dtype "
            f"{components.dtype} and least value {components.min()!r}"
        )
    return components.astype(np.int64)
