r"""Bandwidths from counts: the improved Sheather-Jones rule, and Silverman's.

Both return the sd of the kernel in cells, for every feature.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mixflow.basis.arrays import blocks, floating, numpy_or_torch

# Below half a cell the Gaussians of a grid leave holes between them.
LEAST_SIGMA = 0.5
_STAGES = 5  # of the plug-in: derivatives up to this order, after Botev et al.
_MOST_T = 0.1  # search for the squared bandwidth up to here, in squared ranges
_GRID, _HALVINGS = 24, 24  # of the search: first on a grid of logarithms, then by bisection


@numpy_or_torch
def isj_sigma(counts: Tensor) -> Tensor:
    r"""Return the improved Sheather-Jones bandwidth of binned data, in cells, (D,).

    The squared bandwidth t (in squared ranges) is the smallest root of
    :math:`t = \xi \gamma^{[5]}(t)`, a plug-in estimate of the bandwidth with the least
    asymptotic mean integrated squared error, with no reference to a normal distribution. The
    derivatives that it needs are sums over the cosine transform of the counts.

    Fewer than 8 cells, or an equation without a root, give Silverman's rule. Bandwidths below
    half a cell, which the grid cannot express, become half a cell.

    Parameters
    ----------
    counts
        Points per cell, (D, n).

    Raises
    ------
    ValueError
        If a feature has no points.

    References
    ----------
    Z. I. Botev, J. F. Grotowski, D. P. Kroese, Kernel density estimation via diffusion, Annals
    of Statistics 38 (2010), https://doi.org/10.1214/10-AOS799, algorithm 1.
    """
    counts = _checked(counts)
    n = counts.shape[1]
    if n < 8:
        return silverman_sigma(counts)
    lengths = [_isj_block(counts[rows]) for rows in blocks(len(counts), 8 * n)]
    sigma = n * torch.cat(lengths).sqrt()
    return torch.where(sigma.isnan(), silverman_sigma(counts), sigma).clamp_min(LEAST_SIGMA)


def _isj_block(counts: Tensor) -> Tensor:
    """Return t (D,), NaN where the equation has no root."""
    n = counts.shape[1]
    total = counts.sum(1, keepdim=True)
    k = torch.arange(1, n, dtype=counts.dtype, device=counts.device)
    centre = (torch.arange(n, dtype=counts.dtype, device=counts.device) + 0.5) / n
    power = ((counts / total) @ torch.cos(math.pi * centre[:, None] * k)) ** 2

    def excess(t: Tensor) -> Tensor:  # (D, T) -> (D, T)
        return t - _fixed_point(t, power, total)

    least = math.log((LEAST_SIGMA / 2 / n) ** 2)
    # float32, whatever torch's default is.
    grid = torch.linspace(least, math.log(_MOST_T), _GRID, dtype=torch.float32, device="cpu")
    grid = grid.to(counts).exp()
    values = torch.stack([excess(t.expand(len(counts), 1))[:, 0] for t in grid], dim=1)
    rises = (values[:, :-1] < 0) & (values[:, 1:] >= 0)
    first = rises.to(torch.uint8).argmax(1)
    low, high = grid[first][:, None], grid[first + 1][:, None]
    for _ in range(_HALVINGS):
        middle = (low * high).sqrt()
        below = excess(middle) < 0
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    root = torch.where(rises.any(1), high[:, 0], math.nan)
    return torch.where(values[:, 0] >= 0, grid[0], root)  # narrower than the grid can say


def _fixed_point(t: Tensor, power: Tensor, total: Tensor) -> Tensor:
    """Return xi gamma(t), (D, 1): down the stages from the highest derivative to the second."""
    squares = torch.arange(1, power.shape[1] + 1, dtype=power.dtype, device=power.device) ** 2

    def roughness(order: int, at: Tensor) -> Tensor:  # of the derivative, twice the integral
        terms = squares**order * power * torch.exp(-squares * math.pi**2 * at)
        return 2 * math.pi ** (2 * order) * terms.sum(1, keepdim=True)

    f = roughness(_STAGES, t)
    for s in range(_STAGES - 1, 1, -1):
        odd = math.prod(range(1, 2 * s, 2)) / math.sqrt(2 * math.pi)
        factor = (1 + 0.5 ** (s + 0.5)) / 3
        f = roughness(s, (2 * factor * odd / (total * f)) ** (2 / (3 + 2 * s)))
    return (2 * total * math.sqrt(math.pi) * f) ** -0.4


@numpy_or_torch
def silverman_sigma(counts: Tensor) -> Tensor:
    r"""Return Silverman's rule of thumb in cells, (D,): :math:`0.9\,\hat\sigma N^{-1/5}`.

    :math:`\hat\sigma` is the smaller of the sd and the interquartile range over 1.34, which suits
    one bump; several are smoothed too much.
    """
    counts = _checked(counts)
    n, total = counts.shape[1], counts.sum(1)
    centre = torch.arange(n, dtype=counts.dtype, device=counts.device) + 0.5
    mean = (counts @ centre) / total
    sd = (((centre - mean[:, None]) ** 2 * counts).sum(1) / total).sqrt()
    share = counts.cumsum(1) / total[:, None]
    quartiles = [(share < q).sum(1) for q in (0.25, 0.75)]
    spread = (quartiles[1] - quartiles[0]).to(counts) / 1.34
    spread = torch.where(spread > 0, torch.minimum(sd, spread), sd)
    return (0.9 * spread * total**-0.2).clamp_min(LEAST_SIGMA)


def _checked(counts: Tensor) -> Tensor:
    counts = floating(counts).double()
    empty = torch.nonzero(counts.sum(1) == 0)
    if len(empty):
        raise ValueError(f"feature {int(empty[0])} has no points within its bounds")
    return counts
