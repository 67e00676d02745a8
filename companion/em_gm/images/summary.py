"""What the page of EM-GM's table I and figures 3 to 6 shows, from rows and runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from companion.em_gm.images.data import TITLES
from companion.em_gm.images.measures import COPIES
from companion.evidence.targets import Target
from companion.evidence.text import half_interval, mean_and_sd

# Kinds of gain over K = 1.
COPIED = "copies of one flow, noise of their own"
SHARED, OWN = "noise shared", "noise of their own"
INTERVAL = 1.96  # standard errors in half of a 95 % interval over thousands of images
KEYS = ["dataset", "model", "n_components"]
SHOWN = ["data", "model", "K"]  # what the page calls these
# Metric -> what the page calls it, and digits.
CHANGES = {
    "nll_train": ("NLL, training (nat/pixel)", ".4f"),
    "nll_held_out": ("NLL, held out", ".4f"),
    "FID": ("Fréchet distance", ".2f"),
    "IS": ("inception score", ".2f"),
    "1NN": ("1NN accuracy", ".3f"),
}


def with_size(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with K, which the setting names, as a column of numbers."""
    return rows.assign(n_components=rows["setting"].str.removeprefix("K=").astype(int))


def table(rows: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Return mean, sd and number of seeds of metrics, indexed by data set, model and K.

    Parameters
    ----------
    rows
        Of ``em-gm/table-1``.
    metrics
        Columns of the result; each has the levels mean, std and count.
    """
    wide = (
        with_size(rows[rows["metric"].isin(metrics)])
        .pivot_table(index=KEYS, columns="metric", values="value", aggfunc=["mean", "std", "count"])
        .swaplevel(axis=1)
    )
    kept = [metric for metric in metrics if metric in wide.columns.get_level_values(0)]
    # Of one seed there is no sd, and the pivot leaves out what is all missing.
    levels = pd.MultiIndex.from_product([kept, ["mean", "std", "count"]])
    return wide.reindex(columns=levels)


def likelihoods(rows: pd.DataFrame, metrics: Sequence[str], digits: int = 4) -> pd.DataFrame:
    """Return :func:`table` to be read: mean, and ± the sd where there are several seeds."""
    found = table(rows, metrics)
    cells = {
        metric.replace("_", " "): [
            mean_and_sd(mean, sd, digits) for mean, sd in found[metric][["mean", "std"]].to_numpy()
        ]
        for metric in metrics
    }
    return pd.DataFrame(cells, index=found.index).rename_axis(SHOWN)


# Gains -----------------------------------------------------------------------------------------


def published(targets: Iterable[Target]) -> dict[str, dict[int, float]]:
    """Return data set -> K -> table I's NLL in nat/pixel."""
    printed: dict[str, dict[int, float]] = {}
    for target in targets:
        if (target.paper, target.item) == ("em-gm", "table-1") and target.value is not None:
            k = int(target.setting.removeprefix("K="))
            printed.setdefault(target.dataset, {})[k] = target.value
    return printed


def published_gains(targets: Iterable[Target]) -> dict[str, dict[int, float]]:
    """Return data set -> K -> by how much table I's NLL is below that of K = 1, in nat/pixel."""
    return {
        dataset: {k: values[1] - value for k, value in values.items() if k > 1}
        for dataset, values in published(targets).items()
    }


def gains(rows: pd.DataFrame) -> pd.DataFrame:
    """Return what is gained over K = 1 on one data set, by mixtures and by noise alone.

    Parameters
    ----------
    rows
        Of ``em-gm/table-1``, of one data set.

    Returns
    -------
    pandas.DataFrame
        A line per kind of gain; columns (K, "mean" or "error"), in nat/pixel. The error is half
        of a 95 % interval: over seeds where the noise is shared, NaN for one seed; over images
        where it is not.
    """
    found = [*_gains_of_mixtures(rows), *_gains_of_copies(rows)]
    lines = pd.DataFrame(found, columns=["line", "n_components", "mean", "error"])
    wide = lines.pivot(index="line", columns="n_components", values=["mean", "error"])
    order = list(dict.fromkeys(lines["line"]))
    return wide.swaplevel(axis=1).sort_index(axis=1).reindex(order)


Gain = tuple[str, int, float, float]  # kind, K, mean, error


def _gains_of_mixtures(rows: pd.DataFrame) -> Iterable[Gain]:
    """Yield gains with shared noise, seed by seed against K = 1, and with noise of their own."""
    rows = with_size(rows)
    means = rows.groupby(["model", "n_components", "metric"])["value"].mean()
    for (model, k), gain in _gained(rows, "nll_train").items():
        yield f"{model}, {SHARED}", k, gain.mean(), half_interval(gain)
        own, error = (means.get((model, k, f"gain_own_noise{end}")) for end in ("", "_error"))
        if own is not None and error is not None:
            yield f"{model}, {OWN}", k, gain.mean() + own, INTERVAL * error


def _gained(rows: pd.DataFrame, metric: str) -> dict[tuple[str, int], pd.Series]:
    """Return by how much every model with K > 1 is below one flow, by seed; rows are with_size."""
    of = rows[rows["metric"] == metric]
    values = of.set_index(["model", "n_components", "seed"])["value"].sort_index()
    return {
        (model, k): (values["GenMM", 1] - values[model, k]).dropna()
        for model, k in dict.fromkeys((model, k) for model, k, _ in values.index)
        if k != 1
    }


def _gains_of_copies(rows: pd.DataFrame) -> Iterable[Gain]:
    means = rows.groupby("metric")["value"].mean()
    for k in COPIES:
        gain, error = (means[f"gain_copies_{k}{end}"] for end in ("", "_error"))
        yield COPIED, k, gain, INTERVAL * error


def describe_gains(gained: Mapping[str, pd.DataFrame]) -> str:
    """Return the numbers of :func:`gains` by data set, for those who cannot see the figure."""
    return " ".join(
        f"{dataset}: "
        + "; ".join(
            f"{name} "
            + ", ".join(f"{v:.4f} (K = {k})" for k, v in line.xs("mean", level=1).dropna().items())
            for name, line in lines.iterrows()
        )
        + "."
        for dataset, lines in gained.items()
    )


def say_copies(
    gained: Mapping[str, pd.DataFrame], published: Mapping[str, Mapping[int, float]]
) -> str:
    """Return, in Markdown, gains by noise alone and by mixtures beside the published ones."""
    said = []
    for dataset, lines in gained.items():
        copied, shared = (
            lines.loc[name].xs("mean", level=1) for name in (COPIED, f"GenMM, {SHARED}")
        )
        shares = [
            f"K = {k}: published {value:.4f}; copies {copied[k]:.4f}; the mixture, noise shared, "
            f"{shared[k]:.4f}"
            for k, value in published.get(dataset, {}).items()
            if np.isfinite(shared.get(k, np.nan))
        ]
        if shares:
            said.append(f"- **{TITLES[dataset]}**. {'. '.join(shares)}.")
    if not said:
        return ""
    first = (
        'Copies of one flow, which as a mixture are that flow, "gain" by noise of their own, where '
        "noise is drawn in each component anew. A mixture gains where they share it:"
    )
    return "\n".join([first, "", *said])


def say_gains(rows: pd.DataFrame) -> str:
    """Return, in Markdown, what GenMM gains over one flow at equal epochs, with intervals.

    On training and held-out images, seed by seed; nothing is said of a single seed.
    """
    rows = with_size(rows[rows["model"] == "GenMM"])
    said = []
    for dataset, of in rows.groupby("dataset"):
        parts = []
        for metric, name in (("nll_train", "training"), ("nll_held_out", "held-out")):
            written = [
                f"{gain.mean():+.4f} ± {half_interval(gain):.4f} (K = {k})"
                for (_, k), gain in _gained(of, metric).items()
                if len(gain) > 1
            ]
            if written:
                parts.append(f"{', '.join(written)} on {name} images")
        if parts:
            said.append(f"- **{TITLES[str(dataset)]}**: {'; '.join(parts)}.")
    return "\n".join(said)


def changes(rows: pd.DataFrame) -> pd.DataFrame:
    """Return what one flow reaches, and every mixture with its difference from that.

    Lines are data set, model and K; means over seeds, the differences seed by seed. What is not
    measured is left empty.
    """
    measured = with_size(rows[rows["metric"].isin(list(CHANGES))])
    wide = measured.pivot_table(index=[*KEYS, "seed"], columns="metric", values="value")
    one = wide.query("model == 'GenMM' and n_components == 1")
    one = one.droplevel("model").droplevel("n_components")
    same = pd.MultiIndex.from_frame(wide.index.to_frame()[["dataset", "seed"]])
    gained = (wide - one.reindex(same).to_numpy()).groupby(KEYS).mean()
    means = wide.groupby(KEYS).mean()

    def written(k: int, mean: float, gain: float, digits: str) -> str:
        if np.isnan(mean):
            return ""
        return f"{mean:{digits}}" + (f" ({gain:+{digits}})" if k > 1 else "")

    sizes = means.index.get_level_values("n_components")
    cells = {
        name: [written(*of, digits) for of in zip(sizes, means[m], gained[m], strict=True)]
        for m, (name, digits) in CHANGES.items()
    }
    shown = pd.DataFrame(cells, index=means.index).rename(index=TITLES, level="dataset")
    return shown.rename_axis(SHOWN)
