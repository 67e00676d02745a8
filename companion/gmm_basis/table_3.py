"""GMM-basis table 3: L of algorithm 2 against the number of Gaussians, sigma = 3 r."""

from __future__ import annotations

from pydantic import Field

from companion.gmm_basis.common import (
    DATASETS,
    Ledger,
    algorithm_2,
    bin_sample,
    draw,
    histogram,
    improved,
    seeds,
    setting,
    timed,
)
from companion.gmm_basis.table_1 import IMPROVED
from companion.runs.config import Config
from companion.runs.experiment import Experiment, RunContext
from companion.runs.result import Result

COMPONENTS = (10, 30, 50, 100, 200, 500, 1000)
SAMPLES = (20_000, 50_000)
SIGMA = 3


class Table3(Config):
    """One batch of random targets, all cells of the table on each."""

    n_targets: int = Field(200, ge=2, description="random targets of this run")


def run(config: Table3, context: RunContext) -> Result:
    """Learn every target with every n and N, by algorithm 2 and by the improved rule."""
    rules = {
        ("algorithm-2", SIGMA): algorithm_2(SIGMA),
        ("improved rule", IMPROVED): improved(),
        ("histogram", "0"): histogram,
    }
    sample = draw("gaussians", config.n_targets, max(SAMPLES), config.seed)
    ledger = Ledger(config.seed, DATASETS["gaussians"])
    for n_samples in SAMPLES:
        for n in COMPONENTS:
            grid = bin_sample(sample.points(n_samples), n)
            for (model, sigma), rule in rules.items():
                learned, seconds = timed(rule, grid.counts)
                text = setting(sigma, n, n_samples)
                ledger.add_losses(model, text, grid.loss(learned), grid.seconds + seconds)
    return Result(ledger.rows(), ledger.arrays, ledger.costs)


EXPERIMENT = Experiment(
    name="gmm-basis/table-3",
    title="L of algorithm 2 against n = 10 ... 1000 at N = 20000 and 50000, sigma = 3 r",
    config=Table3,
    run=run,
    defaults={"smoke": {"n_targets": 5}, "laptop": {}, "paper": {}},
    plan=seeds,
)
