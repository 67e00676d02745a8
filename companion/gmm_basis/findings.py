"""GMM-basis: what the algorithms do beyond the tables, each finding with its numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from pydantic import Field

from companion.gmm_basis.common import (
    DATASETS,
    SIGMAS,
    Grid,
    Ledger,
    Rule,
    Sample,
    algorithm_1,
    algorithm_2,
    bin_sample,
    draw,
    histogram,
    improved,
    seeds,
    setting,
)
from companion.gmm_basis.table_1 import IMPROVED
from companion.runs.config import Config
from companion.runs.experiment import Experiment, RunContext
from companion.runs.result import Result
from mixflow import basis

N, COMPONENTS = 5000, 200
LEARNING_SIGMAS = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
NARROW = (0.1, 0.2, 0.35, 0.5, 1.0, 2.0, 3.0)
OUTLIERS = (0, 1, 3, 10)
STEPS = (0.005, 0.05, 1.0, 20.0)
EM_STEPS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500)
PER_CELL = 16  # points per cell of the grids for integrals


class Findings(Config):
    """One batch of random targets for every question."""

    n_targets: int = Field(200, ge=2, description="random targets of this run")
    n_detailed: int = Field(
        40, ge=2, description="of these, how many get integrals on fine grids and long EM"
    )


def run(config: Findings, context: RunContext) -> Result:
    """Answer every question on targets of the first family, and one on the second."""
    both = draw("gaussians", config.n_targets, 2 * N, config.seed)
    sample, more = both.points(N), Sample(both.targets, both.x[N:])
    grid = bin_sample(sample, COMPONENTS)
    new = bin_sample(more, COMPONENTS, (grid.low, grid.high)).first(config.n_detailed)
    ledger = Ledger(config.seed, DATASETS["gaussians"])
    _compare_variants(ledger, grid)
    _vary_the_step(ledger, grid)
    _narrow_the_basis(ledger, sample, grid.first(config.n_detailed))
    _climb_the_likelihood(ledger, grid.first(config.n_detailed), new)
    _add_an_outlier(ledger, sample, grid)
    ledger.dataset = DATASETS["mixed"]
    for n_samples in (N, 50_000):
        _beside_a_histogram(ledger, draw("mixed", config.n_targets, n_samples, config.seed))
    return Result(ledger.rows(), ledger.arrays, ledger.costs)


def _compare_variants(ledger: Ledger, grid: Grid) -> None:
    """Try readings of algorithm 1: the sd it learns with, the regions, the sign."""
    for t in SIGMAS:
        for name, rule in _variants(t):
            text = setting(t, COMPONENTS, N)
            ledger.add_losses(f"algorithm-1, {name}", text, _losses(grid, rule))


def _variants(t: float) -> Iterator[tuple[str, Rule]]:
    for learning_sigma in LEARNING_SIGMAS:
        yield f"learning sigma {learning_sigma:g}r", algorithm_1(t, learning_sigma=learning_sigma)
    yield "as printed", algorithm_1(t, learning_sigma=t)
    yield "both sides subtracted", algorithm_1(t, learning_sigma=t, regions="sum")
    yield "neighbours subtracted", algorithm_1(t, learning_sigma=t, regions="cells")
    yield "descent", algorithm_1(t, learning_sigma=t, ascent=False)


def _losses(grid: Grid, rule: Rule) -> np.ndarray:
    """Return L of every target, (T,); 2 where the rule leaves no weight at all."""
    try:
        return grid.loss(rule(grid.counts))
    except ValueError:
        if len(grid.counts) == 1:
            return np.full(1, 2.0)
        return np.concatenate([_losses(grid.only(t), rule) for t in range(len(grid.counts))])


def _vary_the_step(ledger: Ledger, grid: Grid) -> None:
    """Step g of algorithm 2, and the share of the mass that the uniform start keeps."""
    for step in STEPS:
        text = f"g={step:g} {setting(2, COMPONENTS, N)}"
        losses = grid.loss(algorithm_2(2, step)(grid.counts))
        ledger.add_losses("algorithm-2, step", text, losses)
        ledger.add("algorithm-2, step", text, uniform_share=1 / (1 + step * N))


def _narrow_the_basis(ledger: Ledger, sample: Sample, grid: Grid) -> None:
    """L and the true L1 distance as the Gaussians get narrower than the cells."""
    n = grid.n
    u = (np.arange(-10 * PER_CELL, (n + 10) * PER_CELL) + 0.5) / PER_CELL
    width = (grid.high - grid.low) / n
    truth = np.stack(
        [t.pdf(low + w * u) for t, low, w in zip(sample.targets, grid.low, width, strict=False)]
    )
    for t in NARROW:
        learned, text = algorithm_2(t)(grid.counts), setting(t, COMPONENTS, N)
        ledger.add_losses("algorithm-2, width", text, grid.loss(learned))
        distance = np.abs(grid.curve(learned, u) - truth).sum(1) * width / PER_CELL
        ledger.add("algorithm-2, width", text, L1=distance.mean())


def _climb_the_likelihood(ledger: Ledger, grid: Grid, new: Grid) -> None:
    """EM on the weights at sigma = 2 r: likelihood of seen and of new points, and L."""
    weights, model = basis.nearest_weights(grid.counts), "EM on the weights"
    for before, steps in zip((0, *EM_STEPS), EM_STEPS, strict=False):
        weights = basis.em_weights(weights, grid.counts, 2.0, n_steps=steps - before)
        text = f"steps={steps} {setting(2, COMPONENTS, N)}"
        log_masses = np.log(basis.cell_masses(weights, 2.0)[:, 1:-1])
        ledger.add_losses(model, text, grid.loss((weights, 2.0)))
        for name, counts in (("seen", grid.counts), ("new", new.counts)):
            mean = (counts * log_masses).sum() / counts.sum()
            ledger.add(model, text, **{f"log_likelihood_{name}": mean})


def _add_an_outlier(ledger: Ledger, sample: Sample, grid: Grid) -> None:
    """One point that many ranges above the greatest, with three ways to choose the bounds."""
    extent = grid.high - grid.low
    for ranges in OUTLIERS:
        point = grid.high + ranges * extent
        moved = Sample(sample.targets, np.vstack([sample.x, point]))
        choices = {
            "range": basis.range_bounds(moved.x),
            "robust": basis.robust_bounds(moved.x),
            "explicit": (grid.low, grid.high),
        }
        for name, bounds in choices.items():
            there = bin_sample(moved, COMPONENTS, bounds)
            text = f"outlier=+{ranges} bounds={name} {setting(3, COMPONENTS, N)}"
            ledger.add_losses(
                "algorithm-2, outlier", text, there.loss(algorithm_2(3)(there.counts))
            )


def _beside_a_histogram(ledger: Ledger, sample: Sample) -> None:
    """Algorithm 2 against the frequencies of the same cells, with few points and with many."""
    grid = bin_sample(sample, COMPONENTS)
    table: dict[tuple[str, Any], Rule] = {("algorithm-2", t): algorithm_2(t) for t in SIGMAS}
    table["algorithm-2, ISJ bandwidth", "isj"] = improved(1.0, 0)
    table["improved rule", IMPROVED] = improved()
    table["histogram", "0"] = histogram
    for (model, sigma), rule in table.items():
        text = setting(sigma, COMPONENTS, len(sample.x))
        ledger.add_losses(model, text, grid.loss(rule(grid.counts)))


EXPERIMENT = Experiment(
    name="gmm-basis/findings",
    title="What algorithms 1 and 2 do beyond the tables: variants, width, outliers, likelihood",
    config=Findings,
    run=run,
    defaults={"smoke": {"n_targets": 8, "n_detailed": 4}, "laptop": {}, "paper": {}},
    plan=seeds,
)
