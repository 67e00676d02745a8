"""A density for any table: flows that start from a Gaussian mixture and stay beside it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from mixflow.flows import Bijection, Shared
from mixflow.flows.started import StartedFlow, StartedSplines
from mixflow.flows.whitening import Whitening
from mixflow.mixtures.defensive import DefensiveMixture
from mixflow.mixtures.functional import stacked_score, stacking_shares
from mixflow.mixtures.gaussian import GaussianMixture
from mixflow.training.coordinates import strays
from mixflow.training.gaussian_selection import GaussianSelection
from mixflow.training.likelihood import Divided, FlowMixtures, Likelihood
from mixflow.training.loop import fit
from mixflow.training.objective import LoopSettings, TrainingDiverged
from mixflow.training.starts import BROAD, COORDINATES, Coordinates, Start, choose_start

# One cycle: the rate rises for this share of the steps, then falls to zero.
RISE = 0.2
SETTINGS = LoopSettings(
    max_epochs=50, learning_rate=2e-3, weight_decay=1e-4, validate_every=1, patience=10
)
# Largest value of a stray, in standard units: its square is a number.
SQUARED = 1e150
# Weights below count as this: of components that own nothing.
LEAST = 1e-30


@dataclass(frozen=True, eq=False)
class DensityFit:
    """A density, and what it was chosen from.

    Attributes
    ----------
    mixture
        In the units of x, float64: every component is a flow, the Gaussian that it started from
        and a broad density, in fixed shares.
    start
        The Gaussian mixture that it started from, in coordinates of its own.
    selection
        How its K and smoothing were chosen.
    coordinates
        Mean log p of held-out samples in nats, by the coordinates that were tried.
    scores
        Mean log p of held-out samples in nats, at the start and after every epoch.
    n_epochs
        The epoch of the best score, 0 the start: how long the flows then learned from all samples.
    shares
        Of flows, Gaussians and broad density, chosen by held-out samples.
    n_strays
        Rows that lie far from all others: fits leave them out, and a density of their own has
        their share.
    """

    mixture: DefensiveMixture
    start: Start
    selection: GaussianSelection
    coordinates: dict[str, float]
    scores: tuple[float, ...]
    n_epochs: int
    shares: Tensor
    n_strays: int


def fit_density(
    x: Tensor,
    n_components: int | Literal["auto"] = "auto",
    *,
    generator: torch.Generator,
    sample_weight: Tensor | None = None,
    flow: StartedFlow = StartedSplines,
    settings: LoopSettings = SETTINGS,
    batch_size: int = 128,
    coordinates: Sequence[Coordinates] = COORDINATES,
) -> DensityFit:
    """Fit a mixture of flows that held-out samples find no worse than a Gaussian mixture.

    The Gaussian mixture comes first: its K, smoothing and coordinates are those under which
    held-out samples are likeliest. Flows start there, and climb the likelihood for as many epochs
    as held-out samples ask for, none included; below 2000 samples each is held out in turn. Then
    flows learn from all samples for that many epochs. The flows, the Gaussians and a broad density
    are added in the shares that make the held-out samples likeliest; no share is zero, so that no
    sample's density falls far below its Gaussian's.

    Parameters
    ----------
    x
        Finite, shape (N, D).
    n_components
        K, or ``"auto"``.
    generator
        Of the CPU, of all draws.
    sample_weight
        Non-negative, shape (N,).
    flow
        Makes a bank of flows from Gaussians; it must start there.
    settings
        Of the loop; ``warmup`` and ``seed`` are set here.
    batch_size
        Samples in a step.
    coordinates
        What to choose from.

    Raises
    ------
    ValueError
        If there are fewer than two samples, or fewer than components, or values are not finite or
        too large to be squared.
    """
    x, weight, odd = _checked(x, sample_weight)
    inner, own = x[~odd], weight[~odd]
    chosen = choose_start(inner, own, n_components, generator=generator, coordinates=coordinates)
    seed = int(torch.randint(2**62, (), generator=generator))
    settings = replace(settings, seed=seed, resume=False)

    def objective(starts: Sequence[Start], held_out: Tensor) -> Likelihood:
        module = FlowMixtures(*_flows(starts, flow, generator))
        return Likelihood(module, _divided(inner, own, starts, held_out), batch_size)

    folds = objective(chosen.folds, chosen.held_out)
    scores, shares = _judged(folds, settings)
    n_epochs = max(range(len(scores)), key=scores.__getitem__)
    trained = None
    if n_epochs:
        last = objective([chosen.last], torch.zeros_like(chosen.held_out[:1]))
        if _climbed(last, replace(settings, stop=n_epochs, patience=None)) is not None:
            trained = last.module
    share = float(weight[odd].sum() / weight.sum())
    mixture = _assembled(chosen.last, trained, shares, x[odd], share)
    return DensityFit(
        mixture,
        chosen.last,
        chosen.selection,
        chosen.scores,
        tuple(scores),
        n_epochs,
        shares,
        int(odd.sum()),
    )


# Training ------------------------------------------------------------------------------------


def _judged(folds: Likelihood, settings: LoopSettings) -> tuple[list[float], Tensor]:
    """Train the folds; return the scores from the start on, and the shares at the best."""
    log_prob, weight = folds.stack()
    first = stacked_score(log_prob[1:], weight)
    history = _climbed(folds, settings)
    scores = [first] if history is None else [first, *history]
    if max(scores) == first:
        return scores, torch.cat([weight.new_zeros(1), stacking_shares(log_prob[1:], weight)])
    return scores, stacking_shares(*folds.stack())  # the loop left the best parameters


def _climbed(objective: Likelihood, settings: LoopSettings) -> list[float] | None:
    """Train; return the scores of the epochs, None with a warning where it went astray."""
    steps = settings.max_epochs * objective.steps_per_epoch
    try:
        done = fit(objective, replace(settings, warmup=round(RISE * steps)))
    except TrainingDiverged as error:
        warnings.warn(f"the Gaussian mixture stays as it is: {error}", stacklevel=3)
        return None
    return [*map(float, done.history.get("validation_score", ()))]


def _flows(
    starts: Sequence[Start], flow: StartedFlow, generator: torch.Generator
) -> tuple[Bijection, Tensor]:
    """Return a bank of flows from the components of all starts, and log weights, (G, K)."""
    mixtures = [start.mixture for start in starts]
    joined = GaussianMixture(
        torch.cat([mixture.weights for mixture in mixtures]),
        torch.cat([mixture.means for mixture in mixtures]),
        torch.cat([mixture.covariances for mixture in mixtures]),
    )
    bank = flow(joined.means, joined.precisions_cholesky, generator).float()
    return bank, torch.stack([_log_weights(mixture) for mixture in mixtures]).float()


def _divided(x: Tensor, weight: Tensor, starts: Sequence[Start], held_out: Tensor) -> Divided:
    moved = [start.transform(x) for start in starts]
    joint = [start.mixture.log_joint(z) for start, (z, _) in zip(starts, moved, strict=True)]
    return Divided(
        torch.stack([z for z, _ in moved]).float(),
        torch.stack([log_det for _, log_det in moved]).float(),
        torch.stack(joint).clamp_min(-1 / LEAST).float(),
        torch.stack([start.log_prob(x) for start in starts], 1).float(),
        (weight * ~held_out).float(),
        (weight * held_out).float(),
    )


def _log_weights(mixture: GaussianMixture) -> Tensor:
    return mixture.weights.clamp_min(LEAST).log()


# The result ----------------------------------------------------------------------------------


def _assembled(
    start: Start, trained: FlowMixtures | None, shares: Tensor, odd: Tensor, odd_share: float
) -> DefensiveMixture:
    """Put flows, Gaussians, broad density and strays together; without flows if there are none."""
    own, (k, d) = start.mixture, start.mixture.means.shape
    scale = own.means.new_full((d,), BROAD)
    flows: list[Bijection] = [
        Whitening(own.means, own.precisions_cholesky),
        _one_gaussian(k, torch.zeros_like(scale), scale),
    ]
    log_weights = [_log_weights(own)] * 2
    parts = shares[1:] / shares[1:].sum() if trained is None else shares
    if trained is not None:
        flows.insert(0, trained.flow.double())
        log_weights.insert(0, trained.log_weights[0].detach().double())
    if len(odd):
        z = start.coordinates(odd[None])[0][0].clamp(-SQUARED, SQUARED)
        flows.append(_one_gaussian(k, z.mean(0), (z.var(0, correction=0) + BROAD**2).sqrt()))
        log_weights.append(_log_weights(own))
        parts = torch.cat([parts * (1 - odd_share), parts.new_tensor([odd_share])])
    log_joint = torch.stack(log_weights, 1) + parts.log()
    total = log_joint.logsumexp(1)
    coordinates = Shared(start.coordinates, k)
    mixture = DefensiveMixture(coordinates, flows, log_joint - total[:, None], total)
    return mixture.requires_grad_(False).eval()


def _one_gaussian(k: int, mean: Tensor, scale: Tensor) -> Whitening:
    """Return K times the Gaussian of independent features, means and sds (D,)."""
    return Whitening(mean.expand(k, -1), torch.diag(1 / scale).expand(k, -1, -1))


def _checked(x: Tensor, sample_weight: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Return samples that count, their weights, and which are strays."""
    if not x.isfinite().all():
        raise ValueError("x must be finite; drop or fill in missing values")
    x = x.double()
    weight = x.new_ones(len(x)) if sample_weight is None else sample_weight.double()
    x, weight = x[weight > 0], weight[weight > 0]
    if len(x) < 2:
        raise ValueError(f"to fit a density takes at least 2 samples, got {len(x)}")
    return x, weight, strays(x)
