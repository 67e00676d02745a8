"""How many Gaussians, and how smooth: chosen by held-out likelihood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from mixflow.mixtures.gaussian import GaussianMixture
from mixflow.training.gaussian_em import GaussianFits, climb, natural
from mixflow.training.gaussian_start import kmeans, seeds
from mixflow.training.gaussian_statistics import Samples

N_COMPONENTS = (1, 2, 3, 4, 5, 7, 10, 14, 20, 28, 40, 50)
RIDGES = (1e-6, 1e-4, 1e-3, 1e-2, 1e-1)
CAP = 50.0


@dataclass(frozen=True, eq=False)
class GaussianSelection:
    mixture: GaussianMixture
    n_components: int
    ridge: float
    grid: tuple[int, ...]
    ridges: tuple[float, ...]
    scores: Tensor
    rows: Tensor | None = None


def select_gaussian_mixture(
    x: Tensor,
    n_components: int | Literal["auto"] = "auto",
    *,
    ridges: tuple[float, ...] = RIDGES,
    grid=N_COMPONENTS,
    n_folds: int = 5,
    one_split_from: int = 10_000,
    n_init: int = 1,
    generator: torch.Generator,
    tol: float = 1e-3,
    max_iter: int = 100,
    cap=CAP,
    patience=2,
    verbose=False,
) -> GaussianSelection:
    z, shift, scale = standardised(x.double())
    n = len(z)
    train, held = folds(n, n_folds, n >= one_split_from, generator)
    fewest = int(train.sum(1).min())
    grid = tuple(k for k in grid if k == 1 or 2 * k <= fewest) if n_components == "auto" else (n_components,)
    samples = Samples(z, torch.cat([train, held]))
    f = len(train)
    table, rows_all = [], []
    with samples.threads():
        start = seeds(z, train.repeat_interleave(n_init, 0), grid[-1], generator)
        best, stale = None, 0
        for k in grid:
            rows = _held_out(samples, start[:, :k], ridges, f, n_init, held, tol, max_iter)
            rows_all.append(rows)
            table.append(rows.mean(1))
            if best is None or table[-1].max() > best:
                best, stale = table[-1].max(), 0
            else: stale += 1
            if stale >= patience: break
    rows_all = torch.stack(rows_all)
    m = rows_all.flatten(0, 1).amax(0) - cap
    scores = torch.maximum(rows_all, m).mean(2)
    c, r = divmod(int(scores.flatten().argmax()), len(ridges))
    k, ridge = grid[c], ridges[r]
    fit = refit(z, k, ridge, max(n_init,1), generator, tol, max_iter)
    return GaussianSelection(fit.rescaled(shift, scale), k, ridge, grid, ridges, scores, rows_all)


def refit(z, k, ridge, n_init, generator, tol, max_iter):
    w = z.new_ones(1, len(z))
    s = Samples(z, w)
    row = torch.zeros(n_init, dtype=torch.int64)
    with s.threads():
        st = seeds(z, w.repeat(n_init, 1), k, generator)
        fits = climb(s, kmeans(s, st, row), row, ridge, tol=tol, max_iter=max_iter)
    return fits.mixture(int(fits.lower_bound.argmax()))


def _held_out(samples, centres, ridges, f, n_init, held, tol, max_iter):
    """(L, H): log p of every held-out sample under each ridge."""
    row = torch.arange(f).repeat_interleave(n_init)
    sums = kmeans(samples, centres, row)
    L = len(ridges)
    rows = row.repeat(L)
    ridge = torch.tensor(ridges, dtype=torch.float64).repeat_interleave(len(row))[:, None]
    fits = climb(samples, sums.repeat(L, 1, 1), rows, ridge, tol=tol, max_iter=max_iter)
    lp = samples.log_prob(natural(fits.weights, fits.means, fits.covariances))
    lp = lp.view(L, f, n_init, -1)
    which = fits.lower_bound.view(L, f, n_init).argmax(2)
    lp = lp.gather(2, which[:, :, None, None].expand(-1, -1, 1, lp.shape[3]))[:, :, 0]
    return torch.cat([lp[:, i, held[i] > 0] for i in range(f)], 1)


def folds(n, n_folds, single, generator):
    order = torch.randperm(n, generator=generator)
    fold = torch.empty(n, dtype=torch.int64)
    k = min(n_folds, n)
    fold[order] = torch.arange(n) % k
    held = (fold == torch.arange(1 if single else k)[:, None]).double()
    return 1 - held, held


def standardised(x):
    """Robust: sd of values clipped."""
    lo = x.quantile(0.05, 0, interpolation="higher") if len(x) < 1e5 else None
    n = len(x)
    s = x.sort(0).values
    i = int(-(-0.05 * (n - 1) // 1))
    lo, hi = s[i], s[n - 1 - i]
    shift = s[(n - 1) // 2]
    reach = 2 * (hi - lo)
    wide = (reach > 0)
    clipped = torch.where(wide, x.clamp(lo - reach, hi + reach), x)
    mean, sd = clipped.mean(0), clipped.std(0, correction=0)
    scale = torch.where(sd > 0, sd, torch.where(mean != 0, mean.abs(), 1.0))
    return (x - mean) / scale, mean, scale
