"""The contract of every mixture density, and all that follows from ``log_prob_each``."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Self

import torch
from torch import Tensor, nn

from mixflow.flows import Bijection, Shared
from mixflow.flows.shared import shared_names
from mixflow.mixtures import functional

# Values (component x sample x feature) that one pass evaluates: enough to fill a core's vector
# units, few enough that 200,000 samples and 20 components, or images, stay far under 2 GB.
ROWS, WIDE = 16384, 64


class Mixture(nn.Module):
    r"""Sum K densities, :math:`p(x) = \sum_k \pi_k p_k(x)`.

    A subclass gives ``log_prob_each`` and ``sample_each``, in which every component has its
    own batch; the rest is derived here, once. Densities are in nats per sample.

    Parameters
    ----------
    n_components
        K.
    event_shape
        Shape of one sample.
    n_features
        D, the number of values in one sample.

    Attributes
    ----------
    log_weights
        :math:`\log \pi`, buffer of shape (K,), uniform at the start.
    """

    def __init__(self, n_components: int, event_shape: Sequence[int]) -> None:
        super().__init__()
        self.n_components = n_components
        self.event_shape = tuple(event_shape)
        self.n_features = math.prod(event_shape)
        self.log_weights: Tensor
        self.register_buffer("log_weights", torch.full((n_components,), -math.log(n_components)))

    @property
    def chunk(self) -> int:
        """Samples that all components evaluate in one pass: fewer where they are images."""
        rows = ROWS * WIDE // max(WIDE, self.n_features)
        return max(1, rows // self.n_components)

    def log_prob_each(self, x: Tensor) -> Tensor:
        """Return log p_k of each component's own batch: (K, B, *event) -> (K, B)."""
        raise NotImplementedError

    def sample_each(self, n_samples: int) -> Tensor:
        """Draw ``n_samples`` from every component: (K, n_samples, *event)."""
        raise NotImplementedError

    def initialize(self, x: Tensor) -> None:
        """Set data-dependent parameters; x holds a batch for each component, (K, B, *event)."""
        raise NotImplementedError

    def log_prob_components(self, x: Tensor) -> Tensor:
        """Return log p_k(x_n) in nats: (N, *event) -> (N, K), in bounded memory."""

        def evaluate(part: Tensor) -> Tensor:
            return self.log_prob_each(part.expand(self.n_components, *part.shape)).T

        return in_chunks(evaluate, self._checked(x), self.chunk)

    def log_joint(self, x: Tensor) -> Tensor:
        """Return log pi_k + log p_k(x_n): (N, *event) -> (N, K)."""
        return self.log_prob_components(x) + self.log_weights

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p(x_n): (N, *event) -> (N,)."""
        return torch.logsumexp(self.log_joint(x), dim=1)

    def posterior(self, x: Tensor, temperature: float = 1.0) -> Tensor:
        """Return the responsibilities, (N, *event) -> (N, K); see ``functional.posterior``."""
        return functional.posterior(self.log_prob_components(x), self.log_weights, temperature)

    def predict(self, x: Tensor) -> Tensor:
        """Return the component of the largest responsibility: (N, *event) -> (N,), int64."""
        return self.log_joint(x).argmax(1)

    @torch.no_grad()
    def sample(self, n_samples: int) -> tuple[Tensor, Tensor]:
        """Draw from the mixture.

        Returns
        -------
        x, component
            Samples (n_samples, *event), grouped by component, and their components
            (n_samples,), as scikit-learn's mixtures do.
        """
        probabilities = torch.exp(self.log_weights.double())
        drawn = torch.multinomial(probabilities, n_samples, replacement=True)
        counts = torch.bincount(drawn, minlength=self.n_components)
        each = self.sample_each(int(counts.max()))
        component = torch.repeat_interleave(counts)
        within = torch.cat([torch.arange(n, device=counts.device) for n in counts.tolist()])
        return each[component, within], component

    @torch.no_grad()
    def select(self, index: Tensor) -> Self:
        """Return a copy that holds the components of the index, int64 (K',), in its order.

        Every parameter and buffer must be a bank, (K, ...), or belong to a shared flow.
        """
        shared = shared_names(self)
        rows = {n: t if n in shared else t[index] for n, t in self.state_dict().items()}
        return self._with_rows(rows, len(index))

    @torch.no_grad()
    def join(self, other: Mixture) -> Self:
        """Return a copy that holds this mixture's components, then the other's.

        Raises
        ------
        ValueError
            If components share a flow: two mixtures have two of them.
        """
        if shared_names(self) or shared_names(other):
            raise ValueError("mixtures whose components share a flow cannot be joined")
        theirs = other.state_dict()
        rows = {n: torch.cat([t, theirs[n].to(t)]) for n, t in self.state_dict().items()}
        return self._with_rows(rows, self.n_components + other.n_components)

    def _with_rows(self, state: dict[str, Tensor], n_components: int) -> Self:
        copy, shared = deepcopy(self), shared_names(self)
        for name, tensor in [*copy.named_parameters(), *copy.named_buffers()]:
            if name not in shared:
                tensor.data = tensor.data.new_empty((n_components, *tensor.shape[1:]))
            tensor.grad = None
        inner = {part.bijection for part in copy.modules() if isinstance(part, Shared)}
        kept = {part for trunk in inner for part in trunk.modules()}
        for module in copy.modules():
            if isinstance(module, Mixture | Bijection) and module not in kept:
                module.n_components = n_components
        copy.load_state_dict(state)
        return copy

    def _checked(self, x: Tensor) -> Tensor:
        if x.ndim == 0 or x.shape[1:] != self.event_shape:
            expected = ", ".join(str(n) for n in ("N", *self.event_shape))
            raise ValueError(f"x must have shape ({expected}), got {tuple(x.shape)}")
        return x


def in_chunks(function: Callable[[Tensor], Tensor], x: Tensor, size: int) -> Tensor:
    """Apply a function to ``size`` samples at a time and join the results on the first axis."""
    if len(x) <= size:
        return function(x)
    return torch.cat([function(part) for part in x.split(size)])
