"""Expectation-maximization with gradient M-steps (EM-GM, arXiv 1907.13432, algorithms 1 and 2)."""

from __future__ import annotations

import math
import warnings
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from mixflow.flows.bijection import spread
from mixflow.mixtures import functional
from mixflow.mixtures.base import Mixture
from mixflow.training.checkpoints import architecture, digest
from mixflow.training.compiled import compiled
from mixflow.training.directions import main_direction
from mixflow.training.em_settings import EMSettings
from mixflow.training.groups import Groups
from mixflow.training.objective import Objective
from mixflow.training.schedules import bank_rows, temperature_at


class EM(Objective):
    """Alternate E-steps over all data with gradient M-steps, for G groups at once.

    Parameters
    ----------
    mixture
        Its components are G groups of K: component g K + k belongs to group g.
    x
        Samples, shape (N, *event), on the mixture's device.
    groups
        Which samples belong to which group.
    responsibilities
        Where to start, shape (G, n, K); None starts with an E-step.
    settings
        See :class:`EMSettings`.
    validation
        Held-out samples and their groups; their mean log density is the validation score.

    Notes
    -----
    The log weights hold log(P(group) pi_k); EM moves pi within a group and leaves P(group).
    """

    def __init__(
        self,
        mixture: Mixture,
        x: Tensor,
        groups: Groups,
        responsibilities: Tensor | None,
        settings: EMSettings,
        validation: tuple[Tensor, Groups] | None = None,
    ) -> None:
        self.module = self.mixture = mixture
        self.n_components = mixture.n_parts
        self.x, self.settings = x, settings
        self.groups = groups.to(x.device, x.dtype)
        self.log_prob = compiled(mixture) if settings.compile else mixture.log_prob_groups
        self.validation = None
        if validation is not None:
            self.validation = validation[0], validation[1].to(x.device, x.dtype)
        self.k = mixture.n_components // groups.n_groups
        self.n_flows = mixture.n_flows // groups.n_groups
        # The loss per part of the bank is a mean over samples.
        self.scale = mixture.n_parts / groups.n_groups
        self.fresh = responsibilities is not None
        shape = (groups.n_groups, groups.size, self.k)
        start = x.new_full(shape, 1 / self.k) if responsibilities is None else responsibilities
        self.responsibilities = start.to(x) * (self.groups.weight > 0)[..., None]
        self._lay_out()

    def _lay_out(self) -> None:
        n, batch_size = self.groups.size, self.settings.batch_size
        fits = n <= batch_size
        auto = self.settings.m_step == "auto" and (fits or self.n_flows == 1 < self.k)
        self.dense = self.settings.m_step == "dense" or auto
        self.exact = self.dense and fits
        if self.dense:
            self.steps_per_epoch = max(1, round(n / batch_size))
            self.per_step = math.ceil(n / self.steps_per_epoch)
        else:
            self.per_step = max(1, round(min(n, batch_size) / self.n_flows))
            self.steps_per_epoch = max(1, round(n / (self.per_step * self.n_flows)))

    # E-step ----------------------------------------------------------------------------------

    @torch.no_grad()
    def start(self, generator: torch.Generator | None = None) -> None:
        """Initialise the components on the samples that they own, and the weights.

        The generator, on the samples' device, draws them; None is torch's global one.
        """
        size = min(1024, self._own_size())
        draws = functional.systematic_draw(self._owned(self.k), size, generator)
        self.mixture.eval()  # nothing is dropped
        self.mixture.initialize(self._drawn(draws))
        self.mixture.train()
        self._update_weights()

    def update(self, epoch: int, share: float) -> dict[str, float]:
        """Run the E-step when it is due."""
        if epoch % self.settings.em_every or (epoch == 0 and self.fresh):
            return {}
        self.mixture.eval()
        record = self.e_step(
            temperature_at(self.settings.temperature, share, self.mixture.n_features)
        )
        self.mixture.train()
        return record

    @torch.no_grad()
    def e_step(self, temperature: float) -> dict[str, float]:
        """Set responsibilities and weights from the present parameters; return measures."""
        log_prob = self._log_prob(self.x, self.groups)
        log_weights = self._log_weights()[:, None]
        real = (self.groups.weight > 0)[..., None]
        r = functional.posterior(log_prob, log_weights, temperature) * real
        self.responsibilities = r
        log_joint = log_prob + log_weights
        record = {
            "log_likelihood": self._mean(torch.logsumexp(log_joint, -1)),
            "lower_bound": self._mean(functional.lower_bound(log_joint, r)),
            "largest_responsibility": self._mean(r.amax(-1)),
            "temperature": temperature,
            "dead": float(self._handle_dead()),
        }
        if not self.mixture.is_separable:
            record["log_prior"] = float(self.mixture.log_prior())
        self._update_weights()
        return record

    def finish(self) -> dict[str, float]:
        """Run a last E-step, so that the weights belong to the last parameters."""
        return self.e_step(temperature_at(self.settings.temperature, 1.0, self.mixture.n_features))

    @torch.no_grad()
    def validate(self) -> float | None:
        """Return the mean log density of the validation share under its own groups."""
        if self.validation is None:
            return None
        x, groups = self.validation
        log_joint = self._log_prob(x, groups) + self._log_weights()[:, None]
        return self._mean(torch.logsumexp(log_joint, -1), groups)

    @torch.no_grad()
    def group_log_likelihoods(self) -> Tensor:
        """Return the mean log density of every group's samples in nats, shape (G,)."""
        log_joint = self._log_prob(self.x, self.groups) + self._log_weights()[:, None]
        weight = self.groups.weight
        return (torch.logsumexp(log_joint, -1) * weight).sum(1) / weight.sum(1)

    def _log_prob(self, x: Tensor, groups: Groups) -> Tensor:
        """Return every sample's log density under its own group: (G, n, K), in chunks."""
        parts = []
        for index in groups.index.split(self.mixture.chunk, dim=1):
            part = self.noisy(x[index], self.settings.e_step_noise)
            each = self.mixture.log_prob_groups(part)
            parts.append(each.unflatten(0, (-1, self.k)).transpose(1, 2))
        return torch.cat(parts, dim=1)

    def _log_weights(self) -> Tensor:
        return self.mixture.log_weights.view(-1, self.k).log_softmax(1)

    def _update_weights(self) -> None:
        prior = self.mixture.log_weights.view(-1, self.k).logsumexp(1, keepdim=True)
        weights = functional.update_weights(self.responsibilities, self.groups.weight)
        self.mixture.log_weights.copy_((weights.clamp_min(1e-12).log() + prior).flatten())

    def _mean(self, values: Tensor, groups: Groups | None = None) -> float:
        weight = (groups or self.groups).weight
        # Padding may have no density at all.
        return float(torch.where(weight > 0, values * weight, 0).sum() / weight.sum())

    # Dead components -------------------------------------------------------------------------

    def _handle_dead(self) -> int:
        mass = (self.responsibilities * self.groups.weight[..., None]).sum(1)
        dead = (mass < self.settings.min_mass).nonzero().tolist()
        for group, k in dead if self.settings.restart_dead else []:
            self._restart(group, k, self._donor(mass[group], k))
            mass = (self.responsibilities * self.groups.weight[..., None]).sum(1)
        if dead and not self.settings.restart_dead:
            warnings.warn(
                f"{len(dead)} components own less than {self.settings.min_mass:g} samples; take "
                "fewer components, or restart_dead=True",
                stacklevel=2,
            )
        return len(dead)

    def _donor(self, mass: Tensor, dead: int) -> int:
        """Return the largest component of those through the same flow, or, if dead too, of all."""
        sources = self.k // self.n_flows
        first = dead // sources * sources
        own = mass[first : first + sources]
        return int(mass.argmax() if own.max() < self.settings.min_mass else first + own.argmax())

    def _restart(self, group: int, dead: int, largest: int) -> None:
        """Copy the largest component, and divide its samples along their main direction."""
        base, sources = group * self.k, self.k // self.n_flows
        slots = self.optimizer.state.values() if self.optimizer is not None else ()
        moments = [m for slot in slots for m in slot.values()]
        # All but the log weights: they follow from the responsibilities, and hold P(group).
        state = [t for n, t in self.mixture.state_dict().items() if n != "log_weights"]
        for tensor in bank_rows([*state, *moments], self.mixture.n_components):
            tensor.data[base + dead] = tensor.data[base + largest]
        for tensor in bank_rows([*state, *moments], self.mixture.n_flows):
            tensor.data[(base + dead) // sources] = tensor.data[(base + largest) // sources]
        owned = self.responsibilities[group, :, largest]
        x = self.x[self.groups.index[group]].flatten(1)
        mean = (owned @ x) / owned.sum()
        centred = (x - mean) * owned.sqrt()[:, None]
        side = (x - mean) @ main_direction(centred, self.generator) > 0
        self.responsibilities[group, :, dead] = torch.where(side, owned, 0)
        self.responsibilities[group, :, largest] = torch.where(side, 0, owned)

    # M-step ----------------------------------------------------------------------------------

    def plan(self) -> None:
        """Draw the epoch's samples: per flow in a sparse M-step, else per group."""
        if self.exact:
            return
        weights = self.groups.weight if self.dense else self._owned(self.n_flows)
        size = self.per_step * self.steps_per_epoch
        self.draws = functional.systematic_draw(weights, size, self.generator)

    def batch(self, step: int) -> tuple[Tensor, ...]:
        """Return a batch of every group or flow and its weights in Q, where it has any.

        Shapes (R, b, *event) and (R, b, K / R), the same in every step. Of components that share
        no parameter and have no prior a sparse step divides each one's part of Q by its own mass:
        the maximum and Adam's steps are the same, and there are no weights.
        """
        if self.exact:
            weight = self.groups.weight[..., None] * self.responsibilities
            weight = weight * (self.scale / self.groups.weight.sum(1))[:, None, None]
            return self.x[self.groups.index], weight
        draws = self.draws[:, step * self.per_step : (step + 1) * self.per_step]
        if self.dense:
            weight = self.responsibilities.gather(1, draws[..., None].expand(-1, -1, self.k))
            x = self.x[self.groups.index.gather(1, draws)]
            return x, weight * (self.scale / draws.shape[1])
        if self.mixture.is_separable:
            return (self._drawn(draws),)
        return self._drawn(draws), self._drawn_weight(draws)

    def loss_of(self, *batch: Tensor) -> Tensor:
        """Return minus Q and the log prior, up to a positive factor per separable component."""
        x, *weight = batch
        each = self.log_prob(self.noisy(x, self.settings.noise))
        if not weight:
            return -each.mean(1).sum()
        q = (each * weight[0].transpose(1, 2).flatten(0, 1)).sum()
        return -q - self.scale * self.mixture.log_prior()

    def _drawn_weight(self, draws: Tensor) -> Tensor:
        """Return the weights in Q of what flows drew: (G F, b) -> (G F, b, K / F)."""
        r = self.responsibilities.unflatten(2, (self.n_flows, -1)).transpose(1, 2).flatten(0, 1)
        mass = self._owned(self.n_flows, fill=False).sum(1)
        total = self.groups.weight.sum(1).repeat_interleave(self.n_flows)
        drawn = r.gather(1, draws[..., None].expand(-1, -1, r.shape[2]))
        within = drawn / drawn.sum(2, keepdim=True).clamp_min(torch.finfo(r.dtype).tiny)
        return within * (self.scale * mass / total / draws.shape[1])[:, None, None]

    def _owned(self, n_rows: int, *, fill: bool = True) -> Tensor:
        """Return how much of every sample the components of a row own: (G n_rows, n).

        ``fill`` gives rows that own nothing all samples, so that they can draw.
        """
        r = self.responsibilities.unflatten(2, (n_rows, -1)).sum(3)
        owned = (r * self.groups.weight[..., None]).transpose(1, 2)
        if fill:
            empty = owned.sum(2, keepdim=True) <= 0
            owned = torch.where(empty, self.groups.weight[:, None], owned)
        return owned.flatten(0, 1)

    def _own_size(self) -> int:
        return max(2, -(-self.groups.size // self.k)) * 4

    def _drawn(self, draws: Tensor) -> Tensor:
        """Return the samples of drawn columns: (G R, b) -> (G R, b, *event)."""
        index = spread(self.groups.index, len(draws))
        return self.x[index.gather(1, draws)]

    # Checkpoints -----------------------------------------------------------------------------

    def identity(self) -> dict[str, Any]:
        """Return the settings, and digests of the model, the data, the groups and the start."""
        start = {"responsibilities": self.responsibilities.argmax(-1)}
        data = {"x": self.x, "index": self.groups.index, "weight": self.groups.weight}
        if self.validation is not None:
            x, groups = self.validation
            data |= {"x held out": x, "index held out": groups.index}
        return {
            **asdict(self.settings),
            "n_components": [self.groups.n_groups, self.k],
            "architecture": digest({}, str(architecture(self.mixture))),
            "data": digest(data),
            "start": digest(start if self.fresh else self.mixture.state_dict()),
        }

    def tensors(self) -> dict[str, Tensor]:
        """Return the responsibilities, which outlive the epoch of their E-step."""
        return {"responsibilities": self.responsibilities}

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Put the responsibilities back."""
        self.responsibilities = tensors["responsibilities"].to(self.x)
