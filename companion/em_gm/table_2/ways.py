"""What the page of table II says of flows that divide the samples of a class, or share them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from companion.em_gm.table_2.satimage_recipes import REFERENCE
from companion.em_gm.table_2.summary import OURS, PAGE, by_seed, points, trend
from companion.evidence.text import mean_and_sd

# What a data set of em-gm/norb-light and em-gm/norb-components is called.
LIGHT = {
    "norb-8x16": "grey values as they are",
    "norb-8x16-normalised": "each image normalised",
    "digits": "digits",
}


def sharing(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a line per data set and way to share or divide samples.

    Columns are ``dataset``, ``way`` and every metric, the mean over seeds; the ``gain`` is what
    the mixture's test accuracy is above that of one flow of every class.
    """
    keys = ["dataset", "config_n_components", "config_n_blocks", "config_posterior_temperature"]
    table = rows.pivot_table(index=keys, columns="metric", values="value", sort=False)
    # Blocks from few to many, temperatures from low to high; T = D is the highest.
    order = [
        (data, b, np.inf if t == "per_dimension" else float(t)) for data, _, b, t in table.index
    ]
    table = table.iloc[sorted(range(len(order)), key=order.__getitem__)]
    ways = [way(k, blocks, temperature) for _, k, blocks, temperature in table.index]
    table = table.reset_index("dataset").reset_index(drop=True).rename_axis(columns=None)
    table.insert(1, "way", ways)
    return table.assign(gain=table["test_accuracy"] - table["mean_flow_test_accuracy"])


def components_said(rows: pd.DataFrame) -> str:
    """Say what the metrics of ``em-gm/norb-components`` are, the mean over seeds."""
    values = rows.groupby("metric")["value"]
    mean, spread = values.mean(), values.std()
    said = (
        f"{mean['effective_components']:.2f} of the components of a class are in use (counted as "
        "the exponential of the entropy of their weights). The largest responsibility of a sample "
        f"is {mean['train_largest_responsibility']:.3f} on average in training and "
        f"{mean['test_largest_responsibility']:.3f} on the test split. The component explains "
        f"{mean['explained_brightness']:.0%} of the variance of an image's mean grey level."
    )
    if "agreement_with_toys" not in mean:
        return said
    agreement, sd = mean["agreement_with_toys"], spread["agreement_with_toys"]
    return (
        f"{said} The adjusted mutual information of component and toy, 0 by chance and 1 where "
        f"every toy has a component of its own, is {mean_and_sd(agreement, sd, 2)}"
        + (" (sd over seeds)." if sd == sd else ".")
    )


def left_out(rows: pd.DataFrame, metric: str = "left_out_accuracy") -> dict[str, pd.DataFrame]:
    """Return a metric of ``em-gm/norb-light``: what images are -> toys (lines) by K."""
    return {
        said: by_seed(rows[rows["dataset"] == dataset], OURS, metric)
        for dataset, said in LIGHT.items()
        if dataset in set(rows["dataset"])
    }


def left_out_shown(rows: pd.DataFrame) -> pd.DataFrame:
    """Return what ``em-gm/norb-light`` measures as the page shows it: means over toys, by K."""
    lines = []
    for said, accuracy in left_out(rows).items():
        seen, nll, seen_nll = (
            left_out(rows, metric)[said].mean()
            for metric in ("seen_accuracy", "left_out_nll", "seen_nll")
        )
        lines += [
            {
                "images": said,
                "K": k,
                "accuracy, toys seen": f"{seen[k]:.4f}",
                "accuracy, toy left out": f"{accuracy[k].mean():.4f}",
                "NLL in nats, toys seen": f"{seen_nll[k]:.1f}",
                "NLL, toy left out": f"{nll[k]:.1f}",
                "difference": f"{nll[k] - seen_nll[k]:.1f}",
            }
            for k in accuracy.columns
        ]
    return pd.DataFrame(lines)


def left_out_drawn(tables: Mapping[str, pd.DataFrame]) -> str:
    """Say what ``figures.left_out`` draws of :func:`left_out`, for its alternative text."""
    return "Accuracy on the toys left out against K. " + " ".join(
        f"{images}: on average "
        + ", ".join(f"{value:.4f} at K={k}" for k, value in table.mean().items())
        + "."
        for images, table in tables.items()
    )


def left_out_said(rows: pd.DataFrame) -> list[str]:
    """Say for each kind of images what the largest K gains over the smallest, and for how many."""
    lines = []
    for said, accuracy in left_out(rows).items():
        found = trend(accuracy.dropna())
        tested = f" (p = {found[PAGE]} by Page's trend test)" if found[PAGE] else ""
        gains = {}
        for part in ("seen", "left_out"):
            nll = left_out(rows, f"{part}_nll")[said].mean()
            gains[part] = nll.iloc[0] - nll.iloc[-1]
        lines.append(
            f"{said.capitalize()}: from K = {accuracy.columns[0]} to {accuracy.columns[-1]} "
            f"accuracy on a toy left out changes by {found['gain']} on average, with a gain for "
            f"{found['seeds with a gain']} toys{tested}. The log density of toys seen gains "
            f"{gains['seen']:+.1f} nats, that of toys left out {gains['left_out']:+.1f}."
        )
    return lines


def sharing_shown(table: pd.DataFrame) -> pd.DataFrame:
    """Return what :func:`sharing` gives as the page shows it."""
    four, two = "{:.4f}".format, "{:.2f}".format
    shown = {
        "data": table["dataset"],
        "way": table["way"],
        "largest responsibility": table["test_largest_responsibility"].map(two),
        "accuracy, training": table["train_accuracy"].map(four),
        "accuracy, test": table["test_accuracy"].map(four),
        "one flow alone, test": table["mean_flow_test_accuracy"].map(four),
        "gained by pooling (points)": points(table["gain"]),
        "test nats": table["test_nll"].map(two),
        "of these lost since training": (table["test_nll"] - table["train_nll"]).map(two),
    }
    return pd.DataFrame(shown)


def sharing_drawn(table: pd.DataFrame, names: Mapping[str, str]) -> str:
    """Say what ``figures.sharing`` draws of :func:`sharing`, for its alternative text.

    ``names`` are those of :func:`sharing_said`.
    """
    return (
        "Test accuracy of the mixture and of one flow alone, against the mean largest "
        "responsibility. "
    ) + " ".join(
        f"{names[str(line.dataset)]}, {line.way}: {line.mean_flow_test_accuracy:.4f} alone, "
        f"{line.test_accuracy:.4f} pooled, largest responsibility "
        f"{line.test_largest_responsibility:.2f}."
        for line in table.itertuples()
    )


def way(n_components: int, n_blocks: int, temperature: float | str) -> str:
    """Name a way of sharing: one EM, blocks, or flows that know nothing of each other."""
    if n_blocks == n_components:
        return f"{n_components} flows apart, averaged"
    said = "T = D" if temperature == "per_dimension" else f"T = {float(temperature):g}"
    many = "one EM" if n_blocks == 1 else f"{n_blocks} blocks, an EM each"
    return f"{many}, {said}"


def sharing_said(table: pd.DataFrame, names: Mapping[str, str]) -> list[str]:
    """Say for each data set what the two extremes of :func:`sharing` reach, and which way is best.

    Parameters
    ----------
    table
        Of :func:`sharing`; its ways go from one EM to flows that know nothing of each other.
    names
        Data set -> what it is called.
    """
    lines = []
    for dataset, part in table.groupby("dataset", sort=False):
        by_way = part.set_index("way")
        told = [
            f"*{way}* reaches {by_way.loc[way, 'test_accuracy']:.4f}: a flow alone "
            f"{by_way.loc[way, 'mean_flow_test_accuracy']:.4f}, and pooling gains "
            f"{100 * by_way.loc[way, 'gain']:.2f} points"
            for way in by_way.index[[0, -1]]
        ]
        best = by_way["test_accuracy"].idxmax()
        lines.append(f"{names[str(dataset)]}: {'; '.join(told)}. Best is *{best}*.")
    return lines


def recipes(rows: pd.DataFrame) -> pd.DataFrame:
    """Return what ``em-gm/satimage-recipes`` measures: a line per model and setting.

    The table's own recipe is the first (if it was run), then the most accurate. Columns are
    ``accuracy``, of samples left out; ``gain`` over the first line and its standard error ``se``,
    of the differences part by part; ``symmetric``, the gain by averaging densities over a window's
    symmetries; and ``seen``, the accuracy on training samples.
    """
    left, seen, symmetric = (
        rows[rows["metric"] == metric].pivot_table(
            index=["model", "setting"], columns="seed", values="value", sort=False
        )
        for metric in ("left_out_accuracy", "seen_accuracy", "left_out_accuracy_symmetric")
    )
    other = [line != (OURS, REFERENCE) for line in left.index]
    left = left.iloc[np.lexsort((-left.mean(axis=1), other))]
    gain = left - left.iloc[0]
    columns = {
        "accuracy": left.mean(axis=1),
        "gain": gain.mean(axis=1),
        "se": gain.sem(axis=1),
        "symmetric": (symmetric - left).mean(axis=1),
        "seen": seen.mean(axis=1),
    }
    return pd.DataFrame(columns).loc[left.index].reset_index()


def recipes_shown(table: pd.DataFrame) -> pd.DataFrame:
    """Return what :func:`recipes` gives as the page shows it."""
    error = [f"\u00a0±\u00a0{100 * se:.2f}" if se == se else "" for se in table["se"]]
    shown = {
        "model": table["model"],
        "setting": table["setting"],
        "accuracy, left out": table["accuracy"].map("{:.4f}".format),
        "against the first line (points)": points(table["gain"]) + error,
        "gained by the eight symmetries (points)": points(table["symmetric"]),
        "accuracy, training": table["seen"].map("{:.4f}".format),
    }
    return pd.DataFrame(shown).fillna("")


def recipes_said(table: pd.DataFrame) -> str:
    """Say how far the best of :func:`recipes` is from the first line, and what symmetries give."""
    changed = table.iloc[1:]
    line = changed.iloc[int(changed["gain"].argmax())]
    said = (
        f"The best change is *{line['model']}, {line['setting']}*: {100 * line['gain']:+.2f} points"
        + (f", {line['gain'] / line['se']:.1f} standard errors" if line["se"] > 0 else "")
        + f", the largest of {len(changed)} differences."
    )
    if table["symmetric"].isna().all():
        return said
    return (
        f"{said} Densities averaged over the symmetries give {points(table['symmetric']).iloc[0]} "
        f"points with the table's recipe, and {100 * table['symmetric'].mean():+.2f} on average "
        f"over all lines."
    )
