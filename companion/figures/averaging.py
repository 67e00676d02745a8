"""Figure of the page on averaging and dividing: accuracy against K, a panel per data set."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from companion.figures.style import style


def by_components(table: pd.DataFrame, names: dict[str, str], label: str) -> Figure:
    """Draw a value against K for every way, panels below each other.

    Parameters
    ----------
    table
        Index (data set, way); columns K.
    names
        Data set -> its title.
    label
        Of the value.
    """
    datasets = list(dict.fromkeys(table.index.get_level_values(0)))
    ways = list(dict.fromkeys(table.index.get_level_values(1)))
    fig, panels = plt.subplots(
        len(datasets), 1, figsize=(5.2, 2.7 * len(datasets)), layout="constrained", squeeze=False,
        sharex=True,
    )  # fmt: skip
    for axes, dataset in zip(panels[:, 0], datasets, strict=True):
        for way, values in table.loc[dataset].iterrows():
            shown = values.dropna()
            axes.plot(shown.index, shown, label=way, markersize=5, **style(ways.index(way)))
        axes.set_xscale("log", base=2)
        axes.set(title=names.get(dataset, dataset), ylabel=label)
        axes.set_xticks(list(table.columns), [str(k) for k in table.columns])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    panels[-1, 0].set_xlabel("K, flows of a class")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=1, fontsize="small")
    return fig
