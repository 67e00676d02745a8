"""Table II of EM-GM, taken apart: what a class's flows gain by dividing its samples, and which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from companion.figures.style import style


def sharing(tables: dict[str, pd.DataFrame]) -> Figure:
    """Draw accuracies against how sharply posteriors divide samples, a panel per data set.

    A line joins what one flow of every class reaches alone to what the mixture reaches: its
    length is what pooling gains.

    Parameters
    ----------
    tables
        Data set -> a line per way to share or divide, with the columns ``way``,
        ``test_largest_responsibility``, ``mean_flow_test_accuracy`` and ``test_accuracy``.
    """
    fig, panels = plt.subplots(
        1, len(tables), figsize=(4.8 * len(tables), 4.6), layout="constrained", squeeze=False
    )
    for axes, (name, table) in zip(panels[0], tables.items(), strict=True):
        for index, line in enumerate(table.itertuples()):
            look = style(index) | {"linestyle": "none"}
            x, alone, pooled = (
                line.test_largest_responsibility,
                line.mean_flow_test_accuracy,
                line.test_accuracy,
            )
            axes.plot([x, x], [alone, pooled], color=look["color"], linewidth=1)
            axes.plot(x, alone, fillstyle="none", **look)
            axes.plot(x, pooled, label=line.way, **look)
        axes.set(title=name, xlabel="mean largest responsibility of a test sample")
        axes.grid(alpha=0.3)
    panels[0, 0].set_ylabel("test accuracy (share)\nfilled: mixture, hollow: one flow alone")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=3)
    return fig


def left_out(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw the accuracy on what was left out against K, a panel for each table.

    Parameters
    ----------
    tables
        Title -> accuracies (share), a line for each object that was left out, a column for each K.
    """
    size = (1.2 + 3.4 * len(tables), 4.2)
    fig, panels = plt.subplots(
        1, len(tables), figsize=size, sharey=True, squeeze=False, layout="constrained"
    )
    for axes, (title, table) in zip(panels[0], tables.items(), strict=True):
        for number, values in enumerate(table.to_numpy()):
            axes.plot(table.columns, values, label=f"toy {number + 1}", **style(number))
        axes.plot(table.columns, table.mean(), label="mean", color="black", linewidth=2.5)
        axes.set_xscale("log")
        axes.set_xticks(list(table.columns), [str(k) for k in table.columns])
        axes.minorticks_off()
        axes.set_xlabel("K, components per class")
        axes.set_title(title)
        axes.grid(alpha=0.3)
    panels[0, 0].set_ylabel("accuracy on the toy left out (share)")
    fig.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=6)
    return fig


def components_of_classes(typical: NDArray, weights: NDArray, classes: Sequence[str]) -> Figure:
    """Draw the typical samples of every class's components, a panel for each class.

    Parameters
    ----------
    typical
        (C, K, n, H, W) uint8; the n images of a component stand in a row.
    weights
        pi of the components, (C, K); the largest stands on top.
    classes
        Names of the C classes.
    """
    n_classes, k, n, height, width = typical.shape
    size = (10.4, 1.2 + 10.4 / n_classes * k * height / (n * width))
    fig, panels = plt.subplots(1, n_classes, figsize=size, layout="constrained", squeeze=False)
    for axes, name, images, shares in zip(panels[0], classes, typical, weights, strict=True):
        order = np.argsort(-shares)
        rows = images[order].transpose(0, 2, 1, 3).reshape(k * height, n * width)
        axes.imshow(rows, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axes.set_yticks(height * (np.arange(k) + 0.5), [f"{share:.2f}" for share in shares[order]])
        axes.set_xticks([])
        axes.tick_params(left=False)
        for edge in height * np.arange(1, k):
            axes.axhline(edge - 0.5, color="white", linewidth=1.5)
        axes.set_title(name)
    fig.supylabel(r"component's weight $\pi_k$", fontsize="medium")
    return fig
