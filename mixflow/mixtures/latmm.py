"""LatMM: flows whose latents follow Gaussian mixtures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from mixflow.flows import Bijection, Chain, Shared
from mixflow.flows.bijection import NEW
from mixflow.mixtures import functional
from mixflow.mixtures.genmm import GenMM

# ("gamma", a, b), ("l2", weight), or none: see LatMM.
PrecisionPrior = tuple[str, float, float] | tuple[str, float] | None

# Standard deviations below this, in units of the latents, are not believed at the start.
MIN_SD = 1e-2


class Sources(Bijection):
    r"""Standardise latents by K diagonal Gaussians, :math:`z = (h - \mu_k) / \sigma_k`.

    Under a standard normal z, h follows :math:`N(\mu_k, \sigma_k^2)`: a source of LatMM.

    Parameters
    ----------
    n_components
        K.
    latent_shape
        (D,), the shape of h.
    top_shape
        Shape of the latents that the sources model, channels last; the first ones of h. The
        others stay standard normal.
    per_position
        A mean and a scale for every latent; otherwise one for each channel, the same in all
        positions, as in the released code of EM-GM.

    Attributes
    ----------
    mean, log_precision
        :math:`\mu` and :math:`-\log \sigma`, shape (K, *positions or 1, C).
    """

    def __init__(
        self,
        n_components: int,
        latent_shape: Sequence[int],
        top_shape: Sequence[int],
        *,
        per_position: bool = False,
    ) -> None:
        super().__init__(n_components, latent_shape)
        self.modelled_shape = tuple(top_shape)
        *positions, channels = top_shape
        shape = [n_components, *(positions if per_position else [1] * len(positions)), channels]
        self.mean = nn.Parameter(torch.zeros(shape, **NEW))
        self.log_precision = nn.Parameter(torch.zeros(shape, **NEW))

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        top, rest = self._divided(x)
        z = (top - self.mean[:, None]) * torch.exp(self.log_precision)[:, None]
        return torch.cat([z.flatten(2), rest], dim=2), self._log_det(x)

    def _inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        top, rest = self._divided(z)
        x = top * torch.exp(-self.log_precision)[:, None] + self.mean[:, None]
        return torch.cat([x.flatten(2), rest], dim=2), -self._log_det(z)

    def _initialize(self, x: Tensor) -> Tensor:
        top = self._divided(x)[0]
        pooled = [1, *(axis + 1 for axis in range(1, self.mean.ndim - 1) if self._pools(axis))]
        mean = top.mean(pooled, keepdim=True)
        variance = (top - mean).square().mean(pooled, keepdim=True)
        self.mean.copy_(mean[:, 0])
        self.log_precision.copy_(-0.5 * variance[:, 0].clamp_min(MIN_SD**2).log())
        return self._forward(x)[0]

    def _pools(self, axis: int) -> bool:
        return self.mean.shape[axis] == 1

    def _divided(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        size = math.prod(self.modelled_shape)
        return latents[..., :size].unflatten(2, self.modelled_shape), latents[..., size:]

    def _log_det(self, x: Tensor) -> Tensor:
        each = self.log_precision.expand(-1, *self.modelled_shape)
        return each.flatten(1).sum(1, keepdim=True).expand(x.shape[:2])


class LatMM(GenMM):
    r"""Let the latents of a flow follow a mixture of K diagonal Gaussians.

    .. math:: p(x) = \sum_k \pi_k N(f(x); \mu_k, \sigma_k^2) \, |\det \partial f / \partial x|

    EM-GM, arXiv 1907.13432, section III.C. The flow is evaluated once for all components. With
    Glow the Gaussians model the latents of the last level, as in the released code; what leaves
    at a split is Gaussian given the rest, for all components alike.

    Parameters
    ----------
    flow
        A bank of R flows whose latents are vectors. R = 1 is LatMM; with R flows, K / R
        consecutive components go through each: GenMM with LatMM sources (section III.B), or
        a bank of LatMMs, one for each group of samples.
    n_components
        K, a multiple of R.
    per_position
        See :class:`Sources`.
    precision_prior
        On every :math:`\lambda = 1 / \sigma`, against components that collapse:
        ``("gamma", a, b)`` with density :math:`\propto \lambda^{a-1} e^{-b \lambda}` (eq. 26),
        ``("l2", weight)`` with log density :math:`-w \lambda^2` up to a constant (eq. 27), or
        None. EM adds the log density to the mean of Q over samples, so that its weight does not
        fall with their number.

    Examples
    --------
    >>> from mixflow.flows import VectorFlow
    >>> mixture = LatMM(VectorFlow(1, 2), 3)
    >>> mixture.log_joint(torch.zeros(5, 2)).shape
    torch.Size([5, 3])
    """

    def __init__(
        self,
        flow: Bijection,
        n_components: int,
        *,
        per_position: bool = False,
        precision_prior: PrecisionPrior = ("gamma", 2.0, 1.0),
    ) -> None:
        sources = Sources(
            n_components, flow.latent_shape, flow.top_shape, per_position=per_position
        )
        super().__init__(Chain([Shared(flow, n_components), sources]))
        self.precision_prior = checked_prior(precision_prior)

    @property
    def sources(self) -> Sources:
        """The K Gaussians."""
        return cast(Sources, cast(Chain, self.flow).bijections[1])

    @property
    def n_flows(self) -> int:
        """R, the number of flows."""
        return cast(Shared, cast(Chain, self.flow).bijections[0]).bijection.n_components

    @property
    def is_separable(self) -> bool:
        """Never: components share a flow, or have a prior, whose weight Q's scale decides."""
        return False

    def log_prior(self) -> Tensor:
        """Return the log density of all precisions in nats, shape ()."""
        if self.precision_prior is None:
            return super().log_prior()
        kind, *numbers = self.precision_prior
        log_precision = self.sources.log_precision
        if kind == "gamma":
            return functional.gamma_log_prob(log_precision, *numbers).sum()
        return -numbers[0] * torch.exp(2 * log_precision).sum()


def checked_prior(prior: PrecisionPrior) -> PrecisionPrior:
    """Return the prior with its numbers as floats.

    Raises
    ------
    ValueError
        If it is none of those that :class:`LatMM` knows.
    """
    if prior is None:
        return None
    kind, *numbers = prior if isinstance(prior, tuple | list) and prior else (prior,)
    right = all(isinstance(n, int | float) and 0 < n < math.inf for n in numbers)
    if right and (kind, len(numbers)) in (("gamma", 2), ("l2", 1)):
        return cast(PrecisionPrior, (kind, *(float(n) for n in numbers)))
    raise ValueError(
        "precision_prior must be ('gamma', a, b), ('l2', weight), both with positive numbers, or "
        f"None, got {prior!r}"
    )
