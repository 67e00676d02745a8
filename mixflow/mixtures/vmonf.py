"""VMoNF: a mixture of flows with a network for the posterior."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mixflow.mixtures import functional
from mixflow.mixtures.base import Mixture, in_chunks

# What is further out looks the same to a network, whose sums and squares must not overflow.
FURTHEST = 1e15


class VMoNF(nn.Module):
    r"""Join a mixture p(x) with a network q(c | x) that stands in for its posterior.

    .. math::
        \mathrm{ELBO}(x) = \sum_c q(c|x) \, [\log p(x|c) + \log \pi_c - \log q(c|x)]
        = \log p(x) - \mathrm{KL}(q(c|x) \,\|\, p(c|x))

    The sum over the K components is exact (VMoNF, arXiv 2009.00585, section 3).

    Parameters
    ----------
    mixture
        Any mixture; its densities are p(x | c).
    network
        Maps (N, *event) to logits (N, K).

    Attributes
    ----------
    temperature
        T of the softmax of q, buffer of shape (); training moves it, and q keeps its last.

    Examples
    --------
    >>> from mixflow.flows import VectorFlow
    >>> from mixflow.mixtures import GenMM
    >>> model = VMoNF(GenMM(VectorFlow(3, 2)), nn.Linear(2, 3))
    >>> model.elbo(torch.zeros(5, 2)).shape
    torch.Size([5])
    """

    def __init__(self, mixture: Mixture, network: nn.Module) -> None:
        super().__init__()
        self.mixture, self.network = mixture, network
        self.temperature: Tensor
        # In float64, so that a schedule's values stay what they are; a scalar promotes nothing.
        self.register_buffer("temperature", torch.ones((), dtype=torch.double, device="cpu"))

    @property
    def n_components(self) -> int:
        """K."""
        return self.mixture.n_components

    def log_q(self, x: Tensor) -> Tensor:
        """Return log q(c | x), a softmax at the temperature: (N, *event) -> (N, K)."""
        size = max(1, self.mixture.chunk * self.n_components)
        near = x if self.training else x.clamp(-FURTHEST, FURTHEST)
        logits = in_chunks(self.network, near, size)
        if logits.shape != (len(x), self.n_components):
            raise ValueError(
                f"the network must give logits of shape {(len(x), self.n_components)}, got "
                f"{tuple(logits.shape)}"
            )
        return torch.log_softmax(logits / self.temperature, dim=1)

    def elbo(self, x: Tensor) -> Tensor:
        """Return the ELBO of every sample in nats, at most log p(x): (N, *event) -> (N,)."""
        return functional.lower_bound(self.mixture.log_joint(x), self.log_q(x).exp())

    def gap(self, x: Tensor) -> Tensor:
        """Return KL(q(c | x) || p(c | x)) in nats, at least 0: (N, *event) -> (N,)."""
        log_joint = self.mixture.log_joint(x)
        # As in functional.posterior: a sample of density 0 says nothing about c.
        impossible = (log_joint == -torch.inf).all(1, keepdim=True)
        log_joint = torch.where(impossible, self.mixture.log_weights, log_joint)
        return functional.divergence(self.log_q(x), torch.log_softmax(log_joint, dim=1))
