"""How components match classes: their counts, and agreement that does not need their names to.

Every function takes the true class and the component of each point, and scores points whose class
is known: -1, which marks an unlabelled point in scikit-learn's conventions, is refused.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

from mixflow.validation import as_labels, as_real, as_whole_numbers, check_whole

NOISE = -1  # what HDBSCAN calls a point that it leaves out


class ContingencyTable(NamedTuple):
    """How many points of each class each component has.

    Attributes
    ----------
    counts
        Points of a class (lines) in a component (columns 0 ... K - 1), (C, K) int64.
    unassigned
        Points of each class that belong to no component, (C,) int64.
    classes
        The classes that the lines stand for, sorted, (C,).
    """

    counts: NDArray[np.int64]
    unassigned: NDArray[np.int64]
    classes: NDArray


def contingency_table(
    y: ArrayLike, component: ArrayLike, *, n_components: int | None = None
) -> ContingencyTable:
    """Count the points of each class in each component.

    Parameters
    ----------
    y
        Class of each point, (N,), numbers or text.
    component
        Component of each point, (N,), whole numbers from 0; -1 for none (HDBSCAN's noise).
    n_components
        K; the largest component found, plus one, unless given. Components without a point
        get a column too.

    Returns
    -------
    ContingencyTable
        Counts (C, K), those of no component (C,), and the classes (C,).

    Raises
    ------
    ValueError
        Empty, masked or unequal lengths, classes that are -1, missing or of several kinds,
        components that are not whole numbers in -1 ... K - 1.

    Examples
    --------
    >>> contingency_table(["a", "a", "b"], [1, 1, 2]).counts.tolist()
    [[0, 2, 0], [0, 0, 1]]
    """
    classes, row = np.unique(as_classes(y), return_inverse=True)
    column = as_components(component, len(row))
    least = max(int(column.max()) + 1, 1)
    n = least if n_components is None else n_components
    check_whole("n_components", n, least)
    counts = np.zeros((len(classes), n + 1), np.int64)
    np.add.at(counts, (row, column + 1), 1)
    return ContingencyTable(counts[:, 1:], counts[:, 0], classes)


def best_matching(counts: ArrayLike) -> dict[int, int]:
    """Match components and classes one to one so that most points agree.

    Parameters
    ----------
    counts
        Points of each class in each component, (C, K), as of :func:`contingency_table`.

    Returns
    -------
    dict
        Component -> number of its class's line. With more components than classes some components
        are left out, with fewer some classes.

    Raises
    ------
    ValueError
        Not a matrix of finite numbers, masked values.

    Notes
    -----
    The assignment problem, solved exactly by :func:`scipy.optimize.linear_sum_assignment`; taking
    the largest count of every component in turn may miss the best.

    Examples
    --------
    >>> best_matching([[10, 9], [8, 0]])
    {1: 0, 0: 1}
    """
    rows, columns = linear_sum_assignment(as_real(counts, "counts", "C K"), maximize=True)
    return {int(c): int(r) for r, c in zip(rows, columns, strict=True)}


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
        Share of all points, in [0, 1]; higher is better.

    Raises
    ------
    ValueError
        As :func:`contingency_table`: score labelled points only.

    Notes
    -----
    The clustering accuracy of J. Xie et al., https://arxiv.org/abs/1511.06335. Chance alone gives
    more than 0: one component that has all points scores the share of the largest class.

    Examples
    --------
    >>> matched_accuracy([0, 0, 0, 1, 1], [2, 2, 1, 0, 0])
    0.8
    """
    table = contingency_table(y, component)
    right = sum(int(table.counts[row, c]) for c, row in best_matching(table.counts).items())
    return right / int(table.counts.sum() + table.unassigned.sum())


def adjusted_rand_index(y: ArrayLike, component: ArrayLike) -> float:
    """Return the adjusted Rand index (ARI): the share of pairs on which both agree, above chance.

    Parameters
    ----------
    y, component
        As for :func:`contingency_table`; points of no component (-1) count as one more component.

    Returns
    -------
    float
        In [-0.5, 1]; higher is better: 1 for the same partition, 0 is expected by chance.

    Raises
    ------
    ValueError
        As :func:`contingency_table`.

    Notes
    -----
    L. Hubert, P. Arabie, https://doi.org/10.1007/BF01908075; by scikit-learn's
    ``adjusted_rand_score``.

    Examples
    --------
    >>> adjusted_rand_index(["a", "a", "b"], [1, 1, 0])
    1.0
    """
    from sklearn.metrics import adjusted_rand_score

    classes = as_classes(y)
    return float(adjusted_rand_score(classes, as_components(component, len(classes))))


def normalized_mutual_information(y: ArrayLike, component: ArrayLike) -> float:
    """Return the mutual information of class and component over the mean of their entropies (NMI).

    Parameters
    ----------
    y, component
        As for :func:`contingency_table`; points of no component (-1) count as one more component.

    Returns
    -------
    float
        In [0, 1], without a unit; higher is better: 1 for the same partition, 0 where one says
        nothing of the other. Not adjusted for chance: many components give more than 0.

    Raises
    ------
    ValueError
        As :func:`contingency_table`.

    Notes
    -----
    N. X. Vinh et al., https://jmlr.org/papers/v11/vinh10a.html; by scikit-learn's
    ``normalized_mutual_info_score``.

    Examples
    --------
    >>> normalized_mutual_information(["a", "a", "b"], [1, 1, 0])
    1.0
    """
    from sklearn.metrics import normalized_mutual_info_score

    classes = as_classes(y)
    return float(normalized_mutual_info_score(classes, as_components(component, len(classes))))


def as_classes(y: ArrayLike) -> NDArray:
    """Return class labels (N,), none of them -1.

    Raises
    ------
    ValueError
        A label of -1, and what is no array of labels.
    """
    classes = as_labels(y, "y")
    if classes.dtype.kind in "if":
        unlabelled = int((classes == -1).sum())
        if unlabelled:
            raise ValueError(
                f"y is -1, unlabelled, for {unlabelled} of {len(classes)} points; "
                "score the labelled points, or give the true classes of all"
            )
    return classes


def as_components(
    component: ArrayLike, n: int | None = None, name: str = "component"
) -> NDArray[np.int64]:
    """Return components (N,) as integers of at least -1, which stands for none.

    Raises
    ------
    ValueError
        Other numbers, text, another length.
    """
    components = as_whole_numbers(component, name, n, NOISE)
    return components.astype(np.int64)
