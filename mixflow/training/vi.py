"""Variational inference: flows and posterior network climb the ELBO together (VMoNF)."""

from __future__ import annotations

from dataclasses import dataclass

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
    """

    temperature: Temperature = 1.0
    cross_entropy_weight: float = 1.0
    smoothing: float = 0.1
    consistency: float = 0.0
    consistency_noise: float = 0.1


class VI(Minibatches):
    """Climb the ELBO of a VMoNF; the arguments are those of :class:`Minibatches`.

    Labelled samples add log p(x, c = y) and the log of q(y | x). The released code has the
    latter's sign wrong (arXiv 2009.00585).
    """

    module: VMoNF
    settings: VISettings

    def _bound(self, x: Tensor, log_joint: Tensor, share: float) -> tuple[Tensor, Tensor]:
        log_q = self.module.log_q(x, temperature_at(self.settings.temperature, share, 1))
        q = log_q.exp()
        # Not functional.lower_bound: the gradient of -q log q is infinite where q underflows.
        bound = (q * (log_joint - log_q)).sum(1)
        if self.settings.consistency:
            near = x + self.settings.consistency_noise * torch.randn_like(x)
            kl = functional.divergence(log_q.detach(), self.module.log_q(near))
            bound = bound - self.settings.consistency * kl
        return bound, q

    def _start_loss(self, x: Tensor, log_joint: Tensor, r: Tensor) -> Tensor:
        smoothing = self.settings.smoothing
        target = (1 - smoothing) * r + smoothing / r.shape[1]
        taught = F.cross_entropy(self.module.log_q(x), target)
        return super()._start_loss(x, log_joint, r) + taught

    def _label_loss(self, x: Tensor, labels: Tensor) -> Tensor:
        weight = self.settings.cross_entropy_weight
        return weight * F.cross_entropy(self.module.log_q(x), labels)
