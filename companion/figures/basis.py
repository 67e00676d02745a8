"""Figures of the GMM-basis pages: fits beside targets, kernels, widths, outliers, tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from companion.figures.style import COLOURS, LINES, style
from mixflow import basis
from mixflow.basis.learning import Regions

Arrays = Mapping[str, np.ndarray]

_TARGET = {"color": "black", "linewidth": 1.6, "label": "target"}
_X, _DENSITY = "x, in units of the targets' range of means", "density"


def _line(index: int, **more: Any) -> dict[str, Any]:
    """Return the look of a line without markers."""
    return {"color": COLOURS[index], "linestyle": LINES[index], "linewidth": 1.2, **more}


def crossing_region(arrays: Arrays) -> Figure:
    """Draw figures 1 and 2: target and fit around a region that the fit crosses twice.

    Parameters
    ----------
    arrays
        Of a run of ``gmm-basis/figures-1-7``.
    """
    u, x, truth = arrays["u"], arrays["x"][0], arrays["target"][0]
    twice = np.flatnonzero(arrays["crossings sigma=1r"] == 2) + 0.5
    middle = np.interp(0.5, truth.cumsum() / truth.sum(), u)
    mean = twice[np.abs(twice - middle).argmin()] if len(twice) else middle
    part, region = np.abs(u - mean) < 9, np.interp([mean - 1, mean + 1], u, x)
    fig, panels = plt.subplots(1, 2, figsize=(8.0, 3.4), layout="constrained", sharey=True)
    for axes, t in zip(panels, (1, 3), strict=True):
        axes.axvspan(*region, color="0.88", label=r"region $\omega_i$, $\mu_i\pm r$")
        axes.plot(x[part], truth[part], **_TARGET)
        axes.plot(x[part], arrays[f"fit sigma={t}r"][part], **_line(1, label="fit"))
        axes.set(xlabel=_X, title=rf"$\sigma = {t if t > 1 else ''}r$")
        axes.grid(alpha=0.3)
    panels[0].set_ylabel(_DENSITY)
    panels[0].legend()
    return fig


def two_targets(arrays: Arrays) -> Figure:
    """Draw figure 3: the densities of the two targets."""
    fig, panels = plt.subplots(1, 2, figsize=(8.0, 3.2), layout="constrained")
    names = ("8 normals", "normals, t and uniforms")
    for number, (axes, name) in enumerate(zip(panels, names, strict=True)):
        axes.plot(arrays["x"][number], arrays["target"][number], **_TARGET)
        axes.set(xlabel=_X, ylabel=_DENSITY, title=f"target {number + 1}: {name}")
        axes.grid(alpha=0.3)
    return fig


def start(arrays: Arrays, n: int) -> Figure:
    """Draw figure 4: the mixture before any point, with all weights 1/n."""
    fig, axes = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
    u = arrays["u"]
    inside = (u >= 0) & (u <= n)
    axes.plot(u, np.where(inside, 1 / n, 0), color="black", linewidth=1.6, label="uniform")
    for index, t in enumerate((1, 3)):
        axes.plot(u, arrays[f"start sigma={t}r"], **_line(index + 1, label=rf"$\sigma = {t}r$"))
    axes.set(xlabel="x, in cells of the grid", ylabel="density per cell", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower center")
    return fig


def fit_of(arrays: Arrays, number: int) -> Figure:
    """Draw figures 5 and 6: a target with both algorithms' fits, and the differences below.

    Parameters
    ----------
    arrays
        Of a run of ``gmm-basis/figures-1-7``.
    number
        0 for target 1, 1 for target 2.
    """
    fig, (top, below) = plt.subplots(
        2, 1, figsize=(7.6, 5.0), layout="constrained", sharex=True, height_ratios=(3, 1)
    )
    x, truth = arrays["x"][number], arrays["target"][number]
    top.plot(x, truth, **_TARGET)
    for k in (1, 2):
        curve, loss = arrays[f"algorithm-{k}"][number], arrays[f"L algorithm-{k}"][number]
        top.plot(x, curve, **_line(k - 1, label=f"algorithm {k}, L = {loss:.4f}"))
        below.plot(x, curve - truth, **_line(k - 1))
    top.set(ylabel=_DENSITY)
    below.set(xlabel=_X, ylabel="fit - target")
    top.legend()
    for axes in (top, below):
        axes.grid(alpha=0.3)
    return fig


def six_fits(arrays: Arrays) -> Figure:
    """Draw figure 7: six more targets, three of each family, with algorithm 2's fits."""
    fig, panels = plt.subplots(2, 3, figsize=(8.0, 5.0), layout="constrained")
    for position, axes in enumerate(panels.flat):
        number = position + 2
        axes.plot(arrays["x"][number], arrays["target"][number], **_TARGET)
        curve, loss = arrays["algorithm-2"][number], arrays["L algorithm-2"][number]
        axes.plot(arrays["x"][number], curve, **_line(1, label="algorithm 2"))
        axes.set_title(f"{position + 1}, L = {loss:.4f}", fontsize="medium")
        axes.grid(alpha=0.3)
    for axes in panels[1]:
        axes.set_xlabel("x")
    for axes in panels[:, 0]:
        axes.set_ylabel(_DENSITY)
    panels[0, 0].legend(fontsize="small")
    return fig


def kernels(learning_sigmas: Sequence[float] = (0.5, 1, 3)) -> Figure:
    """Draw what one point adds to the weights around it, in algorithm 1 and in algorithm 2."""
    fig, panels = plt.subplots(1, 2, figsize=(8.0, 3.4), layout="constrained", sharey=True)
    lag = np.arange(-8, 9)
    names: dict[Regions, str] = {
        "average": "mean of both sides subtracted",
        "sum": "both sides subtracted",
    }
    for axes, (regions, name) in zip(panels, names.items(), strict=True):
        for index, sigma in enumerate(learning_sigmas):
            kernel = basis.region_kernel(9, sigma, regions).numpy()[np.abs(lag)]
            axes.plot(
                lag, kernel, markersize=4, label=rf"learning $\sigma = {sigma:g}r$", **style(index)
            )
        axes.set(xlabel="weight's distance from the point's cell, in cells")
        axes.set_title(f"{name}: sums to {0.5 if regions == 'average' else 0:g}", fontsize="medium")
        axes.grid(alpha=0.3)
    panels[0].axhline(0, color="black", linewidth=0.6)
    panels[0].plot(0, 1, "k*", markersize=9, label="algorithm 2: 1, and nowhere else")
    panels[1].axhline(0, color="black", linewidth=0.6)
    panels[0].set_ylabel("added to the weight (points)")
    panels[0].legend(fontsize="small")
    return fig


def series(
    table: pd.DataFrame,
    *,
    x: str,
    y: str,
    levels: Mapping[str, float] | None = None,
    axes: Axes | None = None,
) -> Figure:
    """Draw the columns of a table against its index, both axes logarithmic.

    Parameters
    ----------
    table
        Positive numbers; column names go to the legend.
    x, y
        Names of the axes, with units.
    levels
        Name -> height of further, horizontal lines.
    axes
        To draw into; a new figure unless given.
    """
    if axes is None:
        _, axes = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
    for index, name in enumerate(table.columns):
        column = table[name].dropna()
        axes.plot(column.index, column, label=name, markersize=5, **style(index))
    for index, (name, height) in enumerate((levels or {}).items()):
        axes.axhline(
            height, color=COLOURS[index], linewidth=0.9, alpha=0.8, linestyle=":", label=name
        )
    axes.set(xlabel=x, ylabel=y)
    _logarithmic(axes)
    axes.legend(fontsize="small")
    fig = axes.get_figure()
    assert isinstance(fig, Figure)
    return fig


def _logarithmic(axes: Axes) -> None:
    """Make both axes logarithmic, with plain numbers at 1, 2 and 5 times powers of ten."""
    axes.set(xscale="log", yscale="log")
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 300 * low else (1,)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.3, which="both")


def loss_against_time(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw L against the time of a fit, a panel per family of targets.

    Parameters
    ----------
    tables
        Family -> data frame with columns ``method``, ``L``, ``standard error`` and ``ms``.
    """
    methods = list(dict.fromkeys(m for table in tables.values() for m in sorted(table["method"])))
    fig, panels = plt.subplots(
        1, len(tables), figsize=(8.4, 4.6), layout="constrained", squeeze=False
    )
    for axes, (family, table) in zip(panels[0], tables.items(), strict=True):
        for index, method in enumerate(methods):
            rows, look = table[table["method"] == method], style(index)
            turn = index // len(COLOURS)
            axes.errorbar(
                rows["ms"], rows["L"], yerr=rows["standard error"], color=look["color"],
                marker=look["marker"], markerfacecolor="white" if turn else look["color"],
                linestyle="none", markersize=6, capsize=2, label=method,
            )  # fmt: skip
        axes.set(title=family, xlabel="time of a fit (ms)", ylabel="L (0 is perfect, 2 the worst)")
        _logarithmic(axes)
    fig.legend(
        *panels[0, 0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=4,
        fontsize="small",
    )
    return fig


def gains(pairs: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Draw L of the paper's best cell against L of the improved rule, a point per target.

    Parameters
    ----------
    pairs
        Family -> (L of the paper's best cell, L of the improved rule), both (T,).
    """
    fig, panels = plt.subplots(
        1, len(pairs), figsize=(8.0, 4.0), layout="constrained", squeeze=False
    )
    for axes, (family, (paper, ours)) in zip(panels[0], pairs.items(), strict=True):
        ends = min(paper.min(), ours.min()) * 0.9, max(paper.max(), ours.max()) * 1.1
        axes.plot(ends, ends, color="black", linewidth=0.8, label="equal")
        axes.scatter(
            paper, ours, s=8, alpha=0.4, linewidths=0, color=COLOURS[0], rasterized=True,
            label=f"a target ({(ours < paper).mean():.0%} below the line)",
        )  # fmt: skip
        axes.set(xlabel="L of the paper's best cell", ylabel="L of the improved rule")
        axes.set(xlim=ends, ylim=ends, title=family)
        _logarithmic(axes)
        axes.set_aspect("equal")
        axes.legend(loc="upper left", fontsize="small")
    return fig
