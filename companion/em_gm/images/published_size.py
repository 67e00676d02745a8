"""What the page says of table I's mixtures at the published size, runs of the paper profile."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from companion.em_gm.images.compute import PUBLISHED_EPOCHS, epochs_of, single_flows
from companion.em_gm.images.data import TITLES
from companion.em_gm.images.measures import COPIES
from companion.em_gm.images.nearest import shares
from companion.em_gm.images.summary import COPIED, gains, published, published_gains
from companion.evidence.targets import Target
from companion.evidence.verdicts import TOLERANCES
from companion.runs.stored import StoredRun

MISSING = (
    "No run of the paper's profile is stored; `mixflow run em-gm/table-1 --profile paper --device "
    "cuda` makes them."
)
NEAR = TOLERANCES["nll_nat_per_pixel"].absolute
Of = tuple[str, int]  # data set, K
Values = Mapping[Of, Mapping[str, float]]


def measured(runs: Iterable[StoredRun], model: str = "GenMM") -> dict[Of, dict[str, float]]:
    """Return metrics of a model by data set and K, means over seeds."""
    frames: dict[Of, list[pd.DataFrame]] = {}
    for run in runs:
        if run.config["model"] == model:
            of = run.config["dataset"], run.config["n_components"]
            frames.setdefault(of, []).append(run.rows[run.rows["model"] == model])
    return {
        of: dict(pd.concat(parts).groupby("metric")["value"].mean()) for of, parts in frames.items()
    }


def table(
    runs: Sequence[StoredRun],
    smaller: Sequence[StoredRun],
    targets: Iterable[Target],
    nearest: Iterable[StoredRun],
) -> pd.DataFrame:
    """Return NLL (nat/pixel) and Fréchet distance, a line for each data set and K.

    Parameters
    ----------
    runs, smaller
        Of ``em-gm/table-1``: at the published size, and at another to stand beside it.
    targets
        Published numbers.
    nearest
        Of ``em-gm/nearest-images``.
    """
    large, small, printed = measured(runs), measured(smaller), published(targets)
    near = {of: f"{share:.0%}" for of, share in shares(nearest).items()}
    lines = [
        {
            "data": TITLES[dataset],
            "K": k,
            "training": f"{values['nll_train']:.4f}",
            "published": f"{printed[dataset][k]:.4f}" if k in printed.get(dataset, {}) else "",
            "held out": f"{values['nll_held_out']:.4f}",
            "laptop, training": _written(small, (dataset, k), "nll_train"),
            "laptop, held out": _written(small, (dataset, k), "nll_held_out"),
            "Fréchet distance": f"{values['FID']:.2f}",
            "laptop's": _written(small, (dataset, k), "FID", digits=2),
            "samples nearer to training": near.get((dataset, k), ""),
        }
        for (dataset, k), values in large.items()
    ]
    order = list(TITLES.values())
    lines.sort(key=lambda line: (order.index(str(line["data"])), line["K"]))
    return pd.DataFrame(lines)


def _written(values: Values, of: Of, metric: str, digits: int = 4) -> str:
    return f"{values[of][metric]:.{digits}f}" if metric in values.get(of, {}) else ""


def say(
    runs: Sequence[StoredRun],
    smaller: Sequence[StoredRun],
    targets: Iterable[Target],
    further: Sequence[StoredRun] = (),
) -> str:
    """Return, in Markdown, what was run, what of table I it meets, and what held-out images say.

    Parameters
    ----------
    runs, smaller, targets
        As of :func:`table`.
    further
        Of ``em-gm/further-epochs``: some of the flows, trained on.
    """
    if not runs:
        return MISSING
    large, small = measured(runs), measured(smaller)
    config = runs[0].config
    steps = "-".join(map(str, config["n_steps"]))
    targets = list(targets)
    reached = _reached(runs, targets)
    printed = sum(len(of) for of in published(targets).values())
    said = (
        f"Flows of the published size ({steps} steps, {config['hidden_features']} hidden channels, "
        f"batches of {config['batch_size']}), for {epochs_of(config)} epochs where the paper takes "
        f"{PUBLISHED_EPOCHS}: of the {printed} numbers of table I {len(reached)} were run, and "
        f"**{sum(reached)} of these are lower than published, or at most {NEAR:g} nat/pixel "
        "higher** (noise shared by all components)"
    )
    if further:
        again = single_flows(further)
        kept = [run for of, run in single_flows(runs).items() if of not in again]
        kept += [run for run in runs if run.config["n_components"] > 1]
        longer = sum(_reached([*kept, *further], targets))
        said += f", **{longer}** with the flows that were trained for longer"
    said += "."
    both = [of for of in large if of in small]
    if not both:
        return said
    gap, other = (
        [values[of]["nll_held_out"] - values[of]["nll_train"] for of in both]
        for values in (large, small)
    )
    worse = sum(large[of]["nll_held_out"] > small[of]["nll_held_out"] for of in both)
    return (
        f"{said} On **held-out** images their NLL is {_span(gap)} nat/pixel higher than on those "
        f"they were trained on (the laptop's small flows: {_span(other)}), and in {worse} of "
        f"{len(both)} cases higher than that of the laptop's."
    )


def noise_table(rows: pd.DataFrame, targets: Iterable[Target]) -> pd.DataFrame:
    """Return gains over one flow in nat/pixel: published, by noise alone, and of every model.

    Parameters
    ----------
    rows
        Of ``em-gm/table-1``.
    targets
        Published numbers.
    """
    printed, parts = published_gains(targets), {}
    for dataset, of in _sets(rows):
        found = pd.DataFrame(gains(of).xs("mean", axis=1, level=1)).T.rename_axis(columns=None)
        found.insert(0, COPIED, found.pop(COPIED))
        found.insert(0, "published", pd.Series(printed.get(dataset, {}), dtype=float))
        parts[TITLES[dataset]] = found
    if not parts:
        return pd.DataFrame()
    table = pd.concat(parts, names=["data", "K"])
    return table.map(lambda gain: "" if np.isnan(gain) else f"{gain:+.4f}")


def _sets(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Return data sets and their rows, those where one flow was measured, in the page's order."""
    groups = {str(dataset): of for dataset, of in rows.groupby("dataset")}
    return [
        (dataset, groups[dataset])
        for dataset in TITLES
        if dataset in groups and f"gain_copies_{COPIES[0]}" in set(groups[dataset]["metric"])
    ]


def say_noise(rows: pd.DataFrame, targets: Iterable[Target]) -> str:
    """Return, in Markdown, how near noise alone comes to the published gains."""
    printed, said = published_gains(targets), []
    for dataset, of in _sets(rows):
        copied = gains(of).loc[COPIED]
        pairs = [
            f"{copied[k, 'mean']:.4f} ± {copied[k, 'error']:.4f} for {gain:.4f} (K = {k})"
            for k, gain in printed.get(dataset, {}).items()
        ]
        if pairs:
            said.append(f"- **{TITLES[dataset]}**: {', '.join(pairs)}.")
    if not said:
        return ""
    first = (
        'Copies of our one flow "gain" by noise of their own (nat/pixel, ± half of a 95 % interval '
        "over images), for what the paper reports that mixtures gain:"
    )
    return "\n".join([first, "", *said])


def say_sources(runs: Sequence[StoredRun]) -> str:
    """Return, in Markdown, what K Gaussians in the latent space of one flow change."""
    genmm = measured(runs)
    said = []
    latmm = _by_set(measured(runs, "LatMM"))
    for dataset in (name for name in TITLES if name in latmm and (name, 1) in genmm):
        of = latmm[dataset]
        moved = [values["nll_train"] - genmm[dataset, 1]["nll_train"] for values in of.values()]
        line = (
            f"- **{TITLES[dataset]}**: training NLL {min(moved):+.4f} to {max(moved):+.4f} "
            "nat/pixel from that of one flow"
        )
        k = max(of)
        if (dataset, k) in genmm:
            ratio = of[k]["FID"] / genmm[dataset, k]["FID"]
            line += f"; at K = {k} the Fréchet distance is {ratio:.2f} times GenMM's"
        said.append(f"{line}.")
    return "\n".join(said)


def _by_set(values: Values) -> dict[str, dict[int, Mapping[str, float]]]:
    found: dict[str, dict[int, Mapping[str, float]]] = {}
    for (dataset, k), metrics in values.items():
        found.setdefault(dataset, {})[k] = metrics
    return found


def _reached(runs: Iterable[StoredRun], targets: Iterable[Target]) -> list[bool]:
    """Say for every number of table I that was run whether it is reached, within its tolerance."""
    values: dict[tuple[str, str], list[float]] = {}
    for run in runs:
        rows = run.rows[(run.rows["model"] == "GenMM") & (run.rows["metric"] == "nll_train")]
        for dataset, setting, value in rows[["dataset", "setting", "value"]].to_numpy():
            values.setdefault((dataset, setting), []).append(value)
    return [
        float(np.mean(of)) <= target.value + NEAR
        for target in targets
        if (target.paper, target.item) == ("em-gm", "table-1") and target.value is not None
        for of in [values.get((target.dataset, target.setting))]
        if of
    ]


def _span(values: Sequence[float]) -> str:
    return f"{min(values):.3f} to {max(values):.3f}"
