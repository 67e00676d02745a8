"""Bounds of a grid from data: the range, or one that a few outliers do not move."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mixflow.basis.arrays import Array, blocks, floating, numpy_or_torch
from mixflow.basis.binning import CHUNK, wide

MARGIN = 0.2  # of the distance between the trimmed quantiles, added on both sides


def range_bounds(x: Array) -> tuple[Any, Any]:
    """Return the least and the greatest value of every feature: (N, D) -> (D,), (D,)."""
    if isinstance(x, Tensor) and x.device.type != "cpu":
        return x.amin(0), x.amax(0)
    values = x.detach().numpy() if isinstance(x, Tensor) else x
    ends = [_ends(part, values.shape[1]) for part in wide(values) if len(part)]
    low, high = np.min([e[0] for e in ends], axis=0), np.max([e[1] for e in ends], axis=0)
    return (torch.from_numpy(low), torch.from_numpy(high)) if isinstance(x, Tensor) else (low, high)


def _ends(x: np.ndarray, n_features: int) -> tuple[np.ndarray, np.ndarray]:
    """Return least and greatest of (M, copies D), in chunks: the data are read once, not twice."""
    low, high = x[0].copy(), x[0].copy()
    for rows in blocks(len(x), x.shape[1], CHUNK):
        np.minimum(low, x[rows].min(axis=0), out=low)
        np.maximum(high, x[rows].max(axis=0), out=high)
    return low.reshape(-1, n_features).min(0), high.reshape(-1, n_features).max(0)


def robust_bounds(x: Array, trim: float = 0.005) -> tuple[Any, Any]:
    """Return bounds that ignore the outermost points of every feature: (N, D) -> (D,), (D,).

    They reach a fifth of the way between the quantiles ``trim`` and ``1 - trim`` beyond these,
    and no further than the data: up to a share ``trim`` of outliers on a side has little
    effect, and a normal sample of some thousand points keeps nearly all of its range. One point
    on each side is always taken for a possible outlier.
    """
    low, high = range_bounds(x)
    share = _trimmed(trim, len(x))
    q = quantiles(x, [share, 1 - share])
    margin = MARGIN * (q[1] - q[0])
    if isinstance(q, Tensor):
        return torch.maximum(low, q[0] - margin), torch.minimum(high, q[1] + margin)
    return np.maximum(low, q[0] - margin), np.minimum(high, q[1] + margin)


@numpy_or_torch
def quantiles(x: Tensor, q: list[float]) -> Tensor:
    """Return quantiles of every feature, linearly interpolated: (N, D) -> (len(q), D)."""
    x = floating(x)
    out = []
    ordered = [x[:, part].sort(dim=0).values for part in blocks(x.shape[1], len(x), 1 << 24)]
    for share in q:
        position = share * (len(x) - 1)
        below = int(position)
        above = min(below + 1, len(x) - 1)
        parts = [torch.lerp(v[below], v[above], position - below) for v in ordered]
        out.append(torch.cat(parts))
    return torch.stack(out)


@numpy_or_torch
def bulk_share(counts: Tensor, trim: float = 0.005) -> Tensor:
    """Return the share of the data's range that :func:`robust_bounds` would keep, about, (D,).

    Read from counts (D, n), to the nearest cell.
    """
    parts = [_bulk(counts[rows], trim) for rows in blocks(len(counts), counts.shape[1], 1 << 16)]
    return torch.cat(parts)


def _bulk(counts: Tensor, trim: float) -> Tensor:
    total = counts.sum(1, keepdim=True)
    beyond = _trimmed(trim, int(total.max())) * total
    below = counts.cumsum(1)
    first = (below <= beyond).sum(1).double()
    last = (below < total - beyond).sum(1).double() + 1
    margin = MARGIN * (last - first)
    start, stop = (below <= 0).sum(1), (below < total).sum(1) + 1  # of the cells with points
    kept = torch.minimum(last + margin, stop) - torch.maximum(first - margin, start)
    return kept / (stop - start)


def _trimmed(trim: float, n_points: int) -> float:
    """Return the share to trim on a side: one point at least, a quarter at most."""
    return min(max(trim, 1 / max(n_points - 1, 1)), 0.25)
