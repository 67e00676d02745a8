"""Mixtures whose components are guarded by Gaussians."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from mixflow.flows import Bijection
from mixflow.mixtures.base import Mixture
from mixflow.mixtures.functional import standard_normal_log_prob


class DefensiveMixture(Mixture):
    r"""Give every component M densities in fixed shares, :math:`p_k(x) = \sum_m s_{km} p_{km}(x)`.

    .. math:: p_{km}(x) = N(f_{km}(t(x)); 0, I) \, |\det \partial f_{km} \circ t / \partial x|

    With a flow, the Gaussian that it started from and a broad one, no sample's density is below
    the Gaussian's times its share, nor does a stray one count without bounds: a defensive mixture,
    as in importance sampling (Hesterberg 1995).

    Parameters
    ----------
    transform
        t, a bank of K or :class:`~mixflow.flows.Shared`, before all flows.
    flows
        M banks of K bijections whose latents are vectors.
    log_shares
        :math:`\log s`, shape (K, M).
    log_weights
        :math:`\log \pi`, shape (K,).

    Examples
    --------
    One flow that is its Gaussian still, and a broad density beside it:

    >>> from mixflow.flows import Whitening
    >>> narrow, wide = (Whitening(torch.zeros(1, 2), s * torch.eye(2)[None]) for s in (1.0, 0.1))
    >>> shares = torch.tensor([[0.9, 0.1]]).log()
    >>> model = DefensiveMixture(narrow, [narrow, wide], shares, torch.zeros(1))
    >>> model.log_prob(torch.zeros(3, 2)).shape
    torch.Size([3])
    """

    def __init__(
        self,
        transform: Bijection,
        flows: Sequence[Bijection],
        log_shares: Tensor,
        log_weights: Tensor,
    ) -> None:
        super().__init__(transform.n_components, transform.event_shape)
        self.transform = transform
        self.flows = nn.ModuleList(flows)
        self.log_shares: Tensor
        self.register_buffer("log_shares", log_shares.clone())
        self.log_weights = log_weights.clone()

    def log_prob_each(self, x: Tensor) -> Tensor:
        """Return log p_k of each component's own batch: (K, B, *event) -> (K, B)."""
        return self._log_prob(*self.transform(x))

    def log_prob_groups(self, x: Tensor) -> Tensor:
        """Return log p_k of a batch for each group of components: (G, B, *event) -> (K, B)."""
        return self._log_prob(*self.transform.forward_groups(x))

    def _log_prob(self, z: Tensor, log_det: Tensor) -> Tensor:
        parts = []
        for flow in self._parts():
            latent, own = flow(z)
            parts.append(standard_normal_log_prob(latent) + own)
        stacked = torch.stack(parts, 2).nan_to_num(nan=-torch.inf, posinf=torch.inf)
        return torch.logsumexp(stacked + self.log_shares[:, None], 2) + log_det

    @torch.no_grad()
    def sample_each(self, n_samples: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw ``n_samples`` from every component: (K, n_samples, *event)."""
        k, weights = self.n_components, self.log_shares
        part = torch.multinomial(weights.exp(), n_samples, replacement=True, generator=generator)
        latent = torch.randn(
            (k, n_samples, self.n_features),
            dtype=weights.dtype,
            device=weights.device,
            generator=generator,
        )
        z = torch.stack([flow.inverse(latent)[0] for flow in self._parts()], 2)
        index = part[:, :, None, None].expand(-1, -1, 1, self.n_features)
        return self.transform.inverse(z.gather(2, index)[:, :, 0])[0]

    def _parts(self) -> list[Bijection]:
        return cast("list[Bijection]", [*self.flows])
