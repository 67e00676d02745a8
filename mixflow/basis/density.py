r"""Densities on a fixed basis: n Gaussians of one width, a cell apart.

Positions are in cells: :math:`u = (x - low) / r`, means at 1/2, 3/2, ..., n - 1/2. Densities are
per cell unless r is given. Every feature has a mixture of its own.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from mixflow.basis.arrays import blocks, floating, numpy_or_torch, per_feature
from mixflow.basis.learning import mass_spectrum, smooth

_LOG_ROOT_2PI = 0.5 * math.log(2 * math.pi)


@numpy_or_torch
def log_prob(u: Tensor, weights: Tensor, sigma: Any, width: Any = 1.0) -> Tensor:
    """Return the log density of every feature in nats: (N, D) -> (N, D).

    Parameters
    ----------
    u
        Positions in cells, (N, D).
    weights
        (D, n), rows sum to one.
    sigma
        Sd of the components in cells, a number or (D,).
    width
        Width r of a cell, a number or (D,): makes it a density of x; 1 one of u.
    """
    sigma, width = per_feature(sigma, weights), per_feature(width, weights)
    log_weights = weights.log() - (sigma * width).log() - _LOG_ROOT_2PI

    def values(z: Tensor) -> Tensor:
        return torch.logsumexp(log_weights - 0.5 * z**2, dim=2)

    return _over_components(values, u, weights, sigma)


@numpy_or_torch
def cdf(u: Tensor, weights: Tensor, sigma: Any) -> Tensor:
    """Return the cumulative distribution of every feature: (N, D) -> (N, D).

    Parameters are those of :func:`log_prob`.
    """

    def values(z: Tensor) -> Tensor:
        return (torch.special.ndtr(z) * weights).sum(2)

    return _over_components(values, u, weights, per_feature(sigma, weights))


def _over_components(values: Any, u: Tensor, weights: Tensor, sigma: Tensor) -> Tensor:
    """Apply a function of the standardised distances (N, D, n), in chunks over N."""
    u = u.to(weights.dtype)
    centre = torch.arange(weights.shape[1], dtype=weights.dtype, device=weights.device) + 0.5
    out = torch.empty_like(u)
    for rows in blocks(len(u), weights.numel()):
        out[rows] = values((u[rows, :, None] - centre) / sigma)
    return out


@numpy_or_torch
def cell_masses(weights: Tensor, sigma: Any) -> Tensor:
    """Return the mass below the grid, in each of its cells, and above: (D, n) -> (D, n + 2)."""
    weights = floating(weights)
    sigma = per_feature(sigma, weights).expand(len(weights), 1)
    n = weights.shape[1]
    distance = torch.arange(n, dtype=weights.dtype, device=weights.device) + 0.5
    out = weights.new_empty(len(weights), n + 2)
    for rows in blocks(len(weights), 8 * n):
        part = weights[rows]
        tail = torch.special.ndtr(-distance / sigma[rows])  # of component i below the grid
        out[rows, 0] = (part * tail).sum(1)
        out[rows, 1:-1] = smooth(part, mass_spectrum(n, sigma[rows])).clamp_min(0)
        out[rows, -1] = (part * tail.flip(1)).sum(1)
    return out


@numpy_or_torch
def quantile(p: Tensor, weights: Tensor, sigma: Any) -> Tensor:
    """Return the inverse of :func:`cdf`: probabilities (M, D) -> positions (M, D) in cells.

    Newton's steps, kept within a bracket that the masses of the cells give; 0 and 1 give
    -inf and inf.

    Raises
    ------
    ValueError
        If a probability is outside [0, 1].
    """
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("probabilities must be between 0 and 1")
    p = p.to(weights.dtype)
    low, high = _bracket(p, weights, sigma)
    u = 0.5 * (low + high)
    inside = (p > 0) & (p < 1)
    for _ in range(200):
        error = cdf(u, weights, sigma) - p
        low, high = torch.where(error < 0, u, low), torch.where(error < 0, high, u)
        newton = u - error / log_prob(u, weights, sigma).exp()
        fits = (newton > low) & (newton < high)
        new = torch.where(fits, newton, 0.5 * (low + high))
        moved, u = (new - u).abs(), new
        if not (inside & (moved > 4 * torch.finfo(u.dtype).eps * (1 + u.abs()))).any():
            break
    return torch.where(p <= 0, -math.inf, torch.where(p >= 1, math.inf, u))


def _bracket(p: Tensor, weights: Tensor, sigma: Any) -> tuple[Tensor, Tensor]:
    """Return positions between which the quantiles (M, D) lie: a cell, or a whole tail."""
    n = weights.shape[1]
    reach = 40 * per_feature(sigma, weights).expand(len(weights), 1)[:, 0]  # no float goes further
    cumulative = cell_masses(weights, sigma).cumsum(1)[:, :-1].contiguous()
    cell = torch.searchsorted(cumulative, p.T.contiguous()).T
    # One cell more on both sides: the sums above are rounded.
    low = torch.where(cell <= 1, -reach, (cell - 2).to(p.dtype))
    high = torch.where(cell >= n, n + reach, (cell + 1).to(p.dtype))
    return low, high


@numpy_or_torch
def sample(
    n_samples: int, weights: Tensor, sigma: Any, *, generator: torch.Generator | None = None
) -> Tensor:
    """Draw positions, every feature on its own: (n_samples, D) in cells.

    Parameters
    ----------
    n_samples
        Number of samples.
    weights, sigma
        As in :func:`log_prob`.
    generator
        Torch generator on the device of the weights.
    """
    component = torch.multinomial(weights, n_samples, replacement=True, generator=generator).T
    noise = torch.randn(
        component.shape, dtype=weights.dtype, device=weights.device, generator=generator
    )
    return component.to(noise.dtype) + 0.5 + noise * per_feature(sigma, weights).T
