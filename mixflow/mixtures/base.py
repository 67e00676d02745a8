"""The contract of every mixture density, and all that follows from ``log_prob_each``."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Self

import torch
from torch import Tensor, nn

from mixflow.flows import Bijection, Shared
from mixflow.flows.bijection import NEW, spread
from mixflow.flows.shared import rows_of_parts
from mixflow.mixtures import functional

# Values (component x sample x hidden unit) that one pass evaluates: enough to fill a core's vector
# units, few enough that a layer's stay in its cache. A pixel of an image has about 16: 64 channels
# at a quarter of the positions. An accelerator wants more at once.
ROWS, WIDE = 16384, 64
PER_PIXEL, ON_ACCELERATOR = 16, 16


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
        start = torch.full((n_components,), -math.log(n_components), **NEW)
        self.register_buffer("log_weights", start)

    @property
    def chunk(self) -> int:
        """Samples that all components evaluate in one pass: fewer where they are images."""
        wide = self.n_features * (PER_PIXEL if len(self.event_shape) == 3 else 1)
        rows = ROWS * WIDE // max(WIDE, wide)
        rows *= 1 if self.log_weights.device.type == "cpu" else ON_ACCELERATOR
        return max(1, rows // self.n_components)

    def log_prob_each(self, x: Tensor) -> Tensor:
        """Return log p_k of each component's own batch: (K, B, *event) -> (K, B)."""
        raise NotImplementedError

    def log_prob_groups(self, x: Tensor) -> Tensor:
        """Return log p_k of a batch for each group of K / G components: (G, B, *event) -> (K, B).

        The same as ``log_prob_each`` on every batch repeated; what components share may be
        computed once.
        """
        return self.log_prob_each(spread(x, self.n_components))

    def log_prior(self) -> Tensor:
        """Return the log density of the parameters in nats, shape (); 0 without a prior."""
        return self.log_weights.new_zeros(())

    @property
    def n_flows(self) -> int:
        """Number of flows that the K components go through, K / n_flows through each."""
        return self.n_components

    @property
    def n_parts(self) -> int:
        """Number of parts, K / n_parts components each, that share no parameter."""
        shared = [
            part.bijection.n_components for part in self.modules() if isinstance(part, Shared)
        ]
        return math.gcd(self.n_components, *shared)

    @property
    def is_separable(self) -> bool:
        """Whether every component has parameters of its own only, and no prior on them.

        Scaling a component's part of Q then changes neither its maximum nor another component.
        """
        return self.n_parts == self.n_components

    def sample_each(self, n_samples: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw ``n_samples`` from every component: (K, n_samples, *event); see ``sample``."""
        raise NotImplementedError

    def initialize(self, x: Tensor) -> None:
        """Set data-dependent parameters; x holds a batch for each component, (K, B, *event)."""
        raise NotImplementedError

    def log_prob_components(self, x: Tensor) -> Tensor:
        """Return log p_k(x_n) in nats: (N, *event) -> (N, K), in bounded memory.

        So far out that a flow's numbers overflow it is -inf.
        """

        def evaluate(part: Tensor) -> Tensor:
            return functional.far_out(self.log_prob_groups(part[None]).T, part)

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
    def sample(
        self, n_samples: int, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw from the mixture.

        Parameters
        ----------
        n_samples
            Number of samples.
        generator
            What draws, on the mixture's device; None is torch's global generator, as for
            ``torch.randn``.

        Returns
        -------
        x, component
            Samples (n_samples, *event), grouped by component, and their components
            (n_samples,), as scikit-learn's mixtures do.
        """
        probabilities = torch.exp(self.log_weights.double())
        drawn = torch.multinomial(probabilities, n_samples, replacement=True, generator=generator)
        counts = torch.bincount(drawn, minlength=self.n_components)
        each = self.sample_each(int(counts.max()), generator)
        component = torch.repeat_interleave(counts)
        within = torch.cat([torch.arange(n, device=counts.device) for n in counts.tolist()])
        return each[component, within], component

    @torch.no_grad()
    def select(self, index: Tensor) -> Self:
        """Return a copy that holds the components of the index, int64 (K',), in its order.

        Every parameter and buffer must be a bank, (K, ...), or belong to a shared flow.
        """
        copy = deepcopy(self)
        for part, rows in rows_of_parts(copy, index):
            for tensor in _own_tensors(part):
                tensor.data, tensor.grad = tensor.data[rows], None
            if isinstance(part, Mixture | Bijection):
                part.n_components = len(rows)
        return copy

    @torch.no_grad()
    def join(self, other: Mixture) -> Self:
        """Return a copy that holds this mixture's components, then the other's.

        Raises
        ------
        ValueError
            If the two differ in how many components share a flow.
        """
        if _sharing(self) != _sharing(other):
            raise ValueError(
                "only mixtures in which equally many components share a flow can be joined, got "
                f"{_sharing(self)} and {_sharing(other)}"
            )
        copy = deepcopy(self)
        for part, theirs in zip(copy.modules(), other.modules(), strict=True):
            for tensor, more in zip(_own_tensors(part), _own_tensors(theirs), strict=True):
                tensor.data, tensor.grad = torch.cat([tensor.data, more.to(tensor)]), None
            if isinstance(part, Mixture | Bijection) and isinstance(theirs, Mixture | Bijection):
                part.n_components += theirs.n_components
        return copy

    def _checked(self, x: Tensor) -> Tensor:
        if x.ndim == 0 or x.shape[1:] != self.event_shape:
            expected = ", ".join(str(n) for n in ("N", *self.event_shape))
            raise ValueError(f"x must have shape ({expected}), got {tuple(x.shape)}")
        return x


def _own_tensors(part: nn.Module) -> list[Tensor]:
    return [*part.parameters(recurse=False), *part.buffers(recurse=False)]


def _sharing(mixture: Mixture) -> list[int]:
    """Return how many components go through each flow, for every bank of shared flows."""
    shared = [part for part in mixture.modules() if isinstance(part, Shared)]
    return [part.n_components // part.bijection.n_components for part in shared]


def in_chunks(function: Callable[[Tensor], Tensor], x: Tensor, size: int) -> Tensor:
    """Apply a function to ``size`` samples at a time and join the results on the first axis."""
    if len(x) <= size:
        return function(x)
    return torch.cat([function(part) for part in x.split(size)])
