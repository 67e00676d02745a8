"""What the Satimage data are: overlapping windows of one scene, in training and test alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from mixflow.datasets.split import Split


@dataclass(frozen=True)
class Windows:
    """How 3 x 3 windows of pixels overlap; two do when 2 x 3 or 3 x 2 of them are the same.

    Attributes
    ----------
    n_pieces, largest_piece
        Number of connected pieces of training and test windows together, and the share of
        windows in the largest.
    test_beside_train
        Share of the test windows that overlap a training window.
    same_class
        Share of those overlapping pairs whose classes agree; NaN where there are none.
    train_neighbours
        Training windows of its own class that a training window overlaps, on average.
    vote_accuracy
        Share of the test windows beside a training window whose class is the most frequent
        among the training windows that they overlap; NaN where there are none. No pixel's
        value is used.
    """

    n_pieces: int
    largest_piece: float
    test_beside_train: float
    same_class: float
    train_neighbours: float
    vote_accuracy: float


def windows(split: Split) -> Windows:
    """Find the overlaps in Satimage: rows of 36 values, nine pixels of four bands."""
    x = np.concatenate([split.x_train, split.x_test])
    y, n = np.concatenate([split.y_train, split.y_test]), len(split.x_train)
    graph = _overlaps(x)
    _, piece = connected_components(graph, directed=False)
    across = coo_array(graph[n:, :n])
    within = coo_array(graph[:n, :n])
    own = y[:n][within.coords[0]] == y[:n][within.coords[1]]
    agree = y[n:][across.coords[0]] == y[:n][across.coords[1]]
    beside = np.unique(across.coords[0])
    votes = (graph[n:, :n] @ np.eye(split.n_classes)[y[:n]])[beside].argmax(1)
    right = votes == y[n:][beside]
    return Windows(
        n_pieces=int(piece.max()) + 1,
        largest_piece=float(np.bincount(piece).max() / len(x)),
        test_beside_train=len(beside) / (len(x) - n),
        same_class=float(agree.mean()) if len(agree) else float("nan"),
        train_neighbours=float(own.sum() / n),
        vote_accuracy=float(right.mean()) if len(right) else float("nan"),
    )


def _overlaps(x: np.ndarray) -> csr_array:
    """Return which windows overlap, (N, N), the diagonal empty."""
    image = np.ascontiguousarray(x).reshape(-1, 3, 3, 4)
    # Columns are never matched with rows: the same values may stand in both.
    halves = {"columns": (image[:, :, :2], image[:, :, 1:]), "rows": (image[:, :2], image[:, 1:])}
    blocks: dict[tuple[str, bytes], int] = {}
    rows, columns = [], []
    for kind, parts in halves.items():
        for part in parts:
            for row, block in enumerate(part):
                rows.append(row)
                columns.append(blocks.setdefault((kind, block.tobytes()), len(blocks)))
    ones = np.ones(len(rows), dtype=np.int32)
    holds = csr_array((ones, (rows, columns)), shape=(len(x), len(blocks)))
    graph = csr_array(holds @ holds.T)
    graph.setdiag(0)
    graph.eliminate_zeros()
    return graph
