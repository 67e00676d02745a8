"""Figures of the front page: one for each finding, small, so that they read on a phone."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from companion.figures.style import COLOURS

SIZE = (4.2, 3.0)  # inches


def noise(gains: pd.DataFrame, published: Mapping[int, float], names: Mapping[str, str]) -> Figure:
    """Draw what is gained over one flow: published, by noise alone, and by a mixture.

    Parameters
    ----------
    gains
        Of :func:`companion.em_gm.images.summary.gains`, of one data set.
    published
        K -> published gain, nat/pixel.
    names
        Line of ``gains`` -> its label.
    """
    fig, axes = plt.subplots(figsize=SIZE, layout="constrained")
    lines = {"published": pd.Series(published)}
    means = gains.xs("mean", axis=1, level=1)
    lines |= {label: pd.Series(means.loc[name]).dropna() for name, label in names.items()}
    markers = ("*", "s", "o")
    for (label, values), marker, colour in zip(lines.items(), markers, COLOURS, strict=False):
        axes.plot(values.index, values, marker=marker, color=colour, linestyle="-")
        _label(axes, values, label, colour)
    axes.axhline(0, color="0.5", linewidth=0.8)
    sizes = sorted({k for values in lines.values() for k in values.index})
    axes.set(xlabel="K, flows", ylabel="gain over one flow\n(nat/pixel)", xticks=sizes)
    axes.set_xlim(sizes[0] - 0.3, sizes[-1] + 4.6)
    return fig


def _label(axes: Axes, values: pd.Series, label: str, colour: str) -> None:
    axes.annotate(
        label, (values.index[-1], values.iloc[-1]), (6, 0), textcoords="offset points",
        va="center", color=colour, fontsize=9,
    )  # fmt: skip


def divided(tables: Mapping[str, pd.Series]) -> Figure:
    """Draw the accuracy of ways to use ten flows, a panel per data set.

    Parameters
    ----------
    tables
        Title -> way -> accuracy on the test split.
    """
    fig, panels = plt.subplots(len(tables), 1, figsize=SIZE, layout="constrained", squeeze=False)
    for axes, (title, values) in zip(panels[:, 0], tables.items(), strict=True):
        axes.scatter(values, range(len(values)), color=COLOURS[: len(values)], zorder=3)
        axes.set(yticks=range(len(values)), yticklabels=values.index, title=title)
        axes.invert_yaxis()
        axes.margins(x=0.1, y=0.25)
        axes.grid(axis="x", alpha=0.3)
    panels[-1, 0].set_xlabel("accuracy on the test split")
    return fig


def distances(values: pd.Series) -> Figure:
    """Draw the Fréchet distance of digits of each method.

    Parameters
    ----------
    values
        Method -> distance; lower is better.
    """
    fig, axes = plt.subplots(figsize=SIZE, layout="constrained")
    bars = axes.barh(range(len(values)), values, color=COLOURS[: len(values)])
    axes.bar_label(bars, fmt="%.0f", padding=3)
    axes.set(yticks=range(len(values)), yticklabels=values.index)
    axes.set_xlabel("Fréchet distance to test images\n(lower is better)")
    axes.invert_yaxis()
    axes.margins(x=0.15)
    return fig
