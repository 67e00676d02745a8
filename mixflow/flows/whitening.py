"""Whitening by given Gaussians, as the first layer of flows that start from them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mixflow.flows.bijection import Bijection

# Of a layer's own corrections: they move at a tenth of an optimiser's rate.
RATE = 0.1


class Whitening(Bijection):
    r"""Whiten by a Gaussian, then correct it, :math:`z = (x - \mu) P \, U + b`.

    P is fixed; U, upper triangular with a positive diagonal, and b start at the identity and are
    learned. They are in units of the whitened data, and held ten times as large as they act:
    optimisers whose steps are of the rate's size, as Adam's are, move them a tenth as fast as the
    layers behind.

    Parameters
    ----------
    means
        :math:`\mu`, shape (K, D).
    factors
        P, upper triangular with a positive diagonal, :math:`P P^T = \Sigma^{-1}`, (K, D, D).
    """

    def __init__(self, means: Tensor, factors: Tensor) -> None:
        k, d = means.shape
        super().__init__(k, (d,))
        self.means: Tensor
        self.factors: Tensor
        self.register_buffer("means", means[:, None].clone())
        self.register_buffer("factors", factors.clone())
        self.upper = nn.Parameter(torch.zeros_like(self.factors))
        self.log_diagonal = nn.Parameter(torch.zeros_like(means))
        self.shift = nn.Parameter(torch.zeros_like(self.means))

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        white = (x - self.means) @ self.factors
        return torch.baddbmm(RATE * self.shift, white, self._correction()), self._log_det(x)

    def _inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        white = z - RATE * self.shift
        for factor in (self._correction(), self.factors):
            white = torch.linalg.solve_triangular(factor, white, upper=True, left=False)
        return white + self.means, -self._log_det(z)

    def _correction(self) -> Tensor:
        diagonal = torch.exp(RATE * self.log_diagonal)
        return (RATE * self.upper).triu(1) + torch.diag_embed(diagonal)

    def _log_det(self, x: Tensor) -> Tensor:
        fixed = self.factors.diagonal(dim1=1, dim2=2).log()
        log_det = (fixed + RATE * self.log_diagonal).sum(1, keepdim=True)
        return log_det.expand(x.shape[:2])
