r"""The paper's two algorithms, and EM, on the counts of a grid.

Both algorithms of Lu et al. (2023) go over the points one by one and add to the weights an
amount that depends only on the cell of the point. So all that they can learn is in the counts
:math:`c_k`, and the loop over points becomes one operation on n numbers.

Lengths are in cells: the means are at 1/2, 3/2, ... n - 1/2.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import Tensor

from mixflow.basis.arrays import blocks, floating, numpy_or_torch, per_feature

Regions = Literal["average", "sum", "cells"]


@numpy_or_torch
def nearest_weights(counts: Tensor, *, step: float = 1.0) -> Tensor:
    r"""Learn by algorithm 2: every point adds ``step`` to the weight of the nearest mean.

    .. math:: \pi_k = \frac{1/n + g c_k}{1 + g \sum_j c_j}

    That is a histogram with a start of :math:`1/n` (with the mixture's Gaussians on it: a
    binned kernel density estimate).

    Parameters
    ----------
    counts
        Points per cell, (D, n).
    step
        g. With ``1 / n`` the uniform start keeps a share n / (n + N) of the mass.

    Returns
    -------
    array
        Weights (D, n), rows sum to one.

    References
    ----------
    Lu et al., preprints.org 202302.0275, algorithm 2.
    """
    counts = floating(counts)
    weights = (counts * step).add_(1 / counts.shape[1])
    return weights.div_(1 + step * counts.sum(1, keepdim=True))


@numpy_or_torch
def region_weights(
    counts: Tensor,
    *,
    learning_sigma: float = 0.5,
    step: float = 1.0,
    regions: Regions = "average",
    ascent: bool = True,
) -> Tensor:
    r"""Learn by algorithm 1: every point moves all weights by the masses of regions.

    .. math:: \pi_i \leftarrow \max(0, \tfrac1n + g \sum_k c_k G_{ki}), \qquad
              G_{ki} = P_i(\text{middle}_k) - P_i(\text{sides}_k),

    normalised; :math:`P_i` is the mass of the Gaussian around mean i, and the regions are those
    of :func:`region_kernel`.

    Parameters
    ----------
    counts
        Points per cell, (D, n).
    learning_sigma
        Sd of the Gaussians whose masses are learned from, in cells. The printed algorithm takes
        the mixture's own; 0.5 is what gives the published numbers.
    step
        g.
    regions
        See :func:`region_kernel`.
    ascent
        False subtracts, as the sign of the paper's eq. (8) reads.

    Returns
    -------
    array
        Weights (D, n), rows sum to one.

    Raises
    ------
    ValueError
        If all weights of a feature were clipped to zero.

    References
    ----------
    Lu et al., preprints.org 202302.0275, algorithm 1, equations (6) to (8).
    """
    counts = floating(counts)
    n = counts.shape[1]
    lags = torch.arange(n, device=counts.device)
    kernel = region_kernel(n, learning_sigma, regions).to(counts)
    moved = counts @ kernel[(lags[:, None] - lags[None]).abs()]  # the convolution
    weights = (1 / n + (step if ascent else -step) * moved).clamp_min_(0)
    total = weights.sum(1, keepdim=True)
    if not (total > 0).all():
        raise ValueError("every weight was clipped to zero; take a smaller step, or ascent=True")
    return weights / total


def region_kernel(n: int, learning_sigma: float, regions: Regions = "average") -> Tensor:
    r"""Return :math:`G_{ki}` by the distance :math:`|k - i|`, (n,) float64.

    The middle of cell k reaches half a cell to both sides of its centre, and the sides from
    there to the next centres. With ``"average"`` (the paper's eq. 7) the mean of both sides is
    subtracted, half as much as the middle, and G sums to 1/2: it smooths. With ``"sum"`` both are
    subtracted, G sums to zero, and what is learned is a curvature of the counts. With ``"cells"``
    the sides are the whole neighbouring cells, both subtracted, and G sums to -1: weights grow
    where there are no points.
    """
    if regions not in get_args(Regions):
        raise ValueError(f"regions must be one of {get_args(Regions)}, got {regions!r}")
    lag = torch.arange(n, dtype=torch.float64, device="cpu")
    end = 1.5 if regions == "cells" else 1.0
    middle = interval_mass(lag, -0.5, 0.5, learning_sigma)
    sides = interval_mass(lag, -end, -0.5, learning_sigma)
    sides += interval_mass(lag, 0.5, end, learning_sigma)
    return middle - (0.5 if regions == "average" else 1.0) * sides


def interval_mass(lag: Tensor, start: float, stop: float, sigma: Any) -> Tensor:
    """Return the mass in [lag + start, lag + stop] of N(0, sigma^2); exact far out, lag >= 0."""
    # Upper tails, so that no digits cancel for intervals on the right.
    upper = [torch.special.ndtr(-(lag + edge) / sigma) for edge in (start, stop)]
    return upper[0] - upper[1]


@numpy_or_torch
def em_weights(weights: Tensor, counts: Tensor, sigma: Any, *, n_steps: int = 1) -> Tensor:
    r"""Take EM steps on the weights, with the means and scales of the basis held fixed.

    .. math:: \pi_i \leftarrow \pi_i \sum_k \frac{c_k}{N} \frac{M_{ki}}{\sum_j M_{kj} \pi_j},

    with :math:`M_{ki}` the mass of component i in cell k: the likelihood of the counts rises with
    every step (that of the points themselves, up to the width of a cell). A few steps from
    algorithm 2 take back most of what the Gaussians blur; hundreds overfit.

    Parameters
    ----------
    weights
        Where to start, (D, n); a weight of zero stays zero.
    counts
        Points per cell, (D, n).
    sigma
        Sd of the components in cells, a number or (D,).
    n_steps
        Number of steps.

    Returns
    -------
    array
        Weights (D, n), rows sum to one.
    """
    weights, counts = floating(weights), floating(counts)
    sigma = per_feature(sigma, weights).expand(len(weights), 1)
    out = torch.empty_like(weights)
    for rows in blocks(len(weights), 8 * weights.shape[1]):
        out[rows] = _em_block(weights[rows], counts[rows], sigma[rows], n_steps)
    return out


def _em_block(weights: Tensor, counts: Tensor, sigma: Tensor, n_steps: int) -> Tensor:
    kernel = mass_spectrum(weights.shape[1], sigma)
    for _ in range(n_steps):
        # No less than the rounding of the transform, where points lie far from any weight.
        density = smooth(weights, kernel).clamp_min(torch.finfo(weights.dtype).eps)
        ratio = torch.where(counts > 0, counts / density, 0.0)
        weights = weights * smooth(ratio, kernel).clamp_min(0)  # the masses are symmetric
        weights = weights / weights.sum(1, keepdim=True)
    return weights


def mass_spectrum(n: int, sigma: Tensor) -> Tensor:
    """Return the Fourier transform of the masses by lag, for :func:`smooth`; sigma (D, 1)."""
    lag = torch.arange(n + 1, dtype=sigma.dtype, device=sigma.device)
    half = interval_mass(lag, -0.5, 0.5, sigma)
    return torch.fft.rfft(torch.cat([half, half[:, 1:-1].flip(1)], dim=1))


def smooth(values: Tensor, spectrum: Tensor) -> Tensor:
    """Convolve (D, n) with the masses of the components: what falls into each of the n cells."""
    n = values.shape[1]
    # Padded to 2 n, the circle of the transform is wide enough for the kernel's 2 n - 1 lags.
    return torch.fft.irfft(torch.fft.rfft(values, 2 * n) * spectrum, 2 * n)[:, :n]
