"""A mixture of full-covariance Gaussians, as tensors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from mixflow.mixtures import functional

# Values (component x sample x feature) that one pass evaluates.
VALUES = 2**20


@dataclass(frozen=True, eq=False)
class GaussianMixture:
    r"""Sum K Gaussians, :math:`p(x) = \sum_k \pi_k N(x; \mu_k, \Sigma_k)`.

    Attributes
    ----------
    weights
        :math:`\pi`, shape (K,).
    means
        :math:`\mu`, shape (K, D).
    covariances
        :math:`\Sigma`, positive definite, shape (K, D, D).

    Examples
    --------
    >>> means = torch.tensor([[0.0, 0.0], [3.0, 0.0]])
    >>> mixture = GaussianMixture(torch.tensor([0.5, 0.5]), means, torch.eye(2).expand(2, 2, 2))
    >>> mixture.log_joint(means).argmax(1).tolist()
    [0, 1]
    """

    weights: Tensor
    means: Tensor
    covariances: Tensor

    @property
    def n_components(self) -> int:
        """K."""
        return len(self.weights)

    @cached_property
    def precisions_cholesky(self) -> Tensor:
        r"""Upper triangular :math:`P_k` with :math:`P_k P_k^T = \Sigma_k^{-1}`, (K, D, D).

        :math:`(x - \mu_k) P_k` is white.
        """
        factor = torch.linalg.cholesky(self.covariances)
        identity = torch.eye(factor.shape[-1]).to(factor)
        return torch.linalg.solve_triangular(factor, identity, upper=False).mT

    def log_prob_components(self, x: Tensor) -> Tensor:
        """Return log N(x_n; mu_k, S_k) in nats: (N, D) -> (N, K)."""
        size = max(1, VALUES // self.means.numel())
        return torch.cat([self._log_prob_components(part) for part in x.split(size)])

    def log_joint(self, x: Tensor) -> Tensor:
        """Return log pi_k + log N(x_n; mu_k, S_k) in nats: (N, D) -> (N, K)."""
        return self.log_prob_components(x) + self.weights.log()

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p(x_n) in nats: (N, D) -> (N,); -inf where it is below what a float holds."""
        return torch.logsumexp(self.log_joint(x), 1)

    def posterior(self, x: Tensor) -> Tensor:
        """Return the responsibilities: (N, D) -> (N, K)."""
        return functional.posterior(self.log_prob_components(x), self.weights.log())

    def rescaled(self, shift: Tensor, scale: Tensor) -> GaussianMixture:
        """Return the density of ``shift + scale * x``; shift and scale have shape (D,)."""
        covariances = self.covariances * scale[:, None] * scale
        return GaussianMixture(self.weights, self.means * scale + shift, covariances)

    def _log_prob_components(self, x: Tensor) -> Tensor:
        factor = self.precisions_cholesky
        distance = ((x - self.means[:, None]) @ factor).square().sum(2)
        # Of values near 1e308 it is a difference of infinities.
        distance = distance.nan_to_num(nan=torch.inf, posinf=torch.inf)
        log_det = factor.diagonal(dim1=1, dim2=2).log().sum(1)
        constant = log_det - 0.5 * x.shape[1] * math.log(2 * math.pi)
        return (constant[:, None] - 0.5 * distance).T
