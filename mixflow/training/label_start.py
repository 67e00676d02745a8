"""Responsibilities to start from when some samples have labels."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.neighbors import KNeighborsRegressor, NearestNeighbors
from sklearn.semi_supervised import LabelSpreading
from torch import Tensor, from_numpy

from mixflow.modes import without

# Label spreading solves over a graph of all samples: of so many at most.
SPREAD_SAMPLES = 3000


def start_from_labels(x: np.ndarray, labels: np.ndarray, start: Tensor | None, k: int) -> Tensor:
    """Return responsibilities that agree with the labels.

    Parameters
    ----------
    x
        Samples, shape (N, D).
    labels
        Component of every sample (N,), int; -1 where it is unknown.
    start
        Responsibilities (N, K) found without labels, whose components may come in any order;
        None spreads the labels along the samples' neighbourhoods, which needs a label of
        every component.
    k
        K.

    Returns
    -------
    Tensor
        Shape (N, K), float64; labelled samples belong to their component.
    """
    known = labels >= 0
    if start is None:
        r = _spread(x, labels, k)
    else:
        votes = start.numpy()[known].T @ np.eye(k)[labels[known]]
        r = np.empty((len(x), k))
        cluster, component = linear_sum_assignment(votes, maximize=True)
        r[:, component] = start.numpy()[:, cluster]
    r[known] = np.eye(k)[labels[known]]
    return from_numpy(r)


def _spread(x: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    known = labels >= 0
    if known.all():
        return np.asarray(np.eye(k)[labels])
    if len(x) > SPREAD_SAMPLES:
        # On a part, all labels in it; then every sample asks its neighbours there.
        free = np.flatnonzero(~known)
        some = free[:: max(1, len(free) // max(1, SPREAD_SAMPLES - int(known.sum())))]
        rows = np.concatenate([np.flatnonzero(known), some])[:SPREAD_SAMPLES]
        near = KNeighborsRegressor(min(5, len(rows)))
        return np.asarray(near.fit(x[rows], _spread(x[rows], labels[rows], k)).predict(x))
    # alpha near 1 lets labels travel far, along a ring; at scikit-learn's 0.2 the nearest
    # labels decide, and a fifth of the circles' samples start on the wrong ring.
    nearest = NearestNeighbors(n_neighbors=min(10, len(x) - 1)).fit(x).kneighbors()[0]
    # Repeated samples are no distance apart.
    width = max(0.7 * np.median(nearest[:, -1]), 1e-3 * x.std())
    model = LabelSpreading(gamma=1 / (2 * width**2), alpha=0.99, max_iter=1000)
    with without(RuntimeWarning):  # samples that no label reaches: 0/0, mended below
        model.fit(x, labels)
    r = np.zeros((len(x), k))
    r[:, model.classes_.astype(int)] = model.label_distributions_
    unreached = ~np.isfinite(r).all(1) | (r.sum(1) <= 0)
    r[unreached] = 1 / k
    return r
