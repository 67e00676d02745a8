"""What stochastic methods share: batches, labels, a start from given responsibilities, weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mixflow.mixtures import functional
from mixflow.mixtures.base import Mixture
from mixflow.training.checkpoints import architecture, digest
from mixflow.training.objective import Objective

# How much of the running weights one batch's mean responsibilities replace.
WEIGHT_RATE = 0.02


@dataclass(frozen=True)
class MinibatchSettings:
    """How a stochastic method goes through its data.

    Attributes
    ----------
    batch_size
        Unlabelled samples in a step; labelled ones join as a batch of their own, at most as
        large.
    max_epochs
        Epochs of the whole fit: schedules follow the share that has passed.
    noise
        Sd of Gaussian noise on x, drawn anew in every step.
    start_share
        Share of the steps in which the given responsibilities stand for those of the method.
    learn_weights
        Move pi along the mean responsibilities; otherwise it stays uniform.
    label_weight
        Factor on the log density of labelled samples, each of which counts as one sample at 1.
    annihilation
        lambda of the penalty lambda H(mean responsibilities of a batch), which empties
        components that the data do not need.
    """

    batch_size: int = 256
    max_epochs: int = 100
    noise: float = 0.0
    start_share: float = 0.1
    learn_weights: bool = True
    label_weight: float = 1.0
    annihilation: float = 0.0


class Minibatches(Objective):
    r"""Climb a bound of :math:`\log p(x)` in batches; a subclass gives the bound.

    Parameters
    ----------
    module, mixture
        What moves, and the mixture in it.
    x
        Samples, shape (N, *event), on the mixture's device.
    labels
        Component of every sample (N,), int64; -1 where it is unknown. None: unknown everywhere.
    responsibilities
        Where to start, shape (N, K); None starts with the method's own.
    settings
        See :class:`MinibatchSettings`.
    validation
        Held-out samples; their mean log density is the validation score.
    """

    def __init__(
        self,
        module: nn.Module,
        mixture: Mixture,
        x: Tensor,
        labels: Tensor | None,
        responsibilities: Tensor | None,
        settings: MinibatchSettings,
        validation: Tensor | None = None,
    ) -> None:
        self.module, self.mixture = module, mixture
        self.x, self.settings, self.validation = x, settings, validation
        unknown = torch.full((len(x),), -1, device=x.device)
        self.labels = unknown if labels is None else labels.to(x.device)
        self.labelled = (self.labels >= 0).nonzero().flatten()
        self.unlabelled = (self.labels < 0).nonzero().flatten()
        self.start = None if responsibilities is None else responsibilities.to(x)
        each_epoch = self.unlabelled if len(self.unlabelled) else self.labelled
        self.steps_per_epoch = max(1, round(len(each_epoch) / settings.batch_size))
        self.weights = mixture.log_weights.exp()
        self.epoch = 0

    @torch.no_grad()
    def initialize(self, generator: torch.Generator | None = None) -> None:
        """Set data-dependent parameters of every component from samples that it starts with.

        The generator, on the samples' device, draws them; None is torch's global one.
        """
        if self.start is None:
            owned = self.x.new_ones(self.mixture.n_components, len(self.x))
        else:
            owned = self.start.T.clone()
            owned[owned.sum(1) <= 0] = 1.0
            self._set_weights(functional.update_weights(self.start))
        size = min(1024, max(8, 4 * len(self.x) // self.mixture.n_components))
        self.mixture.eval()  # nothing is dropped
        self.mixture.initialize(self.x[functional.systematic_draw(owned, size, generator)])
        self.mixture.train()

    def update(self, epoch: int, share: float) -> dict[str, float]:
        """Note the epoch, which schedules follow."""
        self.epoch = epoch
        return {}

    def share(self, step: int) -> float:
        """Return the share of the fit's steps that have passed, from 0 to below 1."""
        done = self.epoch * self.steps_per_epoch + step
        return done / (self.settings.max_epochs * self.steps_per_epoch)

    def plan(self) -> None:
        """Draw the epoch's batches: all unlabelled samples once, labelled ones in every step."""
        steps, size = self.steps_per_epoch, self.settings.batch_size
        self.batches = self._shuffled(self.unlabelled, steps, len(self.unlabelled))
        both = len(self.unlabelled) > 0
        n_labelled = steps * min(size, len(self.labelled)) if both else len(self.labelled)
        self.labelled_batches = self._shuffled(self.labelled, steps, n_labelled)

    def _shuffled(self, rows: Tensor, steps: int, size: int) -> tuple[Tensor, ...]:
        """Divide ``size`` draws among the steps; no sample comes twice before all came once."""
        if not len(rows):
            return (rows,) * steps
        rounds = -(-size // len(rows))
        how: dict[str, Any] = {"generator": self.generator, "device": rows.device}
        order = torch.cat([torch.randperm(len(rows), **how) for _ in range(rounds)])[:size]
        return rows[order].tensor_split(steps)

    def loss(self, step: int) -> Tensor:
        """Return minus the bound per sample, with the labelled samples' part, and the log prior."""
        n, share = len(self.x), self.share(step)
        total = self.x.new_zeros(())
        if len(rows := self.batches[step]):
            total = total + len(self.unlabelled) / n * self._unlabelled_loss(rows, share)
        if len(rows := self.labelled_batches[step]):
            total = total + self._labelled_loss(rows, share)
        return total - self.mixture.log_prior()

    def _unlabelled_loss(self, rows: Tensor, share: float) -> Tensor:
        x = self.noisy(self.x[rows], self.settings.noise)
        log_joint = self.mixture.log_joint(x)
        if self.start is not None and share < self.settings.start_share:
            return self._start_loss(x, log_joint, self.start[rows])
        bound, r = self._bound(x, log_joint, share)
        self._follow(r)
        penalty = self.settings.annihilation
        # The entropy's gradient is infinite at 0, where r may underflow to.
        extra = penalty * functional.entropy(r.mean(0).clamp_min(1e-12)) if penalty else 0.0
        return extra - bound.mean()

    def _labelled_loss(self, rows: Tensor, share: float) -> Tensor:
        x, y = self.noisy(self.x[rows], self.settings.noise), self.labels[rows]
        weight = self.settings.label_weight * len(self.labelled) / len(self.x)
        own = self.mixture.log_joint(x).gather(1, y[:, None])
        return -weight * own.mean() + self._label_loss(x, y)

    def _bound(self, x: Tensor, log_joint: Tensor, share: float) -> tuple[Tensor, Tensor]:
        """Return what to climb (b,) and the responsibilities (b, K) of a batch."""
        raise NotImplementedError

    def _start_loss(self, x: Tensor, log_joint: Tensor, r: Tensor) -> Tensor:
        return -functional.q_function(log_joint, r).mean()

    def _label_loss(self, x: Tensor, labels: Tensor) -> Tensor:
        """Return what labels teach beside the densities; nothing unless there is a network."""
        return x.new_zeros(())

    # Weights ---------------------------------------------------------------------------------

    @torch.no_grad()
    def _follow(self, responsibilities: Tensor) -> None:
        if self.settings.learn_weights:
            self._set_weights(self.weights.lerp(responsibilities.mean(0), WEIGHT_RATE))

    def _set_weights(self, weights: Tensor) -> None:
        if self.settings.learn_weights:
            self.weights = weights
            self.mixture.log_weights.copy_(weights.clamp_min(1e-12).log())

    @torch.no_grad()
    def validate(self) -> float | None:
        """Return the mean log density of the held-out samples in nats."""
        if self.validation is None:
            return None
        return float(self.mixture.log_prob(self.validation).mean())

    # Checkpoints -----------------------------------------------------------------------------

    def identity(self) -> dict[str, Any]:
        """Return the settings, and digests of the model, the data and the start."""
        data = {"x": self.x, "labels": self.labels}
        if self.validation is not None:
            data["x held out"] = self.validation
        start = {} if self.start is None else {"start": self.start}
        return {
            **asdict(self.settings),
            "method": type(self).__name__,
            "architecture": digest({}, str(architecture(self.module))),
            "data": digest(data),
            "start": digest({**start, **self.mixture.state_dict()}),
        }

    def tensors(self) -> dict[str, Tensor]:
        """Return the running weights, and the epoch that schedules follow."""
        return {"weights": self.weights, "epoch": torch.tensor(self.epoch, device="cpu")}

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Put them back."""
        self.weights = tensors["weights"].to(self.x)
        self.epoch = int(tensors["epoch"])
