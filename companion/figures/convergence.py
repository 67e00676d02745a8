"""Figures of how the bound of generalised EM moves."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from companion.figures.style import COLOURS, LINES


def bounds(curves: Mapping[str, np.ndarray], detail: tuple[int, int]) -> Figure:
    """Draw the bound after every E- and M-step: all iterations, and some of them closely.

    Parameters
    ----------
    curves
        Name -> bound in nats a sample, (2 I + 1,): E-step, M-step, ..., E-step.
    detail
        First and last iteration of the right panel, where falls are marked.
    """
    fig, (left, right) = plt.subplots(1, 2, figsize=(9.0, 3.8), layout="constrained")
    for index, (name, bound) in enumerate(curves.items()):
        iteration = np.arange(len(bound)) / 2
        look = {"color": COLOURS[index], "linestyle": LINES[index], "linewidth": 1.3}
        left.plot(iteration, bound, label=name, **look)
        rows = slice(2 * detail[0], 2 * detail[1] + 1)
        right.plot(iteration[rows], bound[rows], **look)
        falls = np.flatnonzero(np.diff(bound[rows]) < 0) + 1
        right.plot(
            iteration[rows][falls], bound[rows][falls], linestyle="none", marker="v",
            markersize=5, color=COLOURS[index],
        )  # fmt: skip
    # The first iterations rise by far more than all that follow.
    low = min(np.quantile(bound, 0.03) for bound in curves.values())
    high = max(bound.max() for bound in curves.values())
    left.set_ylim(low - 0.05 * (high - low), high + 0.08 * (high - low))
    left.set(xlabel="iteration of EM", ylabel="lower bound (nats a sample)")
    right.set(xlabel="iteration of EM", title="triangles: falls")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    left.legend(fontsize="small", loc="lower right")
    return fig


def weights(curves: Mapping[str, np.ndarray]) -> Figure:
    """Draw the mixture weights by iteration, a panel per way.

    Parameters
    ----------
    curves
        Name -> weights (I, K).
    """
    fig, panels = plt.subplots(
        1, len(curves), figsize=(9.0, 2.9), layout="constrained", sharey=True, squeeze=False
    )
    for axes, (name, values) in zip(panels[0], curves.items(), strict=True):
        for k, line in enumerate(values.T):
            axes.plot(line, color=COLOURS[k % len(COLOURS)], linewidth=1.2)
        axes.axhline(1 / values.shape[1], color="0.5", linestyle=":", linewidth=1)
        axes.set(title=name, xlabel="iteration of EM")
        axes.grid(alpha=0.3)
    panels[0, 0].set_ylim(bottom=0)
    panels[0, 0].set_ylabel("weight $\\pi_k$")
    return fig
