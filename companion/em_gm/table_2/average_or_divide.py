"""Do K flows per class gain by averaging, or by dividing its samples? Table II's GenMM.

Apart: K single flows, whose densities are averaged. Divided: one EM with exact posteriors, so
that each flow specialises. Between: blocks with an EM each, and the released code's posteriors
(log densities divided by D), which are nearly uniform.

With the sparse M-step all of these take as many steps per flow in an epoch, but flows apart see
K times as many samples: they cost K times as much. So the flows that divide run a second time,
for K times as many epochs, at the total cost of flows apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from companion.em_gm.table_2.config import Table2
from companion.em_gm.table_2.sharing import measured
from companion.runs.experiment import Experiment, RunContext
from companion.runs.result import Result

COMPONENTS, SEEDS = (2, 4, 10, 20), 3
# Half of the epochs of each data set's recipe, so that K times as many stay affordable.
EPOCHS = {"norb-8x16-normalised": 15, "letter": 60, "satimage": 60}
# About the square root of K blocks, so that blocks and flows within a block are as many.
BETWEEN = {4: 2, 10: 2, 20: 4}


def run(config: Table2, context: RunContext) -> Result:
    """Fit once; measure the mixture, its flows one by one, and how posteriors divide samples."""
    return measured(
        config,
        context,
        f"K={config.n_components} blocks={config.n_blocks} T={config.posterior_temperature} "
        f"epochs={config.epochs}",
    )


def plan(profile: str) -> Sequence[Mapping[str, Any]]:
    """Return one flow, then every way at every K, seed by seed."""
    if profile == "smoke":
        short = {"n_components": 4, "epochs": 20, "evaluate_every": 20, "seed": 0}
        return [{"n_blocks": blocks, "posterior_temperature": 1.0, **short} for blocks in (1, 4)]
    return [
        {
            "dataset": dataset,
            "validation_fraction": 0.0,
            "evaluate_every": 10_000,
            "seed": seed,
            **point,
        }
        for seed in range(SEEDS)
        for dataset, epochs in EPOCHS.items()
        for point in _ways(epochs)
    ]


def _ways(epochs: int) -> list[dict[str, Any]]:
    points = [_point(1, 1, 1.0, epochs)]
    for k in COMPONENTS:
        points += [
            _point(k, k, 1.0, epochs),
            _point(k, 1, 1.0, epochs),
            _point(k, 1, "per_dimension", epochs),
            _point(k, 1, 1.0, k * epochs),
        ]
        if k in BETWEEN:
            points.append(_point(k, BETWEEN[k], 1.0, epochs))
    return points


def _point(k: int, blocks: int, temperature: float | str, epochs: int) -> dict[str, Any]:
    return {
        "n_components": k,
        "n_blocks": blocks,
        "posterior_temperature": temperature,
        "epochs": epochs,
    }


EXPERIMENT = Experiment(
    name="em-gm/average-or-divide",
    title="Average K flows of a class, or divide its samples among them?",
    config=Table2,
    run=run,
    defaults={"smoke": {"dataset": "digits"}, "laptop": {}, "paper": {}},
    plan=plan,
)
