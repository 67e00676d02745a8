"""GenMM: a mixture of K flows."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mixflow.flows import Bijection
from mixflow.mixtures import functional
from mixflow.mixtures.base import Mixture
from mixflow.mixtures.functional import standard_normal_log_prob


class GenMM(Mixture):
    r"""Mix K flows with standard normal bases (EM-GM, arXiv 1907.13432, section III).

    .. math:: p(x) = \sum_k \pi_k N(f_k(x); 0, I) \, |\det \partial f_k / \partial x|

    Parameters
    ----------
    flow
        A bank of K bijections whose latents are vectors: ``latent_shape`` is (D,).

    Examples
    --------
    >>> from mixflow.flows import VectorFlow
    >>> mixture = GenMM(VectorFlow(3, 2))
    >>> mixture.log_prob(torch.zeros(5, 2)).shape
    torch.Size([5])
    """

    def __init__(self, flow: Bijection) -> None:
        super().__init__(flow.n_components, flow.event_shape)
        if flow.latent_shape != (self.n_features,):
            raise ValueError(f"the flow's latents must be vectors, got {flow.latent_shape}")
        self.flow = flow

    def log_prob_each(self, x: Tensor) -> Tensor:
        """Return log p_k of each component's own batch: (K, B, *event) -> (K, B)."""
        z, log_det = self.flow(x)
        return standard_normal_log_prob(z) + log_det

    def log_prob_groups(self, x: Tensor) -> Tensor:
        """Return log p_k of a batch for each group of components: (G, B, *event) -> (K, B)."""
        z, log_det = self.flow.forward_groups(x)
        return standard_normal_log_prob(z) + log_det

    def encode_each(self, x: Tensor) -> Tensor:
        """Map each component's own batch to its latents: (K, B, *event) -> (K, B, D)."""
        return self.flow(x)[0]

    def decode_each(self, z: Tensor) -> Tensor:
        """Map each component's own latents to data: (K, B, D) -> (K, B, *event)."""
        return self.flow.inverse(z)[0]

    @torch.no_grad()
    def log_prob_pairs(self, x: Tensor, component: Tensor) -> Tensor:
        """Return log p_k(x) for the k named with each sample: (P, *event), (P,) -> (P,)."""
        log_prob = self._route(self.log_prob_each, self._checked(x), component)
        return functional.far_out(log_prob[:, None], x)[:, 0]

    @torch.no_grad()
    def encode(self, x: Tensor, component: Tensor) -> Tensor:
        """Encode every sample by the component named for it: (N, *event), (N,) -> (N, D)."""
        return self._route(self.encode_each, self._checked(x), component)

    @torch.no_grad()
    def decode(self, z: Tensor, component: Tensor) -> Tensor:
        """Decode every latent by the component named for it: (N, D), (N,) -> (N, *event)."""
        return self._route(self.decode_each, z, component)

    @torch.no_grad()
    def sample_each(self, n_samples: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw ``n_samples`` from every component, in bounded memory: (K, n_samples, *event)."""
        shape = (self.n_components, n_samples, self.n_features)
        weights = self.log_weights
        z = torch.randn(shape, dtype=weights.dtype, device=weights.device, generator=generator)
        return torch.cat([self.decode_each(part) for part in z.split(self.chunk, dim=1)], dim=1)

    def initialize(self, x: Tensor) -> None:
        """Set data-dependent parameters; x holds a batch for each component, (K, B, *event)."""
        self.flow.initialize(x)

    def _route(
        self, function: Callable[[Tensor], Tensor], values: Tensor, component: Tensor
    ) -> Tensor:
        """Give each component its samples as one padded batch, and put the results back."""
        if component.shape != values.shape[:1]:
            raise ValueError(
                f"component must have shape ({len(values)},), got {tuple(component.shape)}"
            )
        if ((component < 0) | (component >= self.n_components)).any():
            raise ValueError(f"component must lie in 0..{self.n_components - 1}")
        order = component.argsort(stable=True)
        counts = torch.bincount(component, minlength=self.n_components)
        within = torch.arange(len(order), device=order.device)
        within = within - (counts.cumsum(0) - counts)[component[order]]
        padded = values.new_zeros((self.n_components, int(counts.max()), *values.shape[1:]))
        padded[component[order], within] = values[order]
        out = function(padded)[component[order], within]
        return torch.empty_like(out).index_copy_(0, order, out)
