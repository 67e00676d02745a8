"""Figures of the book: one function, one figure. Readable without colour."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Colour-blind safe (Okabe and Ito); every series also has a marker and a line style of its own.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))


def _style(index: int) -> dict[str, Any]:
    return {
        "color": COLOURS[index % len(COLOURS)],
        "marker": MARKERS[index % len(MARKERS)],
        "linestyle": LINES[index % len(LINES)],
    }


def accuracy_by_components(series: dict[str, pd.DataFrame], *, dataset: str) -> Figure:
    """Draw test accuracy against K.

    Parameters
    ----------
    series
        Name -> data frame indexed by K with columns ``mean`` and ``std`` (over seeds; NaN
        draws no bar).
    dataset
        For the axis label.
    """
    fig, axes = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
    for index, (name, table) in enumerate(series.items()):
        axes.errorbar(
            table.index, table["mean"], yerr=table["std"].fillna(0), label=name, capsize=3,
            **_style(index),
        )  # fmt: skip
    axes.set_xscale("log")
    ticks = sorted({int(k) for table in series.values() for k in table.index})
    axes.set_xticks(ticks, [str(k) for k in ticks])
    axes.minorticks_off()
    axes.set_xlabel("K, components per class")
    axes.set_ylabel(f"test accuracy on {dataset} (share)")
    axes.grid(alpha=0.3)
    axes.legend()
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
        style = _style(index)
        axes.plot(table.index, table.mean(axis=1), label=name, markersize=4, **style)
        axes.fill_between(
            table.index, table.min(axis=1), table.max(axis=1), color=style["color"], alpha=0.15
        )
    axes.set_xlabel("training epoch")
    axes.set_ylabel(f"test accuracy on {dataset} (share)")
    axes.grid(alpha=0.3)
    axes.legend(ncols=2)
    return fig


def density(
    log_prob: Callable[[np.ndarray], np.ndarray],
    points: np.ndarray,
    *,
    labels: np.ndarray | None = None,
    title: str = "",
    around: np.ndarray | None = None,
    axes: Axes | None = None,
    resolution: int = 160,
) -> Figure:
    """Draw a density over the plane with data points on it.

    Parameters
    ----------
    log_prob
        (M, 2) -> (M,) in nats.
    points, labels
        Points (N, 2) to draw, and for each the component whose marker it gets.
    around
        Points (M, 2) that the picture covers, ``points`` unless given: a sample far out then
        does not shrink the rest.
    title, axes, resolution
        Title; axes to draw into (a new figure unless given); grid lines per axis.
    """
    if axes is None:
        _, axes = plt.subplots(figsize=(5.0, 4.4), layout="constrained")
    fig = axes.get_figure()
    assert isinstance(fig, Figure)
    x, y, grid = plane(points if around is None else around, resolution)
    values = np.exp(log_prob(grid)).reshape(len(y), len(x))
    image = axes.pcolormesh(x, y, values, cmap="Greys", shading="auto", rasterized=True)
    fig.colorbar(image, ax=axes, label="density p(x)")
    groups = np.zeros(len(points), int) if labels is None else labels
    for index in np.unique(groups):
        chosen = points[groups == index]
        name = None if labels is None else f"component {index + 1}"
        axes.scatter(
            chosen[:, 0],
            chosen[:, 1],
            s=7,
            linewidths=0,
            alpha=0.6,
            label=name,
            rasterized=True,
            color=COLOURS[index % len(COLOURS)],
            marker=MARKERS[index % len(MARKERS)],
        )
    axes.set(xlabel="feature 1", ylabel="feature 2", title=title, aspect="equal")
    axes.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    if labels is not None:
        axes.legend(loc="upper right", fontsize="small", framealpha=0.9)
    return fig


def side_by_side(
    panels: Sequence[tuple[Callable[[np.ndarray], np.ndarray], np.ndarray, np.ndarray | None, str]],
) -> Figure:
    """Draw several densities in a row; each panel is (log_prob, points, labels, title)."""
    fig, axes = plt.subplots(
        1, len(panels), figsize=(4.8 * len(panels), 4.0), layout="constrained", squeeze=False
    )
    for panel, (log_prob, points, labels, title) in zip(axes[0], panels, strict=True):
        density(log_prob, points, labels=labels, title=title, axes=panel)
    return fig


def plane(points: np.ndarray, resolution: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return grid lines x, y around the points, and the grid's nodes (resolution^2, 2)."""
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.15 * (high - low)
    x, y = np.linspace(low - margin, high + margin, resolution).T
    return x, y, np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


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
