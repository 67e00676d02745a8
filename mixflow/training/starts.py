"""Where a density starts: a Gaussian mixture, in the coordinates in which it does best."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from mixflow.flows.marginals import Marginals
from mixflow.mixtures.functional import stacked_score
from mixflow.mixtures.gaussian import GaussianMixture
from mixflow.training.coordinates import FARTHEST, normal_marginals, standard_units
from mixflow.training.gaussian_selection import (
    GaussianSelection,
    fit_gaussian_mixture,
    folds,
    select_gaussian_mixture,
)

# Of samples (N, D): a map into coordinates in which a Gaussian mixture is fitted.
Coordinates = Callable[[Tensor], Marginals]
COORDINATES: tuple[Coordinates, ...] = (standard_units, normal_marginals)
# The sd of a density that is broader than all components, in standard units.
BROAD = 2.0
# From this many samples on flows are judged by a fifth, held out once.
ONE_SPLIT = 2000


@dataclass(frozen=True, eq=False)
class Start:
    """A Gaussian mixture in coordinates of its own."""

    coordinates: Marginals
    mixture: GaussianMixture

    def transform(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return samples in its coordinates and the log det: (N, D) -> (N, D), (N,)."""
        z, log_det = self.coordinates(x[None])
        return z[0].clamp(-FARTHEST, FARTHEST), log_det[0]

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p(x_n) of the mixture and of the broad density in nats: (N, D) -> (2, N)."""
        z, log_det = self.transform(x)
        constant = math.log(BROAD) + 0.5 * math.log(2 * math.pi)
        broad = -(0.5 * (z / BROAD).square() + constant).sum(1)
        return torch.stack([self.mixture.log_prob(z), broad]) + log_det


@dataclass(frozen=True, eq=False)
class ChosenStart:
    """A start that was chosen by samples held out.

    Attributes
    ----------
    held_out
        Samples that each of F folds leaves out, bool (F, N).
    folds
        Starts of the folds, which know nothing of these.
    last
        The start that all samples gave.
    selection
        How its mixture was chosen, in its coordinates.
    scores
        Mean log p of held-out samples in nats, by coordinates.
    """

    held_out: Tensor
    folds: tuple[Start, ...]
    last: Start
    selection: GaussianSelection
    scores: dict[str, float]


def choose_start(
    x: Tensor,
    weight: Tensor,
    n_components: int | Literal["auto"],
    *,
    generator: torch.Generator,
    coordinates: Sequence[Coordinates] = COORDINATES,
) -> ChosenStart:
    """Choose coordinates, K and the smoothing by held-out likelihood.

    Parameters
    ----------
    x
        Samples, (N, D), float64.
    weight
        Positive, (N,).
    n_components
        See :func:`mixflow.training.gaussian_selection.select_gaussian_mixture`.
    generator
        Of all draws.
    coordinates
        What to choose from; later ones that are none of their own are left out.
    """
    held_out = folds(len(x), generator, ONE_SPLIT)
    found: list[ChosenStart] = []
    scores: dict[str, float] = {}
    for choice in coordinates:
        own = choice(x)
        if found and not own.bends:
            continue
        start = _fitted(x, weight, n_components, choice, held_out, generator)
        scores[choice.__name__] = _score(start, x, weight)
        found.append(start)
    best = int(torch.tensor(list(scores.values())).argmax())
    chosen = found[best]
    return ChosenStart(held_out, chosen.folds, chosen.last, chosen.selection, scores)


def _fitted(
    x: Tensor,
    weight: Tensor,
    n_components: int | Literal["auto"],
    choice: Coordinates,
    held_out: Tensor,
    generator: torch.Generator,
) -> ChosenStart:
    """Return the starts of all folds and of all samples in one kind of coordinates."""

    def transformed(rows: Tensor) -> tuple[Marginals, Tensor]:
        own = choice(x[rows])
        return own, own(x[rows][None])[0][0].clamp(-FARTHEST, FARTHEST)

    all_rows = torch.ones_like(held_out[0])
    own, z = transformed(all_rows)
    selection = select_gaussian_mixture(z, n_components, generator=generator, sample_weight=weight)
    starts = []
    for out in held_out:
        fold, z = transformed(~out)
        mixture = fit_gaussian_mixture(
            z,
            selection.n_components,
            selection.smoothing,
            generator=generator,
            sample_weight=weight[~out],
        )
        starts.append(Start(fold, mixture))
    return ChosenStart(held_out, tuple(starts), Start(own, selection.mixture), selection, {})


def _score(start: ChosenStart, x: Tensor, weight: Tensor) -> float:
    pairs = [*zip(start.folds, start.held_out, strict=True)]
    log_prob = torch.cat([fold.log_prob(x[out]) for fold, out in pairs], 1)
    return stacked_score(log_prob, torch.cat([weight[out] for _, out in pairs]))
