"""Accuracies of maximum-likelihood classification."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from companion.figures.style import style


def accuracy_by_components(series: dict[str, pd.DataFrame], *, dataset: str) -> Figure:
    """Draw test accuracy against K.

    Parameters
    ----------
    series
        Name -> data frame indexed by K with columns ``mean`` and ``std`` (over seeds; NaN
        draws no bar). An empty one is left out, and keeps its colour for other data sets.
    dataset
        For the axis label.
    """
    fig, axes = plt.subplots(figsize=(6.4, 4.6), layout="constrained")
    for index, (name, table) in enumerate(series.items()):
        if table.empty:
            continue
        axes.errorbar(
            table.index, table["mean"], yerr=table["std"].fillna(0), label=name, capsize=3,
            **style(index),
        )  # fmt: skip
    axes.set_xscale("log")
    ticks = sorted({int(k) for table in series.values() for k in table.index})
    axes.set_xticks(ticks, [str(k) for k in ticks])
    axes.minorticks_off()
    axes.set_xlabel("K, components per class")
    axes.set_ylabel(f"test accuracy on {dataset} (share)")
    axes.grid(alpha=0.3)
    fig.legend(loc="outside lower center", ncols=2)
    return fig


def accuracy_over_epochs(curves: dict[str, pd.DataFrame], *, dataset: str) -> Figure:
    """Draw test accuracy against the training epoch.

    Parameters
    ----------
    curves
        Name -> data frame indexed by epoch, a column per seed; the line is the mean, the band
        runs from the least to the greatest.
    dataset
        For the axis label.
    """
    fig, axes = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
    for index, (name, table) in enumerate(curves.items()):
        look = style(index)
        axes.plot(table.index, table.mean(axis=1), label=name, markersize=4, **look)
        axes.fill_between(
            table.index, table.min(axis=1), table.max(axis=1), color=look["color"], alpha=0.15
        )
    axes.set_xlabel("training epoch")
    axes.set_ylabel(f"test accuracy on {dataset} (share)")
    axes.grid(alpha=0.3)
    axes.legend(ncols=2)
    return fig


def by_components(summary: pd.DataFrame, model: str) -> pd.DataFrame:
    """Return a model's lines of ``Page.summary`` indexed by K, sorted."""
    if model not in summary.index.get_level_values("model"):
        return summary.iloc[:0].droplevel("model")
    table = summary.loc[model]
    table = table[[" " not in str(setting) for setting in table.index]]  # not other splits
    k = [int(str(setting).removeprefix("K=")) for setting in table.index]
    return pd.DataFrame(table.set_axis(pd.Index(k, name="K")).sort_index())


def curves_by_components(runs: Sequence[Any], model: str) -> dict[str, pd.DataFrame]:
    """Return ``K=...`` -> accuracy by epoch, a column per seed, of a model's runs."""
    columns: dict[int, dict[int, pd.Series]] = {}
    for run in runs:
        shown = run.config["model"] == model and not run.config["split_seed"]
        if shown and "test_accuracy" in run.arrays:
            curve = pd.Series(run.arrays["test_accuracy"], index=run.arrays["epoch"])
            columns.setdefault(run.config["n_components"], {})[run.config["seed"]] = curve
    return {f"K = {k}": pd.DataFrame(columns[k]) for k in sorted(columns)}
