"""How many Gaussians, and how smooth: chosen by the likelihood of held-out samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from mixflow.mixtures.gaussian import GaussianMixture
from mixflow.training.gaussian_em import GaussianFits, climb, natural
from mixflow.training.gaussian_start import kmeans, seeds
from mixflow.training.gaussian_statistics import Samples

# From this many samples on a fifth is held out once; fewer are held out in turn.
ONE_SPLIT, FOLDS = 10_000, 5
# Numbers of components after the best one that are tried in vain.
PATIENCE = 4
# No held-out sample counts for a candidate by more nats below the best: one row of 1e6 among a
# thousand would decide alone, by as many nats as a float holds.
WORST = 50.0
# Values farther out count as this far in the fit, in standardised units: their squares are summed.
FARTHEST = 1e8


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
        Mean log p of held-out samples in nats, shape (G, L); a sample counts for no less than 50
        nats below its best.
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
    tol: float = 1e-3,
    max_iter: int = 100,
) -> GaussianSelection:
    """Fit a Gaussian mixture whose K and smoothing are chosen by held-out likelihood.

    Parameters
    ----------
    x
        Finite, shape (N, D).
    n_components
        K; ``"auto"`` tries 1 to 50, and stops after four numbers that are no better.
    generator
        Of the folds and the starts.
    sample_weight
        Non-negative, shape (N,).
    smoothings
        What to choose from.
    n_init
        Starts of every fit, of which the one with the largest likelihood is kept.
    tol, max_iter
        See :func:`mixflow.training.gaussian_em.gaussian_em`.

    Raises
    ------
    ValueError
        If there are fewer than two samples, or fewer than components, or values are not finite
        or too large to be squared.
    """
    z, shift, scale = standardised(_checked(x, n_components))
    weight = z.new_ones(len(z)) if sample_weight is None else sample_weight.double()
    added = torch.stack([_added(z, smoothing) for smoothing in smoothings])
    search = _Search(z, weight, added, n_init, generator, tol, max_iter)
    candidates, scores = search.run(n_components)
    best, which = divmod(int(scores.argmax()), len(smoothings))
    fits = search.refit(candidates[best], which)
    b = int(fits.lower_bound.argmax())
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


class _Search:
    """Fits of standardised samples (N, D), for folds, starts and smoothings (L, D, D) at once."""

    def __init__(
        self,
        z: Tensor,
        weight: Tensor,
        added: Tensor,
        n_init: int,
        generator: torch.Generator,
        tol: float,
        max_iter: int,
    ) -> None:
        self.z, self.weight, self.added, self.n_init = z, weight, added, n_init
        self.generator, self.tol, self.max_iter = generator, tol, max_iter

    def run(self, n_components: int | Literal["auto"]) -> tuple[tuple[int, ...], Tensor]:
        """Return the numbers of components that were tried, (G,), and their scores, (G, L)."""
        held_out = folds(self.z, self.generator)
        train = self.weight * ~held_out
        most = int((train > 0).sum(1).min()) // 2
        grid = [k for k in N_COMPONENTS if k <= max(1, most)]
        grid = grid if n_components == "auto" else [n_components]
        samples = Samples(self.z, train)
        starts = self._starts(train, grid[-1])
        rows: list[Tensor] = []
        with samples.threads():
            for k in grid:
                rows.append(self._held_out(samples, starts[:, :k], held_out))
                scores = self._scores(torch.stack(rows), held_out)
                if len(rows) - 1 - int(scores.amax(1).argmax()) >= PATIENCE:
                    break
        return tuple(grid[: len(rows)]), scores

    def refit(self, k: int, which: int) -> GaussianFits:
        """Fit all samples, from every start."""
        samples = Samples(self.z, self.weight[None])
        with samples.threads():
            starts = self._starts(self.weight[None], k)
            return self._fits(samples, starts, self.added[which : which + 1])

    def _starts(self, weights: Tensor, k: int) -> Tensor:
        """Return centres for every weighting and start: (F, N) -> (F I, K, D)."""
        return seeds(self.z, weights.repeat_interleave(self.n_init, 0), k, self.generator)

    def _fits(self, samples: Samples, starts: Tensor, added: Tensor) -> GaussianFits:
        """Fit every smoothing, weighting and start: L F I mixtures."""
        row = torch.arange(len(starts)) // self.n_init
        sums, n = kmeans(samples, starts, row), len(added)
        ridge = added.repeat_interleave(len(row), 0)
        sums, row = sums.repeat(n, 1, 1), row.repeat(n)
        return climb(samples, sums, row, ridge, tol=self.tol, max_iter=self.max_iter)

    def _held_out(self, samples: Samples, starts: Tensor, held_out: Tensor) -> Tensor:
        """Return log p of every sample under the fits that did not see it, (L, N)."""
        fits, shape = self._fits(samples, starts, self.added), (len(self.added), -1, self.n_init)
        best = fits.lower_bound.view(shape).argmax(2) + self.n_init * torch.arange(
            len(self.added) * len(held_out)
        ).view(len(self.added), -1)
        chosen = natural(fits.weights, fits.means, fits.covariances)[best.flatten()]
        log_prob = samples.log_prob(chosen).view(*best.shape, -1)
        return torch.where(held_out, log_prob, 0.0).sum(1)

    def _scores(self, log_prob: Tensor, held_out: Tensor) -> Tensor:
        """Return weighted means over the held-out samples: (G, L, N) -> (G, L)."""
        weight = self.weight * held_out.any(0)
        least = log_prob.amax((0, 1)) - WORST
        return torch.maximum(log_prob, least) @ weight / weight.sum()


def folds(x: Tensor, generator: torch.Generator) -> Tensor:
    """Return which samples every fit leaves out, bool (F, N)."""
    n = len(x)
    fold = torch.empty(n, dtype=torch.int64)
    fold[torch.randperm(n, generator=generator)] = torch.arange(n) % FOLDS
    return fold == torch.arange(1 if n >= ONE_SPLIT else min(FOLDS, n))[:, None]


def standardised(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return features of mean 0 and variance 1, whatever a few rows hold: z, shift, scale.

    Mean and sd are of values that are moved to at most twice the range of the middle nine tenths
    beyond it: few samples of a Gaussian are. Where these tenths are one value, the scale is the
    median distance of the other values; that of a constant is its size.
    """
    last = len(x) - 1
    order, first = x.sort(0).values, -(-last // 20)
    low, high, middle = order[first], order[last - first], order[last // 2]
    reach = 2 * (high - low)
    near = x.clamp(low - reach, high + reach)
    distance = (x - middle).abs()
    others = torch.where(distance > 0, distance, torch.nan).nanmedian(0).values
    others = torch.where(others.isnan(), middle.abs(), others)
    others = torch.where(others > 0, others, 1.0)
    shift = torch.where(reach > 0, near.mean(0), middle)
    scale = torch.where(reach > 0, near.std(0, correction=0), others)
    if not (scale.square().isfinite() & (scale.square() > 0)).all():
        raise ValueError("divide the features by their sizes: squares of x are no numbers")
    z = ((x - shift) / scale).clamp(-FARTHEST, FARTHEST)
    return z, shift, scale


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
