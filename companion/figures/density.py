"""Densities over the plane."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from companion.figures.style import COLOURS, MARKERS
from mixflow.metrics.integration import plane


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
