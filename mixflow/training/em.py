"""Expectation-maximization with gradient M-steps (EM-GM, arXiv 1907.13432, algorithms 1 and 2)."""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from mixflow.mixtures import functional
from mixflow.mixtures.base import Mixture
from mixflow.training.checkpoints import architecture, digest
from mixflow.training.groups import Groups
from mixflow.training.objective import Objective
from mixflow.training.schedules import Temperature, bank_rows, temperature_at

MStep = Literal["auto", "sparse", "dense"]


@dataclass(frozen=True)
class EMSettings:
    """What is particular to EM.

    Attributes
    ----------
    em_every
        Epochs between E-steps.
    temperature
        T of the posterior: a number (1 is Bayes' rule), a pair (start, end), or
        "per_dimension", as published.
    m_step
        ``"dense"``: every component sees every sample, weighted by its responsibility.
        ``"sparse"``: every component draws samples in proportion to its responsibilities; the
        cost of an epoch does not grow with K. ``"auto"``: dense while a group fits into one
        batch, which makes the M-step exact, else sparse.
    batch_size
        Samples of each group in one step, all components together.
    noise
        Sd of Gaussian noise on x, drawn anew in every M-step pass.
    e_step_noise
        Sd of the noise on x in E-steps and validation, one draw for all components. None for
        noise that only keeps flows from overfitting; that of the M-step for noise that makes
        discrete values, such as grey levels, continuous.
    min_mass
        A component whose summed responsibilities fall below this many samples is dead.
    restart_dead
        Restart a dead component as a half of its group's largest one; otherwise only warn.
    compile
        Compile the M-step's densities with ``torch.compile``.
    """

    em_every: int = 5
    temperature: Temperature = 1.0
    m_step: MStep = "auto"
    batch_size: int = 256
    noise: float = 0.0
    e_step_noise: float = 0.0
    min_mass: float = 1.0
    restart_dead: bool = True
    compile: bool = False


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
        self.n_components = mixture.n_components
        self.x, self.settings = x, settings
        self.groups = groups.to(x.device, x.dtype)
        each = mixture.log_prob_each
        self.log_prob_each = torch.compile(each) if settings.compile else each
        self.validation = None
        if validation is not None:
            self.validation = validation[0], validation[1].to(x.device, x.dtype)
        self.k = mixture.n_components // groups.n_groups
        self.fresh = responsibilities is not None
        shape = (groups.n_groups, groups.size, self.k)
        start = x.new_full(shape, 1 / self.k) if responsibilities is None else responsibilities
        self.responsibilities = start.to(x) * (self.groups.weight > 0)[..., None]
        self._lay_out()

    def _lay_out(self) -> None:
        n, batch_size = self.groups.size, self.settings.batch_size
        self.steps_per_epoch = max(1, round(n / batch_size))
        fits = n <= batch_size
        self.dense = self.settings.m_step == "dense" or (self.settings.m_step == "auto" and fits)
        self.exact = self.dense and fits
        share = 1 if self.dense else self.k
        self.batch = -(-n // (share * self.steps_per_epoch))

    # E-step ----------------------------------------------------------------------------------

    @torch.no_grad()
    def start(self) -> None:
        """Initialise the components on the samples that they own, and the weights."""
        self.mixture.initialize(self._drawn(self._draw(self._owned(), min(1024, self._own_size()))))
        self._update_weights()

    def update(self, epoch: int, share: float) -> dict[str, float]:
        """Run the E-step when it is due."""
        if epoch % self.settings.em_every or (epoch == 0 and self.fresh):
            return {}
        self.mixture.eval()
        record = self.e_step(temperature_at(self.settings.temperature, share, self._n_features()))
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
        self._update_weights()
        return record

    def finish(self) -> dict[str, float]:
        """Run a last E-step, so that the weights belong to the last parameters."""
        return self.e_step(temperature_at(self.settings.temperature, 1.0, self._n_features()))

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
            part = _noisy(x[index], self.settings.e_step_noise)
            each = self.mixture.log_prob_each(self._to_components(part))
            parts.append(each.unflatten(0, (-1, self.k)).transpose(1, 2))
        return torch.cat(parts, dim=1)

    def _to_components(self, x: Tensor) -> Tensor:
        """Hand a group's batch to all of its components: (G, b, *event) -> (G K, b, *event)."""
        return x[:, None].expand(-1, self.k, *x.shape[1:]).flatten(0, 1)

    def _log_weights(self) -> Tensor:
        return self.mixture.log_weights.view(-1, self.k).log_softmax(1)

    def _update_weights(self) -> None:
        prior = self.mixture.log_weights.view(-1, self.k).logsumexp(1, keepdim=True)
        weights = functional.update_weights(self.responsibilities, self.groups.weight)
        self.mixture.log_weights.copy_((weights.clamp_min(1e-12).log() + prior).flatten())

    def _mean(self, values: Tensor, groups: Groups | None = None) -> float:
        weight = (groups or self.groups).weight
        return float((values * weight).sum() / weight.sum())

    def _n_features(self) -> int:
        return self.mixture.n_features

    # Dead components -------------------------------------------------------------------------

    def _handle_dead(self) -> int:
        mass = (self.responsibilities * self.groups.weight[..., None]).sum(1)
        dead = (mass < self.settings.min_mass).nonzero().tolist()
        for group, k in dead if self.settings.restart_dead else []:
            self._restart(group, k, int(mass[group].argmax()))
            mass = (self.responsibilities * self.groups.weight[..., None]).sum(1)
        if dead and not self.settings.restart_dead:
            warnings.warn(
                f"{len(dead)} components own less than {self.settings.min_mass:g} samples; take "
                "fewer components, or restart_dead=True",
                stacklevel=2,
            )
        return len(dead)

    def _restart(self, group: int, dead: int, largest: int) -> None:
        """Copy the largest component, and divide its samples along their main direction."""
        base = group * self.k
        slots = self.optimizer.state.values() if self.optimizer is not None else ()
        moments = [m for slot in slots for m in slot.values()]
        # All but the log weights: they follow from the responsibilities, and hold P(group).
        state = [t for n, t in self.mixture.state_dict().items() if n != "log_weights"]
        for tensor in bank_rows([*state, *moments], self.mixture.n_components):
            tensor.data[base + dead] = tensor.data[base + largest]
        owned = self.responsibilities[group, :, largest]
        x = self.x[self.groups.index[group]].flatten(1)
        mean = (owned @ x) / owned.sum()
        centred = (x - mean) * owned.sqrt()[:, None]
        direction = torch.linalg.eigh(centred.T @ centred)[1][:, -1]
        side = (x - mean) @ direction > 0
        self.responsibilities[group, :, dead] = torch.where(side, owned, 0)
        self.responsibilities[group, :, largest] = torch.where(side, 0, owned)

    # M-step ----------------------------------------------------------------------------------

    def plan(self) -> None:
        """Draw the epoch's samples: per component in a sparse M-step, else per group."""
        if self.exact:
            return
        weights = self.groups.weight if self.dense else self._owned()
        self.draws = self._draw(weights, self.batch * self.steps_per_epoch)

    def loss(self, step: int) -> Tensor:
        """Return minus Q, up to a positive factor per component.

        A sparse step divides each component's part of Q by its own mass, a dense one by N / K.
        Components share no parameters, so the maximum and Adam's steps are the same.
        """
        if self.exact:
            batch = self.groups.index
            weight = self.groups.weight[..., None] * self.responsibilities
            weight = weight * (self.k / self.groups.weight.sum(1))[:, None, None]
            return self._dense_loss(batch, weight)
        columns = slice(step * self.batch, (step + 1) * self.batch)
        draws = self.draws[:, columns]
        if self.dense:
            weight = self.responsibilities.gather(1, draws[..., None].expand(-1, -1, self.k))
            return self._dense_loss(
                self.groups.index.gather(1, draws), weight * (self.k / draws.shape[1])
            )
        x = _noisy(self._drawn(draws), self.settings.noise)
        return -self.log_prob_each(x).mean(1).sum()

    def _dense_loss(self, batch: Tensor, weight: Tensor) -> Tensor:
        x = _noisy(self.x[batch], self.settings.noise)
        each = self.log_prob_each(self._to_components(x))
        return -(each * weight.transpose(1, 2).flatten(0, 1)).sum()

    def _owned(self) -> Tensor:
        """Return how much of every sample a component owns: (G K, n), rows of positive sum."""
        owned = (self.responsibilities * self.groups.weight[..., None]).transpose(1, 2)
        empty = owned.sum(2, keepdim=True) <= 0
        return torch.where(empty, self.groups.weight[:, None], owned).flatten(0, 1)

    def _own_size(self) -> int:
        return max(2, -(-self.groups.size // self.k)) * 4

    def _draw(self, weights: Tensor, size: int) -> Tensor:
        return functional.systematic_draw(weights, size)

    def _drawn(self, draws: Tensor) -> Tensor:
        """Return the samples of drawn columns: (G K, b) -> (G K, b, *event)."""
        index = self.groups.index.repeat_interleave(self.k, 0)
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


def _noisy(x: Tensor, sd: float) -> Tensor:
    return x + sd * torch.randn_like(x) if sd else x
