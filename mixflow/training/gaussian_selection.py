"""How many Gaussians, and how smooth: chosen by the likelihood of held-out samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from mixflow.mixtures.gaussian import GaussianMixture
from mixflow.training.coordinates import standardised
from mixflow.training.gaussian_em import GaussianFits, climb, natural
from mixflow.training.gaussian_start import kmeans, seeds
from mixflow.training.gaussian_statistics import Samples

# From this many samples on a fifth is held out once; fewer are held out in turn.
ONE_SPLIT, FOLDS = 10_000, 5
# Numbers of components after the best one that are tried in vain; smoothings that stay when the
# worst is left out from one number to the next.
PATIENCE, KEPT = 2, 3
# Starts of a fit whose K and smoothing are chosen, of which the likeliest is kept.
STARTS = 5
# No held-out sample counts for a candidate by more nats below the best: one row of 1e6 among a
# thousand would decide alone, by as many nats as a float holds.
WORST = 50.0


class Smoothing(NamedTuple):
    """What is added to the covariance of every component, for standardised features.

    ``ridge`` times the identity, and ``shrinkage`` times the covariance of all samples, which
    keeps what all components have in common, collinear features above all.
    """

    ridge: float
    shrinkage: float = 0.0


N_COMPONENTS = (1, 2, 3, 4, 5, 7, 10, 14, 20, 28, 40, 50)
SMOOTHINGS = (
    *(Smoothing(ridge) for ridge in (1e-6, 1e-4, 1e-3, 1e-2, 3e-2, 1e-1)),
    *(Smoothing(1e-6, shrinkage) for shrinkage in (0.1, 0.3)),
)


@dataclass(frozen=True, eq=False)
class GaussianSelection:
    """A Gaussian mixture, and the candidates that it was chosen from.

    Attributes
    ----------
    mixture
        Fitted to all samples, in the units of x.
    n_components, smoothing
        The choice; components that own nothing are left out of the mixture.
    lower_bound
        Mean log p(x_n) of all samples in the last E-step, in nats.
    converged
        Whether the last fit was ready within the iterations allowed.
    candidates, smoothings
        Numbers of components (G,), of which the search did not try those after it stopped, and
        smoothings (L,).
    scores
        Mean log p of held-out samples in nats, shape (G, L), -inf where it was not tried; a sample
        counts for no less than 50 nats below its best.
    """

    mixture: GaussianMixture
    n_components: int
    smoothing: Smoothing
    lower_bound: float
    converged: bool
    candidates: tuple[int, ...]
    smoothings: tuple[Smoothing, ...]
    scores: Tensor


def select_gaussian_mixture(
    x: Tensor,
    n_components: int | Literal["auto"] = "auto",
    *,
    generator: torch.Generator,
    sample_weight: Tensor | None = None,
    smoothings: tuple[Smoothing, ...] = SMOOTHINGS,
    n_init: int = 1,
) -> GaussianSelection:
    """Fit a Gaussian mixture whose K and smoothing are chosen by held-out likelihood.

    Parameters
    ----------
    x
        Finite, shape (N, D).
    n_components
        K; ``"auto"`` tries 1 to 50, and stops after two numbers that are no better.
    generator
        Of the folds and the starts.
    sample_weight
        Non-negative, shape (N,).
    smoothings
        What to choose from. All are tried with one and two components; then each number of
        components leaves out the worst, until three are left.
    n_init
        Starts of every fit in the search, of which the likeliest is kept; the last fit has five
        at least.

    Raises
    ------
    ValueError
        If there are fewer than two samples, or fewer than components, or values are not finite
        or too large to be squared.
    """
    z, shift, scale = standardised(_checked(x, n_components))
    weight = z.new_ones(len(z)) if sample_weight is None else sample_weight.double()
    search = _Search(z, weight, smoothings, n_init, generator)
    candidates, scores = search.run(n_components)
    best, which = divmod(int(scores.argmax()), len(smoothings))
    fits, b = search.refit(candidates[best], which)
    log_scale = float(scale.log().sum())
    return GaussianSelection(
        fits.mixture(b).rescaled(shift, scale),
        candidates[best],
        smoothings[which],
        float(fits.lower_bound[b]) - log_scale,
        bool(fits.converged[b]),
        candidates,
        smoothings,
        scores - log_scale,
    )


def fit_gaussian_mixture(
    x: Tensor,
    n_components: int,
    smoothing: Smoothing,
    *,
    generator: torch.Generator,
    sample_weight: Tensor | None = None,
) -> GaussianMixture:
    """Fit a Gaussian mixture of K components, those that own nothing included.

    See :func:`select_gaussian_mixture`, whose last fit this is.
    """
    z, shift, scale = standardised(x.double())
    weight = z.new_ones(len(z)) if sample_weight is None else sample_weight.double()
    fits, b = _Search(z, weight, (smoothing,), 1, generator).refit(n_components, 0)
    mixture = GaussianMixture(fits.weights[b], fits.means[b], fits.covariances[b])
    return mixture.rescaled(shift, scale)


class _Search:
    """Fits of standardised samples (N, D), for folds, starts and L smoothings at once."""

    def __init__(
        self,
        z: Tensor,
        weight: Tensor,
        smoothings: tuple[Smoothing, ...],
        n_init: int,
        generator: torch.Generator,
    ) -> None:
        self.z, self.weight, self.n_init, self.generator = z, weight, n_init, generator
        self.added = torch.stack([_added(z, smoothing) for smoothing in smoothings])

    def run(self, n_components: int | Literal["auto"]) -> tuple[tuple[int, ...], Tensor]:
        """Return the numbers of components that were tried, (G,), and their scores, (G, L)."""
        held_out = folds(len(self.z), self.generator)
        train = self.weight * ~held_out
        most = int((train > 0).sum(1).min()) // 2
        grid = [k for k in N_COMPONENTS if k <= max(1, most)]
        grid = grid if n_components == "auto" else [n_components]
        samples = Samples(self.z, train)
        starts = self._starts(train, grid[-1])
        log_prob = self.z.new_full((len(grid), len(self.added), len(self.z)), -torch.inf)
        kept = torch.arange(len(self.added))
        with samples.threads():
            for g, k in enumerate(grid):
                log_prob[g, kept] = self._held_out(samples, starts[:, :k], held_out, kept)
                scores = self._scores(log_prob[: g + 1], held_out)
                if g - int(scores.amax(1).argmax()) >= PATIENCE:
                    break
                if g and len(kept) > KEPT:
                    kept = kept[scores[g, kept].argsort(descending=True)[:-1]]
        return tuple(grid[: g + 1]), scores

    def refit(self, k: int, which: int) -> tuple[GaussianFits, int]:
        """Fit all samples from several starts; return the fits and which is the likeliest."""
        self.n_init = max(self.n_init, STARTS)
        samples = Samples(self.z, self.weight[None])
        with samples.threads():
            starts = self._starts(self.weight[None], k)
            fits = self._fits(samples, starts, self.added[which : which + 1])
        return fits, int(fits.lower_bound.argmax())

    def _starts(self, weights: Tensor, k: int) -> Tensor:
        """Return centres for every weighting and start: (F, N) -> (F I, K, D)."""
        return seeds(self.z, weights.repeat_interleave(self.n_init, 0), k, self.generator)

    def _fits(self, samples: Samples, starts: Tensor, added: Tensor) -> GaussianFits:
        """Fit every smoothing, weighting and start: L F I mixtures."""
        row = torch.arange(len(starts)) // self.n_init
        sums, n = kmeans(samples, starts, row), len(added)
        ridge = added.repeat_interleave(len(row), 0)
        return climb(samples, sums.repeat(n, 1, 1), row.repeat(n), ridge)

    def _held_out(self, samples: Samples, starts: Tensor, held_out: Tensor, kept: Tensor) -> Tensor:
        """Return log p of every sample under the fits that did not see it, (L', N)."""
        fits = self._fits(samples, starts, self.added[kept])
        of_inits = fits.lower_bound.view(-1, self.n_init)
        best = of_inits.argmax(1) + self.n_init * torch.arange(len(of_inits))
        chosen = natural(fits.weights[best], fits.means[best], fits.covariances[best])
        log_prob = samples.log_prob(chosen).view(len(kept), len(held_out), -1)
        return torch.where(held_out, log_prob, 0.0).sum(1)

    def _scores(self, log_prob: Tensor, held_out: Tensor) -> Tensor:
        """Return weighted means over the held-out samples: (G, L, N) -> (G, L)."""
        weight = self.weight * held_out.any(0)
        tried = log_prob.isfinite().any(2)
        least = log_prob.amax((0, 1)) - WORST
        scores = torch.maximum(log_prob, least) @ weight / weight.sum()
        return torch.where(tried, scores, -torch.inf)


def folds(n: int, generator: torch.Generator, one_split: int = ONE_SPLIT) -> Tensor:
    """Return which of N samples every fit leaves out, bool (F, N): F = 1 from one_split on."""
    fold = torch.empty(n, dtype=torch.int64)
    fold[torch.randperm(n, generator=generator)] = torch.arange(n) % FOLDS
    return fold == torch.arange(1 if n >= one_split else min(FOLDS, n))[:, None]


def _added(z: Tensor, smoothing: Smoothing) -> Tensor:
    near = z.clamp(-10, 10)
    near = near - near.mean(0)
    shared = smoothing.shrinkage * (near.T @ near) / len(z)
    return shared + smoothing.ridge * torch.eye(z.shape[1], dtype=z.dtype)


def _checked(x: Tensor, n_components: int | str) -> Tensor:
    if not x.isfinite().all():
        raise ValueError("x must be finite; drop or fill in missing values")
    if len(x) < 2:
        raise ValueError(f"to choose a mixture takes at least 2 samples, got {len(x)}")
    if isinstance(n_components, int) and not 1 <= n_components <= len(x):
        raise ValueError(f"n_components must be from 1 to N = {len(x)}, got {n_components}")
    return x.double()
