"""Fisher's identity, checked: stochastic EM and the gradient of log p(x) are one method."""

from __future__ import annotations

import torch

from mixflow.flows import VectorFlow
from mixflow.mixtures import GenMM
from mixflow.training import StochasticEM, StochasticEMSettings
from mixflow.training.stochastic_em import Posterior


def gradient(kind: Posterior, x: torch.Tensor, n_components: int, seed: int = 0) -> torch.Tensor:
    """Return the gradient that a method takes on one batch, all parameters in a row.

    Parameters
    ----------
    kind
        The E-step of the batch.
    x
        Samples (N, D); the mixture takes their dtype, and is the same for every kind.
    n_components, seed
        K, and the seed of the flows.
    """
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        mixture = GenMM(VectorFlow(n_components, x.shape[1], n_layers=4)).to(x.dtype)
        mixture.initialize(x[torch.randint(len(x), (n_components, 64))])
        for parameter in mixture.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
        settings = StochasticEMSettings(batch_size=len(x), start_share=0.0, posterior=kind)
        method = StochasticEM(mixture, mixture, x, None, None, settings)
        method.plan()
        method.loss(0).backward()
    grads = [p.grad.flatten() for p in mixture.parameters() if p.grad is not None]
    return torch.cat(grads)


def difference(kind: Posterior, x: torch.Tensor, n_components: int) -> float:
    """Return how far a method's gradient is from that of log p(x), relative to its length."""
    plain = gradient("gradient", x, n_components)
    return float((gradient(kind, x, n_components) - plain).norm() / plain.norm())
