"""EM for many full-covariance Gaussian mixtures of the same samples at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mixflow.mixtures.gaussian import GaussianMixture
from mixflow.training.gaussian_statistics import PADDING, Samples, pairs

EPSILON = torch.finfo(torch.float64).eps


@dataclass(eq=False)
class GaussianFits:
    """B mixtures of up to K components; padding has weight 0.

    Attributes
    ----------
    weights, means, covariances
        Shapes (B, K), (B, K, D) and (B, K, D, D), float64.
    lower_bound
        Mean log p(x_n) of the samples that a mixture learned from, in the last E-step, (B,).
    n_iter
        Number of EM iterations, int64 (B,).
    converged
        Whether the bound rose by less than the tolerance in the last one, (B,).
    """

    weights: Tensor
    means: Tensor
    covariances: Tensor
    lower_bound: Tensor
    n_iter: Tensor
    converged: Tensor

    def mixture(self, b: int) -> GaussianMixture:
        """Return mixture b without components that own nothing."""
        alive = self.weights[b] > EPSILON
        weights = self.weights[b, alive]
        return GaussianMixture(
            weights / weights.sum(), self.means[b, alive], self.covariances[b, alive]
        )


def gaussian_em(
    x: Tensor,
    responsibilities: Tensor,
    *,
    ridge: float | Tensor = 1e-6,
    sample_weight: Tensor | None = None,
    tol: float = 1e-3,
    max_iter: int = 100,
) -> GaussianFits:
    """Fit B Gaussian mixtures to the same samples by EM.

    Parameters
    ----------
    x
        Shape (N, D).
    responsibilities
        Where to start, shape (B, N, K); a component without any is padding.
    ridge
        Added to every covariance, in squared units of x: a number times the identity, or
        positive definite matrices, (B, D, D).
    sample_weight
        Non-negative, shape (N,) or (B, N).
    tol
        A mixture is ready when its mean log likelihood changes by less, as in scikit-learn.
    max_iter
        Largest number of iterations.
    """
    b, n, _ = responsibilities.shape
    weights = x.new_ones(n) if sample_weight is None else sample_weight
    weights = weights.double().expand(b, n)
    samples = Samples(x.double(), weights)
    row = torch.arange(b)
    with samples.threads():
        sums = samples.sums(responsibilities.double(), row)
        return climb(samples, sums, row, ridge, tol=tol, max_iter=max_iter)


def climb(
    samples: Samples,
    sums: Tensor,
    row: Tensor,
    ridge: float | Tensor,
    *,
    tol: float = 1e-3,
    max_iter: int = 100,
) -> GaussianFits:
    """Run EM from the sums of a first M-step, (B, K, P), until every mixture is ready.

    Mixtures that are ready leave the batch. See :func:`gaussian_em`; ``row`` is the weighting of
    the samples that each mixture learns from, int64 (B,).
    """
    b = len(sums)
    if not isinstance(ridge, Tensor):
        ridge = ridge * torch.eye(samples.n_features, dtype=sums.dtype).expand(b, -1, -1)
    real = sums[..., 0] > 0
    fits = GaussianFits(
        *maximize(sums, ridge, real),
        lower_bound=sums.new_full((b,), -torch.inf),
        n_iter=torch.zeros(b, dtype=torch.int64),
        converged=torch.zeros(b, dtype=torch.bool),
    )
    active = torch.arange(b)
    for _ in range(max_iter):
        now = natural(fits.weights[active], fits.means[active], fits.covariances[active])
        sums, log_likelihood = samples.statistics(now, row[active])
        bound = log_likelihood.gather(1, row[active, None])[:, 0] / samples.total[row[active]]
        for old, new in zip(
            (fits.weights, fits.means, fits.covariances),
            maximize(sums, ridge[active], real[active]),
            strict=True,
        ):
            old[active] = new
        change = bound - fits.lower_bound[active]
        fits.lower_bound[active] = bound
        fits.n_iter[active] += 1
        fits.converged[active] = change.abs() < tol
        active = active[~fits.converged[active]]
        if not len(active):
            break
    return fits


def maximize(sums: Tensor, ridge: Tensor, real: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the weights, means and covariances of an M-step.

    Parameters
    ----------
    sums
        Of w_n r_nk times the products, (B, K, P).
    ridge
        Added to the covariances, (B, D, D).
    real
        False is padding, (B, K).
    """
    moments = symmetric(sums)
    # As in scikit-learn; a component that owns nothing stays where it is told from all others.
    mass = moments[..., 0, 0] + 10 * EPSILON
    means = moments[..., 0, 1:] / mass[..., None]
    square = moments[..., 1:, 1:] / mass[..., None, None]
    covariances = square - means[..., None] * means[..., None, :] + ridge[:, None]
    # What a difference of second moments cannot tell from 0.
    rounding = 8 * moments.shape[-1] * EPSILON * square.diagonal(dim1=-2, dim2=-1)
    covariances.diagonal(dim1=-2, dim2=-1).add_(rounding)
    weights = torch.where(real, mass, 0.0)
    return weights / weights.sum(-1, keepdim=True), means, covariances


def natural(weights: Tensor, means: Tensor, covariances: Tensor) -> Tensor:
    """Return the factors of the products in log pi_k + log N(x; mu_k, S_k): (B, K, P)."""
    d = means.shape[-1]
    factor = torch.linalg.cholesky(covariances)
    precision = torch.cholesky_inverse(factor)
    linear = (precision @ means[..., None])[..., 0]
    log_det = -factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    constant = weights.log().clamp_min(PADDING) + log_det - 0.5 * d * math.log(2 * math.pi)
    form = means.new_empty(*weights.shape, d + 1, d + 1)
    form[..., 0, 0] = 2 * constant - (linear * means).sum(-1)
    form[..., 0, 1:] = linear
    form[..., 1:, 1:] = -precision
    i, j = pairs(d + 1)
    return form.flatten(-2).index_select(-1, i * (d + 1) + j) * torch.where(i == j, 0.5, 1.0)


def symmetric(sums: Tensor) -> Tensor:
    """Return the sums of products as matrices: (..., P) -> (..., D + 1, D + 1)."""
    d = math.isqrt(2 * sums.shape[-1])
    i, j = pairs(d)
    index = torch.empty(d, d, dtype=torch.int64)
    index[i, j] = index[j, i] = torch.arange(len(i))
    return sums.index_select(-1, index.flatten()).unflatten(-1, (d, d))
