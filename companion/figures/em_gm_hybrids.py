"""The models of EM-GM's section III.B side by side."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from companion.figures.style import style


def comparison(tables: Mapping[str, tuple[str, pd.DataFrame]]) -> Figure:
    """Draw a measure of every model on every data set, seeds as dots, their mean as a bar.

    Parameters
    ----------
    tables
        Title of a panel -> label of its axis, and values with a row per model and a column
        per seed.
    """
    most = max(len(values) for _, values in tables.values())
    fig, panels = plt.subplots(
        1, len(tables), figsize=(4.2 * len(tables), 1.0 + 0.42 * most), layout="constrained",
        squeeze=False, sharey=True,
    )  # fmt: skip
    for axes, (title, (label, values)) in zip(panels[0], tables.items(), strict=True):
        for place, (_, seeds) in enumerate(values.iterrows()):
            look = {**style(place), "linestyle": "none"}
            axes.plot(seeds, [place] * len(seeds), markersize=6, alpha=0.8, **look)
            axes.plot([seeds.mean()] * 2, [place - 0.3, place + 0.3], color="black", linewidth=1.5)
        axes.set(title=title, xlabel=label, yticks=range(len(values)), yticklabels=values.index)
        axes.grid(axis="x", alpha=0.3)
    panels[0, 0].invert_yaxis()
    return fig
