"""K flows by the released code's nearly equal posteriors, each with as many steps as one alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from companion.em_gm.images import table_1
from companion.em_gm.images.compute import single_flows, value_of
from companion.em_gm.images.data import TITLES
from companion.em_gm.images.summary import published_gains
from companion.evidence.targets import Target
from companion.runs.experiment import Experiment
from companion.runs.stored import StoredRun

NAME = "em-gm/equal-steps"
K = 3


def plan(profile: str) -> Sequence[Mapping[str, Any]]:
    """Return a mixture on each data set."""
    if profile == "smoke":
        return [{"seed": 0}]
    return [{"dataset": dataset, "seed": 0} for dataset in ("mnist", "fashion-mnist")]


def _lengthened(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return table I's settings with K times the epochs, which K flows then share."""
    config = table_1.EXPERIMENT.config
    epochs, em_every = (
        K * values.get(name, config.model_fields[name].default) for name in ("epochs", "em_every")
    )
    model = {"model": "GenMM per dimension", "n_components": K}
    return {**values, **model, "epochs": epochs, "em_every": em_every}


EXPERIMENT = Experiment(
    name=NAME,
    title="K flows by nearly equal posteriors, each trained for as long as one",
    config=table_1.Images,
    run=table_1.run,
    defaults={name: _lengthened(values) for name, values in table_1.EXPERIMENT.defaults.items()},
    plan=plan,
)


def say(runs: Iterable[StoredRun], single: Iterable[StoredRun], targets: Iterable[Target]) -> str:
    """Return, in Markdown, what such a mixture gains over one flow, by itself and by its noise.

    Parameters
    ----------
    runs
        Of ``em-gm/equal-steps``.
    single
        Of ``em-gm/table-1``: one flow of the same data, seed and size.
    targets
        Published numbers.
    """
    ones, printed, said = single_flows(single), published_gains(targets), []
    for run in runs:
        dataset, k = run.config["dataset"], run.config["n_components"]
        one = ones.get((dataset, run.config["seed"]))
        if one is None:
            continue
        shared = value_of(one, "nll_train") - value_of(run, "nll_train")
        own = shared + value_of(run, "gain_own_noise")
        line = f"{shared:+.4f} nat/pixel with shared noise, {own:+.4f} with noise of their own"
        if k in printed.get(dataset, {}):
            line += f"; published {printed[dataset][k]:+.4f}"
        said.append(f"- **{TITLES[dataset]}, K = {k}**: {line}.")
    return "\n".join(said)
