"""Coordinates in which densities are fitted: standard units, and marginals made normal."""

from __future__ import annotations

import torch
from torch import Tensor

from mixflow.flows.marginals import Marginals, normal_quantiles, through

# Values farther out count as this far in a fit, in standard units: their squares are summed.
FARTHEST = 1e8
# Half the box of the splines, and where their knots may lie, in standard units.
BOUND, FARTHEST_KNOT = 8.0, 6.5
# Samples between two knots at least; most bins; least distance of knots in standard units.
PER_BIN, BINS, LEAST = 25, 32, 0.03
# Rows with a value beyond, in standard units, are strays where they are no more than this share.
STRAY, FEW = 30.0, 0.005


def standardised(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return features of mean 0 and variance 1, whatever a few rows hold: z, shift, scale.

    Mean and sd are of values that are moved to at most twice the range of the middle nine tenths
    beyond it. Where those are all the same, the scale is the median distance from them of the
    other values; that of a constant is its size.

    Raises
    ------
    ValueError
        If values are too large or too small to be squared.
    """
    last = len(x) - 1
    order, first = x.sort(0).values, -(-last // 20)
    low, high, middle = order[first], order[last - first], order[last // 2]
    reach = 2 * (high - low)
    near = x.clamp(low - reach, high + reach)
    distance = (x - middle).abs()
    others = torch.where(distance > 0, distance, torch.nan).nanmedian(0).values
    others = torch.where(others.isnan(), middle.abs(), others)
    others = torch.where(others > 0, others, 1.0)
    shift = torch.where(reach > 0, near.mean(0), middle)
    scale = torch.where(reach > 0, near.std(0, correction=0), others)
    if not (scale.square().isfinite() & (scale.square() > 0)).all():
        raise ValueError("divide the features by their sizes: squares of x are no numbers")
    return ((x - shift) / scale).clamp(-FARTHEST, FARTHEST), shift, scale


def strays(x: Tensor) -> Tensor:
    """Return which rows of (N, D) lie far from all others, bool (N,): some, or none at all."""
    far = (standardised(x)[0].abs() > STRAY).any(1)
    return far if far.sum() <= max(1, FEW * len(x)) else torch.zeros_like(far)


def standard_units(x: Tensor) -> Marginals:
    """Return the map of (N, D) to mean 0 and variance 1, whatever a few rows hold."""
    _, shift, scale = standardised(x)
    return Marginals(shift, scale)


def normal_marginals(x: Tensor) -> Marginals:
    """Return a smooth map of (N, D) after which every feature is about standard normal.

    Splines go through quantiles, as many as N bears; beyond 8 sd they bend nothing. Where few rows
    tell nothing about a distribution's form it is that of :func:`standard_units`.
    """
    z, shift, scale = standardised(x)
    n_bins = min(BINS, len(z) // PER_BIN)
    if n_bins < 3:
        return Marginals(shift, scale)
    inner = torch.linspace(0, 1, n_bins, dtype=z.dtype)[1:-1]
    ends = torch.tensor([0.5 / len(z), 0.25 / n_bins], dtype=z.dtype)
    probability = torch.cat([ends, inner, 1 - ends.flip(0)])
    index = (probability * (len(z) - 1)).round().long()
    knots = _apart(z.sort(0).values[index].clamp(-FARTHEST_KNOT, FARTHEST_KNOT))
    heights = normal_quantiles(probability)[:, None].expand_as(knots)
    secants = heights.diff(dim=0) / knots.diff(dim=0)
    edge = torch.ones_like(secants[:1])
    slopes = (torch.cat([edge, secants]) * torch.cat([secants, edge])).sqrt()
    return Marginals(shift, scale, through(knots, heights, slopes, BOUND), BOUND)


def _apart(knots: Tensor) -> Tensor:
    """Move knots that coincide to their least distance, (J, D)."""
    steps = LEAST * torch.arange(len(knots), dtype=knots.dtype)[:, None]
    # In both directions, or the knots of an atom would all lie above it.
    up = (knots - steps).cummax(0).values + steps
    down = (knots - steps).flip(0).cummin(0).values.flip(0) + steps
    return 0.5 * (up + down)
