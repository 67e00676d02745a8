"""Where Gaussian mixtures start: k-means from seeds far apart, for many mixtures at once."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mixflow.training.gaussian_statistics import PADDING, Samples

# Samples that seeds are drawn from, at least, and for each seed.
SEED_SAMPLES, PER_SEED = 2000, 40


def seeds(x: Tensor, weights: Tensor, k: int, generator: torch.Generator) -> Tensor:
    """Draw samples far from each other by greedy k-means++, for R weightings of the samples.

    The first K' of the seeds are seeds for K' components.

    Parameters
    ----------
    x
        Shape (N, D).
    weights
        Non-negative, shape (R, N).
    k
        K.
    generator
        Of all draws.

    Returns
    -------
    Tensor
        Shape (R, K, D).

    References
    ----------
    Arthur and Vassilvitskii, k-means++: the advantages of careful seeding, SODA 2007.
    """
    few = torch.randperm(len(x), generator=generator)[: max(SEED_SAMPLES, PER_SEED * k)]
    x, weights = x[few], weights[:, few]
    rows, trials = torch.arange(len(weights)), 2 + int(math.log(k))
    distance = torch.full_like(weights, torch.inf)
    potential, chosen = weights, []
    for _ in range(k):
        candidates = torch.multinomial(potential, trials, replacement=True, generator=generator)
        nearer = torch.minimum(distance[:, None], _squared_distance(x[candidates], x))
        best = (nearer * weights[:, None]).sum(2).argmin(1)
        chosen.append(candidates[rows, best])
        distance = nearer[rows, best]
        potential = distance * weights
        # Every sample is a seed already.
        potential = torch.where(potential.sum(1, keepdim=True) > 0, potential, weights)
    return x[torch.stack(chosen, 1)]


def kmeans(
    samples: Samples, centres: Tensor, row: Tensor, *, tol: float = 1e-3, max_iter: int = 50
) -> Tensor:
    """Move centres to the means of their samples; return the sums of a first M-step.

    Parameters
    ----------
    samples
        N samples and their weightings.
    centres
        Of B mixtures, shape (B, K, D); NaN is padding.
    row
        The weighting that each mixture learns from, int64 (B,).
    tol
        A mixture is ready when the mean squared distance falls by less than this share.
    max_iter
        Largest number of steps.

    Returns
    -------
    Tensor
        Weighted sums of the products over the samples nearest to each centre, (B, K, P).
    """
    centres, active = centres.clone(), torch.arange(len(centres))
    before = centres.new_full((len(centres),), torch.inf)
    square = samples.mean_square()[row]
    for _ in range(max_iter):
        sums, score = samples.statistics(_linear(centres[active]), row[active], second=False)
        mass = sums[..., :1]
        centres[active] = torch.where(mass > 0, sums[..., 1:] / mass, centres[active])
        mean_score = score.gather(1, row[active, None])[:, 0] / samples.total[row[active]]
        inertia = square[active] - 2 * mean_score
        ready = before[active] - inertia <= tol * inertia
        before[active] = inertia
        active = active[~ready]
        if not len(active):
            break
    return samples.statistics(_linear(centres), row)[0]


def _linear(centres: Tensor) -> Tensor:
    """Return what is largest for the nearest centre, linear in (1, x): (B, K, D + 1)."""
    form = torch.cat([-0.5 * centres.square().sum(2, keepdim=True), centres], 2)
    padding = form.new_zeros(form.shape[2]).index_fill(0, torch.tensor(0), PADDING)
    return torch.where(form[..., :1].isnan(), padding, form)


def _squared_distance(centres: Tensor, x: Tensor) -> Tensor:
    """Return |c - x|^2: (R, T, D), (N, D) -> (R, T, N)."""
    cross = centres @ x.T
    return (centres.square().sum(2)[..., None] + x.square().sum(1) - 2 * cross).clamp_min_(0)
