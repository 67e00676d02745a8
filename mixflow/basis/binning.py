"""Binning on a uniform grid: the one pass over the data that the algorithms need.

A grid divides ``[low, high]`` of every feature into n cells of width r. The cell of a point
follows from one subtraction and one multiplication: nothing is searched. All features are
counted together, in chunks that stay in the processor's cache.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mixflow.basis.arrays import Array, blocks

CHUNK = 1 << 17  # points at a time; they and their cells fit into a second-level cache
CELLS = 1 << 17  # cells at a time, features times n
WIDTH = 1 << 13  # numbers in a row from which on NumPy's loops run at full speed
DEVICE_CHUNK = 1 << 26


def bin_counts(x: Array, low: Any, high: Any, n_components: int) -> tuple[Any, Any]:
    r"""Count the points in the n cells between ``low`` and ``high``, for every feature.

    Cell i is :math:`[low + i r, low + (i + 1) r)` with :math:`r = (high - low) / n`; the last
    one is closed. So the centre of a point's cell is the mean nearest to it.

    Parameters
    ----------
    x
        Points (N, D), an array or a tensor on any device; float32 is binned in float32.
    low, high
        Bounds, a number or (D,).
    n_components
        n, the number of cells.

    Returns
    -------
    counts
        (D, n) int64, of the kind of ``x``.
    outside
        Points below ``low`` and above ``high``, (D, 2) int64; no cell counts them.

    Raises
    ------
    ValueError
        If x is not (N, D), has NaN, or if ``low < high`` does not hold everywhere.

    Examples
    --------
    >>> import numpy as np
    >>> counts, outside = bin_counts(np.array([[0.1], [0.2], [1.0], [7.0]]), 0, 1, 4)
    >>> counts.tolist(), outside.tolist()
    ([[2, 0, 0, 1]], [[0, 1]])
    """
    if x.ndim != 2:
        raise ValueError(f"x must have the shape (N, D), got {tuple(x.shape)}")
    bounds = _bounds(low, high, x.shape[1])
    if isinstance(x, Tensor):
        x = x.detach()
        if x.device.type != "cpu":
            return count_on_device(x, *bounds, n_components)
        dtype = torch.float32 if x.dtype in (torch.float16, torch.bfloat16) else x.dtype
        counts, outside = _count(x.to(dtype).numpy(), *bounds, n_components)
        return torch.from_numpy(counts), torch.from_numpy(outside)
    return _count(np.asarray(x), *bounds, n_components)


def _bounds(low: Any, high: Any, n_features: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the bounds as (D,) float64."""
    both = [b.cpu().numpy() if isinstance(b, Tensor) else b for b in (low, high)]
    low, high = (np.broadcast_to(np.asarray(b, np.float64), (n_features,)) for b in both)
    with np.errstate(over="ignore", invalid="ignore"):
        wrong = np.flatnonzero(~(np.isfinite(high - low) & (low < high)))
    if len(wrong):
        d = wrong[0]
        raise ValueError(
            f"low < high, both finite, must hold for every feature; feature {d} has low={low[d]}, "
            f"high={high[d]} ({len(wrong)} such features)"
        )
    return low, high


def _count(x: np.ndarray, low: np.ndarray, high: np.ndarray, n: int) -> Any:
    n_features = x.shape[1]
    counts = np.empty((n_features, n), np.int64)
    outside = np.zeros((n_features, 2), np.int64)
    for part in blocks(n_features, n + 1, CELLS):
        counts[part], outside[part] = _count_block(x[:, part], low[part], high[part], n)
    return counts, outside


def _count_block(x: np.ndarray, low: np.ndarray, high: np.ndarray, n: int) -> Any:
    """Count the points of so few features that their cells fit into the cache."""
    d = x.shape[1]
    dtype = np.float32 if x.dtype in (np.float16, np.float32) else np.float64
    # One cell more than n per feature: for points on the upper bound, and outside.
    total = torch.zeros(d * (n + 1), dtype=torch.int64, device="cpu")
    outside = np.zeros((d, 2), np.int64)
    for points in wide(x):
        copies = points.shape[1] // d
        bounds = np.tile(low.astype(dtype), copies), np.tile(high.astype(dtype), copies)
        _add_counts(total, outside, points, bounds, n)
    return _fold(total.view(d, n + 1).numpy(), outside), outside


def wide(x: np.ndarray) -> list[np.ndarray]:
    """Lay rows of features side by side until NumPy's inner loops are long; and the rest."""
    copies = WIDTH // x.shape[1] if x.shape[1] > 1 else 1
    if copies < 2 or len(x) < copies or not x.flags.c_contiguous:
        return [x]
    even = len(x) - len(x) % copies
    return [x[:even].reshape(-1, copies * x.shape[1]), x[even:]]


def _add_counts(
    total: Tensor,
    outside: np.ndarray,
    x: np.ndarray,
    bounds: tuple[np.ndarray, np.ndarray],
    n: int,
) -> None:
    """Add the points (M, copies D) to the counts of D features, in place."""
    (low, high), d, width = bounds, len(outside), x.shape[1]
    kind = np.uint8 if len(total) < 256 else np.int16 if len(total) < 1 << 15 else np.int32
    offset = ((n + 1) * (np.arange(width) % d)).astype(kind)
    per_cell = low.dtype.type(n) / (high - low)
    rows = max(1, max(CHUNK, 4 * len(total)) // width)
    position = np.empty((min(rows, len(x)), width), low.dtype)
    cell = np.empty(position.shape, kind)
    for start in range(0, len(x), rows):
        points = x[start : start + rows]
        u, k = position[: len(points)], cell[: len(points)]
        with np.errstate(over="ignore", invalid="ignore"):  # infinite: outside
            np.subtract(points, low, out=u)
            np.multiply(u, per_cell, out=u)
        if not (u.min() >= 0 and u.max() <= n):
            outside += _set_aside(points, u, high, n).reshape(-1, d, 2).sum(axis=0)
        np.copyto(k, u, casting="unsafe")
        if d > 1:
            np.add(k, offset, out=k)
        # torch counts small whole numbers as they are; numpy would turn them into int64 first.
        total += torch.bincount(torch.from_numpy(k).view(-1), minlength=len(total))


def _set_aside(points: np.ndarray, u: np.ndarray, high: np.ndarray, n: int) -> np.ndarray:
    """Move positions u outside [0, n] into the extra cell; return how many, (D, 2)."""
    if np.isnan(points).any():
        raise ValueError("x has NaN; remove such points or fill them in first")
    # The upper bound itself may come out at a little more than n.
    below = np.less(u, 0)
    above = np.logical_and(np.greater(u, n), np.greater(points, high))
    np.minimum(u, n, out=u)
    u[below] = n
    return np.stack([below.sum(0), above.sum(0)], axis=1)


def _fold(total: Any, outside: Any) -> Any:
    """Give the last cell what lies on the upper bound: the extra cell less what is outside."""
    counts = total[:, :-1]
    counts[:, -1] += total[:, -1] - outside.sum(1)
    return counts


def count_on_device(x: Tensor, low: np.ndarray, high: np.ndarray, n: int) -> tuple[Tensor, Tensor]:
    """Do what ``bin_counts`` does with torch alone, where the points are.

    The counts are those of the CPU, bit for bit: both do the same two operations a point.
    """
    d = x.shape[1]
    x = x if x.is_floating_point() else x.double()
    dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
    bound = [torch.as_tensor(b, dtype=dtype, device=x.device) for b in (low, high)]
    per_cell = n / (bound[1] - bound[0])
    offset = (n + 1) * torch.arange(d, device=x.device)
    total = torch.zeros(d * (n + 1), dtype=torch.int64, device=x.device)
    outside = torch.zeros(d, 2, dtype=torch.int64, device=x.device)
    for rows in blocks(len(x), d, DEVICE_CHUNK):
        points = x[rows].to(dtype)
        if points.isnan().any():
            raise ValueError("x has NaN; remove such points or fill them in first")
        u = (points - bound[0]) * per_cell
        below, above = u < 0, (u > n) & (points > bound[1])
        outside += torch.stack([below.sum(0), above.sum(0)], dim=1)
        u.clamp_(0, n).masked_fill_(below, n)
        total += torch.bincount((u.long() + offset).flatten(), minlength=d * (n + 1))
    return _fold(total.view(d, n + 1), outside), outside
