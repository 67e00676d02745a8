"""GMM-basis figures 1 to 7: fits beside their targets, and numbers of what is to be seen."""

from __future__ import annotations

import itertools

import numpy as np
from pydantic import Field
from scipy.signal import find_peaks

from companion.gmm_basis.common import (
    DATASETS,
    Grid,
    Ledger,
    Sample,
    algorithm_1,
    algorithm_2,
    bin_sample,
    seeds,
)
from companion.runs.config import Config
from companion.runs.experiment import Experiment, RunContext
from companion.runs.result import Result
from mixflow import basis
from mixflow.datasets.univariate import KINDS, Family, random_mixture

PER_CELL = 16  # points of a curve per cell
MARGIN = 12  # cells of a curve beyond the grid
PROMINENCE = 0.01  # a crest or sag counts when it stands out by this share of the highest
NEAR = 4  # cells, two sd of the basis: so far a crest may be from the target's
FAMILIES: tuple[Family, Family] = ("gaussians", "mixed")


class Figures(Config):
    """Two targets, six more, and their fits."""

    n_samples: int = Field(5000, ge=100, description="N, points of each target")
    n_components: int = Field(200, ge=10, description="n, Gaussians of the basis")


def run(config: Figures, context: RunContext) -> Result:
    """Draw the targets, fit them, and measure what the figures show."""
    families = FAMILIES + FAMILIES[:1] * 3 + FAMILIES[1:] * 3
    sample = _draw(families, config)
    grid = bin_sample(sample, config.n_components)
    u = positions(config.n_components)
    truth = np.stack([t.pdf(x) for t, x in zip(sample.targets, _x(grid, u), strict=True)])
    ledger = Ledger(config.seed, "eight random targets")
    ledger.arrays = {
        "u": _kept(u),
        "x": _kept(_x(grid, u)),
        "target": _kept(truth),
        "kinds": _kinds(sample),
    }
    _crossings(ledger, grid, u, truth)
    _start(ledger, grid, u)
    _fits(ledger, grid, u, truth)
    return Result(ledger.rows(), ledger.arrays)


def _draw(families: tuple[Family, ...], config: Figures) -> Sample:
    """Draw one target of each family; a mixed one is drawn until it has all three kinds."""
    targets, columns = [], []
    for number, family in enumerate(families):
        for attempt in itertools.count():
            rng = np.random.default_rng([config.seed, number, attempt])
            target = random_mixture(family, rng)
            if family == "gaussians" or len(set(target.kinds)) == len(KINDS):
                break
        targets.append(target)
        columns.append(target.sample(config.n_samples, rng))
    return Sample(targets, np.stack(columns, axis=1))


def positions(n: int) -> np.ndarray:
    """Return the positions of a curve's points, in cells."""
    return (np.arange(-MARGIN * PER_CELL, (n + MARGIN) * PER_CELL) + 0.5) / PER_CELL


def _x(grid: Grid, u: np.ndarray) -> np.ndarray:
    return grid.low[:, None] + (grid.high - grid.low)[:, None] * u / grid.n


def _kept(curve: np.ndarray) -> np.ndarray:
    """Return every fourth point in float32: enough for a picture."""
    return curve[..., ::4].astype(np.float32)


def _kinds(sample: Sample) -> np.ndarray:
    return np.stack([t.kinds for t in sample.targets])


# Figures 1 and 2: crossings within a region ---------------------------------------------------


def _crossings(ledger: Ledger, grid: Grid, u: np.ndarray, truth: np.ndarray) -> None:
    """How often the fit to target 1 crosses it within a region, at sigma = r and 3 r."""
    for t in (1, 3):
        fit = grid.curve(algorithm_2(t)(grid.counts), u)[0]
        ledger.arrays[f"fit sigma={t}r"] = _kept(fit)
        numbers = crossings(fit - truth[0], grid.n)
        width = (grid.high[0] - grid.low[0]) / grid.n
        error = np.abs(fit - truth[0]).sum() * width / PER_CELL
        ledger.arrays[f"crossings sigma={t}r"] = numbers
        ledger.add(
            "algorithm-2", f"sigma={t}r", L1=error, regions_crossed_twice=(numbers == 2).mean()
        )


def crossings(difference: np.ndarray, n: int) -> np.ndarray:
    """Count the changes of sign in each region, a cell to both sides of a mean: (n,)."""
    changes = np.diff(np.signbit(difference)).astype(int)
    start = (MARGIN + np.arange(n) - 0.5) * PER_CELL
    total = np.concatenate([[0], changes.cumsum()])
    first = start.astype(int)
    counts: np.ndarray = total[first + 2 * PER_CELL] - total[first]
    return counts


# Figures 3 to 7 -------------------------------------------------------------------------------


def _start(ledger: Ledger, grid: Grid, u: np.ndarray) -> None:
    """Look at the mixture before any point: all weights 1/n."""
    weights = basis.nearest_weights(np.zeros((1, grid.n)))
    uniform = np.linspace(0, 1, grid.n + 1)[None]
    for t in (1, 2, 3):
        loss = float(basis.basis_loss(weights, float(t), uniform)[0])
        start = np.exp(basis.log_prob(u[:, None], weights, float(t)))[:, 0]
        ledger.arrays[f"start sigma={t}r"] = _kept(start)
        ledger.add("start", f"sigma={t}r", L_to_uniform=loss)


def _fits(ledger: Ledger, grid: Grid, u: np.ndarray, truth: np.ndarray) -> None:
    """All targets learned by both algorithms at sigma = 2 r."""
    width = (grid.high - grid.low) / grid.n / PER_CELL
    learned = {1: algorithm_1(2)(grid.counts), 2: algorithm_2(2)(grid.counts)}
    curves = {k: grid.curve(fit, u) for k, fit in learned.items()}
    loss = {k: grid.loss(fit) for k, fit in learned.items()}
    apart = np.abs(curves[1] - curves[2]).sum(1) * width
    error = np.abs(curves[2] - truth).sum(1) * width
    unwanted = [unwanted_crests(curve, t) for curve, t in zip(curves[2], truth, strict=True)]
    for k in (1, 2):
        ledger.arrays[f"algorithm-{k}"] = _kept(curves[k])
        ledger.arrays[f"L algorithm-{k}"] = loss[k]
    for number, family in enumerate(FAMILIES):
        ledger.add(
            "both algorithms", f"target {number + 1}: {DATASETS[family]}",
            L_algorithm_1=loss[1][number], L_algorithm_2=loss[2][number],
            L1_between_the_algorithms=apart[number], L1_to_the_target=error[number],
            unwanted_crests_and_sags=unwanted[number],
        )  # fmt: skip


def unwanted_crests(curve: np.ndarray, truth: np.ndarray) -> int:
    """Count the crests and sags of a fit that have no counterpart in the target near by."""
    total = 0
    for sign in (1, -1):
        ours, theirs = _crests(sign * curve, curve.max()), _crests(sign * truth, curve.max())
        apart = np.abs(ours[:, None] - theirs).min(axis=1, initial=np.inf)
        total += int((apart > NEAR * PER_CELL).sum())
    return total


def _crests(curve: np.ndarray, highest: float) -> np.ndarray:
    """Return where local maxima stand out by ``PROMINENCE`` of the highest point."""
    peaks, _ = find_peaks(curve, prominence=PROMINENCE * highest)
    return np.asarray(peaks, dtype=float)


EXPERIMENT = Experiment(
    name="gmm-basis/figures-1-7",
    title="Fits beside their targets: crossings, start, both algorithms, eight random targets",
    config=Figures,
    run=run,
    defaults={"smoke": {}, "laptop": {}, "paper": {}},
    plan=seeds,
)
