"""The gradient of log p(x): mixtures of flows that start from Gaussian mixtures, G at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mixflow.flows import Bijection
from mixflow.mixtures.functional import stacked_score, standard_normal_log_prob
from mixflow.training.checkpoints import architecture, digest
from mixflow.training.objective import Objective

# A component matters to a sample where it is less than this below the largest, in nats.
NEAR = 7.0


class FlowMixtures(nn.Module):
    """Hold G mixtures of K flows, with weights that are learned.

    Parameters
    ----------
    flow
        A bank of G K.
    log_weights
        Where the weights start, (G, K).
    """

    def __init__(self, flow: Bijection, log_weights: Tensor) -> None:
        super().__init__()
        self.flow = flow
        self.logits = nn.Parameter(log_weights.clone())

    @property
    def log_weights(self) -> Tensor:
        """Log weights of the components, (G, K)."""
        return self.logits.log_softmax(1)

    def log_prob(self, z: Tensor, start: Tensor) -> Tensor:
        """Return log p of a batch for every mixture: (G, B, D) -> (G, B).

        Only components that matter go through their flows; the others, below a thousandth of the
        largest at the start, count as they did there.

        Parameters
        ----------
        z
            Samples.
        start
            log pi_k + log p_k of the Gaussians that the flows started from, (G, B, K).
        """
        near = start > start.amax(2, keepdim=True) - NEAR
        rows = padded(near.mT.flatten(0, 1))
        each = z.repeat_interleave(self.logits.shape[1], 0)
        latent, log_det = self.flow(each.gather(1, rows[..., None].expand(-1, -1, z.shape[2])))
        own = standard_normal_log_prob(latent) + log_det + self.log_weights.view(-1, 1)
        log_joint = start.mT.flatten(0, 1).scatter(1, rows, own)
        return torch.logsumexp(log_joint.unflatten(0, self.logits.shape), 1)


@dataclass(frozen=True, eq=False)
class Divided:
    """Samples in the coordinates of G mixtures, and which of them each learns from.

    Attributes
    ----------
    z, log_det
        Samples, (G, N, D), and the log det of the coordinates, (G, N).
    start
        log pi_k + log p_k(z_n) of the Gaussians that the flows start from, (G, N, K).
    guards
        log p(x_n) of the start and of a broad density, (2, G, N): what the mixture is stacked with.
    train, held_out
        Weights of the samples that each learns from, and of those that it is judged by, (G, N).
    """

    z: Tensor
    log_det: Tensor
    start: Tensor
    guards: Tensor
    train: Tensor
    held_out: Tensor


class Likelihood(Objective):
    """Climb the mean log density of the training samples.

    Parameters
    ----------
    module
        G mixtures.
    data
        What they learn from.
    batch_size
        Samples in a step, for each mixture.

    Notes
    -----
    While it trains, the broad density has a share as of a tenth of a sample: a stray that all
    components have lost pulls none of them.

    The validation score is the mean log density of held-out samples under the best shares of the
    mixture, its start and the broad density.
    """

    def __init__(self, module: FlowMixtures, data: Divided, batch_size: int) -> None:
        self.module: FlowMixtures = module
        self.data = data
        self.n_components = len(data.z)
        self.log_guard = -float(torch.tensor(10.0 * data.z.shape[1]).log())
        self.groups = torch.arange(len(data.z))[:, None]
        self.per_epoch = int((data.train > 0).sum(1).min())
        self.steps_per_epoch = max(1, round(self.per_epoch / batch_size))
        self.judged = padded(data.held_out > 0)

    def plan(self) -> None:
        """Draw the epoch's batches: as many samples for every mixture, each once at most."""
        order = torch.rand(self.data.train.shape, generator=self.generator)
        order = order.masked_fill(self.data.train <= 0, 2.0).argsort(1)[:, : self.per_epoch]
        self.batches = order.tensor_split(self.steps_per_epoch, 1)

    def loss(self, step: int) -> Tensor:
        """Return minus the sum over mixtures of the weighted mean log density."""
        at = self.groups, self.batches[step]
        broad = self.data.guards[1][at] + self.log_guard
        log_prob = torch.logaddexp(self._log_prob(self.batches[step]), broad)
        weight = self.data.train[at]
        return -((log_prob * weight).sum(1) / weight.sum(1)).sum()

    @torch.no_grad()
    def stack(self) -> tuple[Tensor, Tensor]:
        """Return what held-out samples say: log p of mixture, start and broad density, weights.

        Shapes (3, M) and (M,), over all mixtures; float64.
        """
        self.module.eval()  # nothing is dropped, nor drawn
        parts = [self._log_prob(rows) for rows in self.judged.split(1024, 1)]
        log_prob = torch.cat(parts, 1).nan_to_num(nan=-torch.inf, posinf=torch.inf)
        at = self.groups, self.judged
        stacked = torch.cat([log_prob[None], self.data.guards[:, *at]]).double()
        weight = self.data.held_out[at].double()
        return stacked[:, weight > 0], weight[weight > 0]

    def validate(self) -> float | None:
        """Return the mean log density of the held-out samples, None without any."""
        return stacked_score(*self.stack()) if self.judged.numel() else None

    def identity(self) -> dict[str, Any]:
        """Return digests of the model and the data."""
        return {
            "method": type(self).__name__,
            "architecture": digest({}, str(architecture(self.module))),
            "data": digest(vars(self.data)),
            "start": digest(self.module.state_dict()),
        }

    def _log_prob(self, rows: Tensor) -> Tensor:
        at = self.groups, rows
        return self.module.log_prob(self.data.z[at], self.data.start[at]) + self.data.log_det[at]


def padded(chosen: Tensor) -> Tensor:
    """Return the indices of what is chosen in every row, padded by others: (G, N) -> (G, n)."""
    n = int(chosen.sum(1).max())
    return (~chosen).to(torch.uint8).argsort(dim=1, stable=True)[:, :n]
