"""Pure functions on tensors: posteriors, Q, the lower bound, prior updates, draws.

Shapes: N samples and K components on the last two axes, (..., N, K); any leading axes (one
per class, say) are kept. No function here knows a module or a data set.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


def standard_normal_log_prob(z: Tensor) -> Tensor:
    r"""Return :math:`\log N(z; 0, I)` in nats, summed over the last axis: (..., D) -> (...)."""
    return -0.5 * (z.square().sum(-1) + z.shape[-1] * math.log(2 * math.pi))


def gamma_log_prob(log_x: Tensor, shape: float, rate: float) -> Tensor:
    r"""Return :math:`\log \Gamma(x; a, b)` in nats, from log x: (...) -> (...)."""
    constant = shape * math.log(rate) - math.lgamma(shape)
    return constant + (shape - 1) * log_x - rate * torch.exp(log_x)


def far_out(log_prob: Tensor, x: Tensor) -> Tensor:
    """Return log densities (N, K), -inf where the numbers of a finite sample overflowed to NaN.

    Infinity minus infinity comes of points where every density is 0: the latents' squares are
    larger than all else. Samples (N, *event) that are not finite keep NaN, and so do densities
    that train, for which it is an error. Without NaN the argument itself is returned.
    """
    if log_prob.requires_grad or not log_prob.isnan().any():
        return log_prob
    finite = x.flatten(1).isfinite().all(1, keepdim=True)
    return torch.where(log_prob.isnan() & finite, -torch.inf, log_prob)


def posterior(log_prob: Tensor, log_weights: Tensor, temperature: float = 1.0) -> Tensor:
    r"""Return the responsibilities of an E-step.

    .. math:: \gamma_{nk} \propto \pi_k \, p_k(x_n)^{1/T}

    Parameters
    ----------
    log_prob
        Per-component log densities in nats, shape (..., N, K).
    log_weights
        :math:`\log \pi`, broadcastable to ``log_prob``.
    temperature
        T; 1 is Bayes' rule. The released code of EM-GM (arXiv 1907.13432) divides the log
        densities by the number of features D, that is T = D.

    Returns
    -------
    Tensor
        Responsibilities, shape (..., N, K), summing to 1 over K. Where every density is 0
        (-inf) they are the prior: such a sample says nothing about k.

    Raises
    ------
    ValueError
        If the temperature is not positive.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    impossible = (log_prob == -torch.inf).all(-1, keepdim=True)
    tempered = torch.where(impossible, 0.0, log_prob / temperature)
    return torch.softmax(log_weights + tempered, dim=-1)


def q_function(log_joint: Tensor, responsibilities: Tensor) -> Tensor:
    r"""Return :math:`Q = \sum_k \gamma_{nk} \log \pi_k p_k(x_n)` for every n, shape (..., N).

    Components of responsibility 0 count nothing, also where their density is 0 (EM-GM eq. 9).
    """
    return torch.where(responsibilities > 0, responsibilities * log_joint, 0.0).sum(-1)


def entropy(responsibilities: Tensor) -> Tensor:
    r"""Return :math:`-\sum_k \gamma_{nk} \log \gamma_{nk}` in nats, shape (..., N)."""
    return torch.special.entr(responsibilities).sum(-1)


def lower_bound(log_joint: Tensor, responsibilities: Tensor) -> Tensor:
    """Return Q plus the entropy of the responsibilities: at most log p(x_n), shape (..., N)."""
    return q_function(log_joint, responsibilities) + entropy(responsibilities)


def divergence(log_q: Tensor, log_p: Tensor) -> Tensor:
    r"""Return :math:`\mathrm{KL}(q \| p) = \sum_k q_k (\log q_k - \log p_k)`, shape (..., N).

    Both are normalised log probabilities, (..., N, K); components with q = 0 count nothing.
    """
    q = log_q.exp()
    return torch.where(q > 0, q * (log_q - log_p), 0.0).sum(-1)


def update_weights(responsibilities: Tensor, sample_weight: Tensor | None = None) -> Tensor:
    r"""Return the prior that maximises Q, the mean responsibility (EM-GM eq. 12).

    Parameters
    ----------
    responsibilities
        Shape (..., N, K).
    sample_weight
        Non-negative, shape (..., N); ones unless given.

    Returns
    -------
    Tensor
        :math:`\pi`, shape (..., K), summing to 1.
    """
    if sample_weight is not None:
        responsibilities = responsibilities * sample_weight[..., None]
    mass = responsibilities.sum(-2)
    return mass / mass.sum(-1, keepdim=True)


def stacking_shares(
    log_prob: Tensor, weight: Tensor, prior: float = 0.5, n_iter: int = 30
) -> Tensor:
    r"""Return the shares of S densities that make samples likeliest, :math:`\sum_s w_s p_s(x_n)`.

    Parameters
    ----------
    log_prob
        Log densities of M samples, not seen by what gave them, shape (S, M).
    weight
        Non-negative, shape (M,).
    prior
        Samples that every density is given beforehand: no share is 0.
    n_iter
        Number of EM iterations.

    References
    ----------
    Smyth and Wolpert, Linearly combining density estimators via stacking, Machine Learning 36,
    1999.
    """
    mass = torch.full_like(log_prob[:, 0], 1.0)
    for _ in range(n_iter):
        joint = log_prob + (mass / mass.sum()).log()[:, None]
        mass = (torch.softmax(joint, 0) * weight).sum(1) + prior
    return mass / mass.sum()


def stacked_score(log_prob: Tensor, weight: Tensor) -> float:
    """Return the weighted mean log density under the best shares in nats: (S, M), (M,)."""
    shares = stacking_shares(log_prob, weight)
    stacked = torch.logsumexp(log_prob + shares.log()[:, None], 0)
    return float((stacked * weight).sum() / weight.sum())


def systematic_draw(weights: Tensor, size: int, generator: torch.Generator | None = None) -> Tensor:
    """Draw ``size`` indices per row in proportion to the weights, with least variance.

    Index n is drawn floor or ceil of ``size * weights[n] / sum`` times: with equal weights and
    ``size`` equal to their number, the draw is a permutation. Order is random.

    Parameters
    ----------
    weights
        Non-negative, shape (R, N), each row with a positive sum.
    size
        Number of draws per row.
    generator
        What draws, on the device of the weights; None is torch's global generator.

    Returns
    -------
    Tensor
        Indices, shape (R, size), int64.
    """
    # Float64, or long rows lose their tail to rounding.
    cumulative = weights.double().cumsum(1)
    cumulative = cumulative / cumulative[:, -1:]
    here: dict[str, Any] = {"device": weights.device, "generator": generator}
    start = torch.rand(len(weights), 1, dtype=torch.double, **here)
    points = (torch.arange(size, device=weights.device) + start) / size
    index = torch.searchsorted(cumulative, points, right=True)
    # A point at 1 - 1e-16 may lie past the last positive weight.
    last = weights.shape[1] - 1 - (weights > 0).flip(1).to(torch.uint8).argmax(1, keepdim=True)
    index = torch.minimum(index, last)
    order = torch.rand(index.shape, dtype=torch.float32, **here).argsort(1)
    return index.gather(1, order)
