"""GMM-basis: what its experiments share, random targets, binned samples, rules, rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from companion.runs.result import ROW_COLUMNS
from mixflow import basis
from mixflow.datasets.univariate import Family, UnivariateMixture, random_mixture

# How the table of targets calls the families.
DATASETS: dict[Family, str] = {
    "gaussians": "8 random Gaussians",
    "mixed": "8 random Normal/T/Uniform",
}
SIGMAS = (1, 2, 3)  # of the paper's tables, in units of r
SEEDS = tuple(range(5))
# The improved rule, chosen on targets of other seeds: a wider basis and one EM step.
WIDEN, EM_STEPS = 1.4, 1

_PER_TARGET = ("low", "high", "counts", "borders", "target_cdf")

T = TypeVar("T")
Learned = tuple[np.ndarray, Any]  # weights (T, n) and sd in cells
Rule = Callable[[np.ndarray], Learned]


@dataclass(frozen=True)
class Sample:
    """Points of T targets, one column each.

    Attributes
    ----------
    targets
        The T distributions that the points are from.
    x
        Points (N, T).
    """

    targets: Sequence[UnivariateMixture]
    x: np.ndarray

    def points(self, n_samples: int) -> Sample:
        """Return the sample with the first points of each target only."""
        return Sample(self.targets, self.x[:n_samples])


@dataclass(frozen=True)
class Grid:
    """A sample binned on a grid: all that the rules look at, and the truth to compare with.

    Attributes
    ----------
    low, high
        Bounds of each target's grid, (T,).
    counts
        Points per cell, (T, n).
    borders, target_cdf
        Borders of the cells and the targets' distribution there, (T, n + 1).
    seconds
        What finding the bounds and counting took, for all T.
    """

    low: np.ndarray
    high: np.ndarray
    counts: np.ndarray
    borders: np.ndarray
    target_cdf: np.ndarray
    seconds: float

    @property
    def n(self) -> int:
        """Number of cells."""
        return int(self.counts.shape[1])

    def first(self, n_targets: int) -> Grid:
        """Return the grids of the first targets."""
        return self._part(slice(0, n_targets))

    def only(self, target: int) -> Grid:
        """Return the grid of one target."""
        return self._part(slice(target, target + 1))

    def _part(self, rows: slice) -> Grid:
        values = {name: getattr(self, name)[rows] for name in _PER_TARGET}
        seconds = self.seconds * len(values["counts"]) / len(self.counts)
        return Grid(**values, seconds=seconds)

    def loss(self, learned: Learned) -> np.ndarray:
        """Return L of weights and sd, (T,)."""
        weights, sigma = learned
        loss: np.ndarray = basis.basis_loss(weights, sigma, self.target_cdf)
        return loss

    def loss_of_cdf(self, values: np.ndarray) -> np.ndarray:
        """Return L of any model from its distribution at the borders (T, n + 1), (T,)."""
        ends = np.zeros((len(values), 1)), np.ones((len(values), 1))
        masses = np.diff(np.concatenate([ends[0], values, ends[1]], axis=1), axis=1)
        loss: np.ndarray = basis.mass_loss(masses, self.target_cdf)
        return loss

    def curve(self, learned: Learned, u: np.ndarray) -> np.ndarray:
        """Return densities of x at the positions u (G,) in cells: (T, G)."""
        weights, sigma = learned
        width = (self.high - self.low) / self.n
        at = np.repeat(u[:, None], len(weights), axis=1)
        density: np.ndarray = np.exp(basis.log_prob(at, weights, sigma, width)).T
        return density


def draw(family: Family, n_targets: int, n_samples: int, seed: int) -> Sample:
    """Draw targets and N points of each; target t is the same however many there are."""
    targets, columns = [], []
    for t in range(n_targets):
        rng = np.random.default_rng([seed, t, list(DATASETS).index(family)])
        target = random_mixture(family, rng)
        targets.append(target)
        columns.append(target.sample(n_samples, rng))
    return Sample(targets, np.stack(columns, axis=1))


def bin_sample(sample: Sample, n: int, bounds: tuple[Any, Any] | None = None) -> Grid:
    """Bin a sample on grids of n cells, between its extremes unless bounds (T,) are given."""
    start = time.perf_counter()
    low, high = bounds or basis.range_bounds(sample.x)
    counts, _ = basis.bin_counts(sample.x, low, high, n)
    seconds = time.perf_counter() - start
    borders = low[:, None] + (high - low)[:, None] * np.arange(n + 1) / n
    cdf = np.stack([t.cdf(b) for t, b in zip(sample.targets, borders, strict=True)])
    return Grid(low, high, counts, borders, cdf, seconds)


# Rules ---------------------------------------------------------------------------------------


def algorithm_1(sigma: float, **settings: Any) -> Rule:
    """Return the rule counts -> (weights, sd) of algorithm 1; see ``basis.region_weights``."""
    return lambda counts: (basis.region_weights(counts, **settings), sigma)


def algorithm_2(sigma: float, step: float = 1.0) -> Rule:
    """Return the rule of algorithm 2."""
    return lambda counts: (basis.nearest_weights(counts, step=step), sigma)


def improved(widen: float = WIDEN, em_steps: int = EM_STEPS) -> Rule:
    """Return the improved rule; no widening and no steps is algorithm 2 with ISJ's bandwidth."""

    def rule(counts: np.ndarray) -> Learned:
        sigma = widen * basis.isj_sigma(counts)
        weights = basis.nearest_weights(counts)
        return basis.em_weights(weights, counts, sigma, n_steps=em_steps), sigma

    return rule


def histogram(counts: np.ndarray) -> Learned:
    """Return shares of the cells as Gaussians so narrow that none leaves its cell."""
    return counts / counts.sum(1, keepdims=True), 0.01


def timed(rule: Callable[[np.ndarray], T], counts: np.ndarray) -> tuple[T, float]:
    """Return what a rule learns and the seconds that it took."""
    start = time.perf_counter()
    learned = rule(counts)
    return learned, time.perf_counter() - start


# Results -------------------------------------------------------------------------------------


@dataclass
class Ledger:
    """Rows, per-target losses and times of one run, as they come in.

    Attributes
    ----------
    seed, dataset
        Of the rows that are added.
    """

    seed: int
    dataset: str
    lines: list[tuple[Any, ...]] = field(default_factory=list)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    costs: dict[str, float] = field(default_factory=dict)

    def add(self, model: str, setting: str, **metrics: float) -> None:
        """Add a row per metric."""
        key = (self.dataset, model, setting, self.seed)
        self.lines += [(*key, metric, float(value)) for metric, value in metrics.items()]

    def add_losses(
        self, model: str, setting: str, losses: np.ndarray, seconds: float | None = None
    ) -> None:
        """Add the mean of L over targets with its standard error; keep every target's value.

        ``seconds`` is the time of the fit of all targets, where it is worth keeping.
        """
        error = losses.std(ddof=1) / np.sqrt(len(losses))
        self.add(model, setting, L=losses.mean(), L_standard_error=error)
        self.arrays[loss_key(model, setting)] = losses
        if seconds is not None:
            self.costs[cost_key(model, setting)] = 1e3 * seconds / len(losses)

    def rows(self) -> pd.DataFrame:
        """Return all rows."""
        return pd.DataFrame(self.lines, columns=list(ROW_COLUMNS))


def loss_key(model: str, setting: str) -> str:
    """Return the name of the array of a model's losses."""
    return f"L, {model}, {setting}"


def cost_key(model: str, setting: str) -> str:
    """Return the name of a model's time among the costs."""
    return f"ms per target, {model}, {setting}"


def setting(sigma: Any, n: int, n_samples: int) -> str:
    """Return a setting as the table of targets spells it; a number is in units of r."""
    text = f"{sigma:g}r" if isinstance(sigma, (int, float)) else sigma
    return f"sigma={text} n={n} N={n_samples}"


def seeds(profile: str) -> list[Mapping[str, Any]]:
    """Return the points of a plan that only differ in the seed."""
    return [{"seed": seed} for seed in (SEEDS[:1] if profile == "smoke" else SEEDS)]
