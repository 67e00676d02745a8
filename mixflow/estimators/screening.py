"""Scoring by a large bank: all of it in float32, and in float64 what may matter."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor

from mixflow.mixtures import GenMM

# A bank of this many components or more is screened, this many samples at a time; e^-16 times
# the error of a log density in float32 (1e-3 for one of 10,000 nats) is 1e-10.
FROM, SAMPLES, NATS = 64, 512, 16.0


def pays(mixture: GenMM, x: Tensor) -> bool:
    """Whether a bank is large enough, its scores wanted in float64, and its training over."""
    training = any(p.requires_grad for p in mixture.parameters())
    return mixture.n_components >= FROM and x.dtype == torch.float64 and not training


class Screen:
    """Score a bank in float32, and in float64 only what is within ``NATS`` of a sample's best.

    The rest changes no probability by more than 1e-9.

    Parameters
    ----------
    mixture
        In float64.
    """

    def __init__(self, mixture: GenMM) -> None:
        self.mixture, self.rough = mixture, deepcopy(mixture).float()

    def log_joint(self, x: Tensor) -> Tensor:
        """Return log pi_k p_k(x): (N, *event) -> (N, K)."""
        joint = self.rough.log_joint(x.float()).double()
        sample, component = (joint > joint.amax(1, keepdim=True) - NATS).nonzero().T
        sharp = self.mixture.log_prob_pairs(x[sample], component)
        joint[sample, component] = sharp + self.mixture.log_weights[component]
        return joint
