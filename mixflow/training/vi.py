"""Variational inference: flows and posterior network climb the ELBO together (VMoNF)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mixflow.mixtures import functional
from mixflow.mixtures.vmonf import VMoNF
from mixflow.training.minibatches import Minibatches, MinibatchSettings
from mixflow.training.schedules import Temperature, temperature_at


@dataclass(frozen=True)
class VISettings(MinibatchSettings):
    """What is particular to variational inference.

    Attributes
    ----------
    temperature
        T of the network's softmax while training: a number, or a pair (start, end).
    cross_entropy_weight
        Factor on the cross-entropy of q at labelled samples.
    smoothing
        Share of probability that q is taught to leave to all components in the start.
    consistency
        Factor on KL(q(c | x) || q(c | x')), x' being x with more noise.
    consistency_noise
        Sd of that noise.
    posterior_shift
        Pixels, at most, by which images move at random, up, down, left and right, where q is
        taught: by labels, by the start, and as x' of consistency.
    """

    temperature: Temperature = 1.0
    cross_entropy_weight: float = 1.0
    smoothing: float = 0.1
    consistency: float = 0.0
    consistency_noise: float = 0.1
    posterior_shift: int = 0


class VI(Minibatches):
    """Climb the ELBO of a VMoNF; the arguments are those of :class:`Minibatches`.

    Labelled samples add log p(x, c = y) and the log of q(y | x). The released code has the
    latter's sign wrong (arXiv 2009.00585).
    """

    module: VMoNF
    settings: VISettings

    def loss(self, step: int) -> Tensor:
        """Return minus the ELBO per sample, with what labels teach."""
        temperature = temperature_at(self.settings.temperature, self.share(step), 1)
        self.module.temperature.fill_(temperature)
        return super().loss(step)

    def _bound(self, x: Tensor, log_joint: Tensor, share: float) -> tuple[Tensor, Tensor]:
        log_q = self.module.log_q(x)
        q = log_q.exp()
        # Not functional.lower_bound: the gradient of -q log q is infinite where q underflows.
        bound = (q * (log_joint - log_q)).sum(1)
        if self.settings.consistency:
            near = self._moved(x + self.settings.consistency_noise * self.noise_like(x))
            kl = functional.divergence(log_q.detach(), self.module.log_q(near))
            bound = bound - self.settings.consistency * kl
        return bound, q

    def _start_loss(self, x: Tensor, log_joint: Tensor, r: Tensor) -> Tensor:
        smoothing = self.settings.smoothing
        target = (1 - smoothing) * r + smoothing / r.shape[1]
        taught = F.cross_entropy(self.module.log_q(self._moved(x)), target)
        return super()._start_loss(x, log_joint, r) + taught

    def _label_loss(self, x: Tensor, labels: Tensor) -> Tensor:
        weight = self.settings.cross_entropy_weight
        return weight * F.cross_entropy(self.module.log_q(self._moved(x)), labels)

    def _moved(self, x: Tensor) -> Tensor:
        return shifted(x, self.settings.posterior_shift, self.generator)


def shifted(images: Tensor, most: int, generator: torch.Generator | None = None) -> Tensor:
    """Move every image by -most ... most pixels along each axis, its border repeated.

    Parameters
    ----------
    images
        Shape (N, C, H, W).
    most
        Largest shift in pixels; 0 returns the images themselves and draws nothing.
    generator
        What draws, on the images' device; None is torch's global generator.

    Returns
    -------
    Tensor
        Shape (N, C, H, W).
    """
    if not most:
        return images
    n, _, height, width = images.shape
    padded = F.pad(images, (most,) * 4, mode="replicate")
    how: dict[str, Any] = {"generator": generator, "device": images.device}
    start = torch.randint(2 * most + 1, (2, n, 1), **how)
    rows = start[0] + torch.arange(height, device=images.device)
    columns = start[1] + torch.arange(width, device=images.device)
    each = torch.arange(n, device=images.device)[:, None, None]
    # Indices on both sides of the slice: the channels come last.
    windows = padded[each, :, rows[:, :, None], columns[:, None, :]]
    return windows.permute(0, 3, 1, 2)
