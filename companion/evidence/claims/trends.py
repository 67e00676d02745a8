"""Tests of trends: whether a measure rises or falls from level to level, or along a curve."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from companion.evidence.claims.statistics import DRAWS, SEED, UNTOLD, Floats, Test, all_of
from companion.evidence.estimates import LEVEL, holm

MOST_LEVELS = 6  # up to so many levels, all orders are looked at


def trend(blocks: Sequence[ArrayLike], rises: Sequence[bool], flat: bool = False) -> Test:
    """Test whether measures rise, or fall, from level to level: Page's test by permutation.

    Parameters
    ----------
    blocks
        One (M, L) array a seed: M measures at L levels, in their order.
    rises
        For each measure whether the claim is that it rises.
    flat
        Whether some measure is known not to change at all.

    Returns
    -------
    Test
        Its statistic is the least of the M mean rank correlations, in the claimed direction. Under
        the null the levels of a seed are in random order, the same for all of its measures.
    """
    arrays = [np.atleast_2d(np.asarray(block, dtype=float)) for block in blocks]
    arrays = [block for block in arrays if block.shape[1] > 2]
    if not arrays:
        return UNTOLD
    signs = np.where(rises, 1.0, -1.0)
    ranks = [_ranks(signs[:, None] * block) for block in arrays]
    found = np.mean([_correlations(r, _orders(r.shape[1])[:1]) for r in ranks], axis=0)[0]
    rng = np.random.default_rng(SEED)
    null = np.mean([_shuffled(r, rng, len(ranks) == 1) for r in ranks], axis=0)
    slack = 1e-9
    p, against = _share(null >= found - slack), _share(null <= found + slack)
    passes = np.stack([_upper_share(column) for column in null.T], 1) <= LEVEL
    corrected = holm(against.tolist())
    return Test(
        statistic=float(found.min()),
        threshold=float(max(_critical(column) for column in null.T)),
        n=len(arrays),
        p=float(p.max()),
        against=float(min(corrected)),
        chance=float(passes.all(1).mean()),
        null="every seed's levels in random order",
        flat=flat,
    )


def _share(extreme: NDArray[np.bool_]) -> Floats:
    """Return the share of orders; of drawn ones with the found one among them, never 0."""
    drawn = len(extreme) >= DRAWS - 1
    out: Floats = (extreme.sum(0) + drawn) / (len(extreme) + drawn)
    return out


def falling(curves: Sequence[tuple[float, int]]) -> Test:
    """Test whether every curve falls, from its rank correlation with time and its length."""
    if not curves:
        return UNTOLD
    return replace(all_of([_falling(*curve) for curve in curves]), n=len(curves))


def _falling(correlation: float, n_points: int) -> Test:
    ranks = _ranks(np.arange(n_points, dtype=float)[None])
    null = _correlations(ranks, _orders(n_points))[:, 0]
    return Test(
        statistic=correlation,
        threshold=-_critical(null),
        n=1,
        p=float((null <= correlation + 1e-9).mean()),
        against=float((null >= correlation - 1e-9).mean()),
        chance=float((_upper_share(null) <= LEVEL).mean()),
        null="the points of a curve in random order",
    )


def _ranks(block: Floats) -> Floats:
    """Return ranks within rows, centred and scaled so that a product is a rank correlation."""
    smaller = (block[:, None, :] < block[:, :, None]).sum(2)
    equal = (block[:, None, :] == block[:, :, None]).sum(2)
    ranks = smaller + (equal - 1) / 2
    centred: Floats = ranks - ranks.mean(1, keepdims=True)
    norm = np.linalg.norm(centred, axis=1, keepdims=True)
    return centred / np.where(norm > 0, norm, 1.0)


@cache
def _orders(n_levels: int) -> NDArray[np.int64]:
    """Return orders of the levels, the given one first: all, or as many as are drawn."""
    if n_levels <= MOST_LEVELS:
        return np.array(list(itertools.permutations(range(n_levels))))
    rng = np.random.default_rng(SEED)
    drawn = [rng.permutation(n_levels) for _ in range(DRAWS - 1)]
    return np.array([np.arange(n_levels), *drawn])


def _correlations(ranks: Floats, orders: NDArray[np.int64]) -> Floats:
    """Return the rank correlation of every measure with the level, by order: (orders, M)."""
    level = np.arange(ranks.shape[1]) - (ranks.shape[1] - 1) / 2
    level /= np.linalg.norm(level)
    out: Floats = ranks[:, orders].transpose(1, 0, 2) @ level
    return out


def _shuffled(ranks: Floats, rng: np.random.Generator, single: bool) -> Floats:
    """Return rank correlations under the null; of a single seed those of all orders, once each."""
    every = _correlations(ranks, _orders(ranks.shape[1]))
    return every if single else every[rng.integers(len(every), size=DRAWS)]


def _upper_share(values: Floats) -> Floats:
    """Return for each value the share of values that are as large or larger."""
    order = np.sort(values)
    out: Floats = 1 - np.searchsorted(order, values - 1e-9) / len(values)
    return out


def _critical(null: Floats) -> float:
    """Return the least value that passes, or NaN if none does."""
    passing = null[_upper_share(null) <= LEVEL]
    return float(passing.min()) if len(passing) else math.nan
