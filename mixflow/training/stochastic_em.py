"""EM whose E-step is done anew on every batch, and the plain gradient of log p(x)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from mixflow.mixtures import functional
from mixflow.training.minibatches import Minibatches, MinibatchSettings

Posterior = Literal["exact", "per_dimension", "hard", "gradient"]


@dataclass(frozen=True)
class StochasticEMSettings(MinibatchSettings):
    """What is particular to it.

    Attributes
    ----------
    posterior
        ``"exact"``: Bayes' rule; ``"per_dimension"``: log densities divided by D; ``"hard"``:
        1 for the most responsible component; ``"gradient"``: no responsibilities, the bound is
        log p(x) itself, whose gradient equals that of ``"exact"`` (Fisher's identity).
    """

    posterior: Posterior = "exact"


class StochasticEM(Minibatches):
    """Climb Q with the responsibilities of each batch's own E-step; see :class:`Minibatches`."""

    settings: StochasticEMSettings

    def _bound(self, x: Tensor, log_joint: Tensor, share: float) -> tuple[Tensor, Tensor]:
        kind = self.settings.posterior
        # With a graph, for penalties on the responsibilities; Q itself takes them as given.
        r = torch.softmax(log_joint, dim=1)
        if kind == "gradient":
            return torch.logsumexp(log_joint, 1), r
        if kind == "per_dimension":
            log_weights = self.mixture.log_weights
            r = functional.posterior(log_joint - log_weights, log_weights, x[0].numel())
        if kind == "hard":
            r = F.one_hot(log_joint.argmax(1), log_joint.shape[1]).to(log_joint)
        return functional.q_function(log_joint, r.detach()), r
