"""GMM-basis tables 1 and 2: L of both algorithms on random targets, beside other estimators."""

from __future__ import annotations

import time
from functools import partial

import numpy as np
from pydantic import Field
from scipy import stats

from companion.gmm_basis.baselines import (
    estimators,
    likelihood_weights,
    nnls_weights,
)
from companion.gmm_basis.common import (
    DATASETS,
    EM_STEPS,
    SIGMAS,
    WIDEN,
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
    loss_key,
    seeds,
    setting,
    timed,
)
from companion.runs.config import Config
from companion.runs.experiment import Experiment, RunContext
from companion.runs.result import Result
from mixflow.datasets.univariate import Family

IMPROVED = f"{WIDEN:g} isj + {EM_STEPS} EM step"
SMOKE = {"n_targets": 10, "n_baseline_targets": 2}


class Table(Config):
    """One batch of random targets, all cells of the table on each."""

    n_targets: int = Field(200, ge=2, description="random targets of this run")
    n_baseline_targets: int = Field(
        40, ge=2, description="of these, how many the other estimators are fitted to"
    )
    n_samples: int = Field(5000, ge=100, description="N, points of each target")
    n_components: int = Field(200, ge=10, description="n, Gaussians of the basis")


def rules() -> dict[tuple[str, str | int], Rule]:
    """Return (model, sigma) -> rule: the paper's cells, the literal variants, ours."""
    table: dict[tuple[str, str | int], Rule] = {}
    for t in SIGMAS:
        table["algorithm-1", t] = algorithm_1(t)
        table["algorithm-2", t] = algorithm_2(t)
        table["algorithm-1, as printed", t] = algorithm_1(t, learning_sigma=t)
    table["algorithm-2, ISJ bandwidth", "isj"] = improved(1.0, 0)
    table["improved rule", IMPROVED] = improved()
    table["improved rule", f"{WIDEN:g} isj + 2 EM steps"] = improved(WIDEN, 2)
    table["histogram", "0"] = histogram
    return table


def run(config: Table, context: RunContext, *, family: Family) -> Result:
    """Learn all targets of a batch by every rule, and the first of them by the baselines."""
    sample = draw(family, config.n_targets, config.n_samples, config.seed)
    grid = bin_sample(sample, config.n_components)
    ledger = Ledger(config.seed, DATASETS[family])
    for (model, sigma), rule in rules().items():
        learned, seconds = timed(rule, grid.counts)
        text = setting(sigma, config.n_components, config.n_samples)
        ledger.add_losses(model, text, grid.loss(learned), grid.seconds + seconds)
    _test_the_improved_rule(ledger, config)
    _run_baselines(ledger, config, context, sample, grid)
    return Result(ledger.rows(), ledger.arrays, ledger.costs)


def _test_the_improved_rule(ledger: Ledger, config: Table) -> None:
    """Compare, target by target, with the paper's best cell of this very batch."""
    sizes = config.n_components, config.n_samples
    cells = {
        (model, t): ledger.arrays[loss_key(model, setting(t, *sizes))]
        for model in ("algorithm-1", "algorithm-2")
        for t in SIGMAS
    }
    ours = ledger.arrays[loss_key("improved rule", setting(IMPROVED, *sizes))]
    best = min(cells.values(), key=np.mean)
    test = stats.ttest_rel(best, ours)
    ledger.add(
        "improved rule", setting(IMPROVED, *sizes),
        paired_gain=(best - ours).mean(), paired_t=test.statistic, paired_p=test.pvalue,
    )  # fmt: skip


def _run_baselines(
    ledger: Ledger, config: Table, context: RunContext, sample: Sample, grid: Grid
) -> None:
    """Fit the other estimators to the first targets of the batch, and add their rows."""
    from tqdm import tqdm

    n_targets = min(config.n_baseline_targets, config.n_targets)
    sizes = f"n={config.n_components} N={config.n_samples}"
    bar = tqdm(total=n_targets, desc="other estimators", disable=not context.progress, delay=5)
    part = grid.first(n_targets)
    for t in SIGMAS:
        for model, learn in (("NNLS", nnls_weights), ("maximum likelihood", likelihood_weights)):
            weights, seconds = timed(partial(learn, sigma=t), part.counts)
            ledger.add_losses(
                f"{model} on the basis", f"sigma={t}r {sizes}",
                part.loss((weights, t)), part.seconds + seconds,
            )  # fmt: skip
    cdf = {key: np.empty((n_targets, grid.n + 1)) for key in estimators()}
    spent = dict.fromkeys(cdf, 0.0)
    for t in range(n_targets):
        for key, estimate in estimators().items():
            start = time.perf_counter()
            cdf[key][t] = estimate(sample.x[:, t], grid.borders[t])
            spent[key] += time.perf_counter() - start
        bar.update()
    for (model, text), values in cdf.items():
        losses = part.loss_of_cdf(values)
        ledger.add_losses(model, f"{text} {sizes}", losses, spent[model, text])


def experiment(number: int, family: Family) -> Experiment:
    """Return the experiment of table 1 or 2, which differ in the family of targets."""
    return Experiment(
        name=f"gmm-basis/table-{number}",
        title=f"L of algorithms 1 and 2, N = 5000, n = 200: {DATASETS[family]}",
        config=Table,
        run=partial(run, family=family),
        defaults={"smoke": SMOKE, "laptop": {}, "paper": {}},
        plan=seeds,
    )


EXPERIMENT = experiment(1, "gaussians")
