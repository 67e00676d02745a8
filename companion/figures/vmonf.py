"""Mixtures with a neural posterior: regions, samples, seeds, curves, counts, images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from companion.figures.density import plane
from companion.figures.regions import (
    Lines,
    draw_components,
    draw_regions,
    frame,
    legend_below,
    look,
)
from companion.figures.style import COLOURS, MARKERS, style
from mixflow.metrics import best_matching
from mixflow.metrics.matching import NOISE


def data_and_posterior(
    x: np.ndarray,
    y: np.ndarray,
    posterior: Callable[[np.ndarray], np.ndarray] | np.ndarray,
    *,
    lines: Lines | None = None,
    title: str = "posterior q(c | x)",
    resolution: int = 160,
    max_points: int = 3000,
) -> Figure:
    """Draw the data by class beside the plane coloured by the posterior.

    Parameters
    ----------
    x, y
        Points (N, 2) and their classes (N,); -1 is unlabelled, and the labelled points are
        then drawn large.
    posterior
        (M, 2) -> (M, K), or probabilities on a grid, (G_y, G_x, K): floats in [0, 1], or
        unsigned integers from 0 to their largest.
    lines
        Grid lines x (G_x,) and y (G_y,), which set the limits of both panels; those of
        ``plane(x, G_x)`` unless given.
    title
        Of the right panel.
    resolution
        Grid lines per axis where `posterior` is a function.
    max_points
        Of more unlabelled points, or points when all have classes, every so manieth is drawn.

    Raises
    ------
    ValueError
        If the grid does not fit its lines.
    """
    if callable(posterior):
        lines = plane(x, resolution)[:2] if lines is None else lines
        nodes = np.stack(np.meshgrid(*lines), axis=-1).reshape(-1, 2)
        posterior = np.asarray(posterior(nodes)).reshape(len(lines[1]), len(lines[0]), -1)
    lines = plane(x, posterior.shape[1])[:2] if lines is None else lines
    fig, (left, right) = plt.subplots(1, 2, figsize=(9.6, 5.2), layout="constrained")
    thinned = slice(None, None, max(1, -(-len(x) // max_points)))
    _draw_classes(left, x, y, thinned)
    left.set(title="data by class")
    draw_regions(right, lines, posterior)
    right.scatter(*x[thinned].T, s=2, color="black", alpha=0.3, linewidths=0, rasterized=True)
    right.set(title=title)
    for axes in (left, right):
        frame(axes, lines)
    return fig


def _draw_classes(axes: Axes, x: np.ndarray, y: np.ndarray, thinned: slice) -> None:
    """Scatter points by class; unlabelled ones small and grey below the labelled ones."""
    partly = bool((y == -1).any())
    if partly:
        rest = x[y == -1][thinned]
        axes.scatter(
            rest[:, 0], rest[:, 1], s=4, color="0.6", linewidths=0, label="unlabelled",
            rasterized=True,
        )  # fmt: skip
    for index, label in enumerate(np.unique(y[y != -1])):
        colour, marker = look(index)
        chosen = x[y == label][slice(None) if partly else thinned]
        axes.scatter(
            chosen[:, 0], chosen[:, 1], s=36 if partly else 7, alpha=None if partly else 0.6,
            color=[colour], marker=marker, linewidths=0.6 if partly else 0,
            edgecolors="black" if partly else None, label=f"class {label}", rasterized=True,
        )  # fmt: skip
    legend_below(axes)


def samples_by_component(
    x: np.ndarray,
    component: np.ndarray,
    *,
    around: np.ndarray | None = None,
    n_components: int | None = None,
    title: str = "samples of the mixture",
    axes: Axes | None = None,
) -> Figure:
    """Draw samples with a marker and a colour for each component.

    Parameters
    ----------
    x, component
        Samples (M, 2) and the component of each, (M,).
    around
        Data (N, 2) that the picture covers, with the limits that
        :func:`data_and_posterior` gives them; ``x`` unless given.
    n_components
        K; the legend then names components without a sample too.
    title, axes
        Title; axes to draw into (a new figure unless given).
    """
    if axes is None:
        _, axes = plt.subplots(figsize=(5.0, 5.2), layout="constrained")
    k = int(component.max()) + 1 if n_components is None else n_components
    draw_components(axes, x, component, k)
    axes.set(title=title)
    frame(axes, plane(x if around is None else around, 2)[:2])
    fig = axes.get_figure()
    assert isinstance(fig, Figure)
    return fig


def success_over_seeds(
    table: pd.DataFrame,
    *,
    target: float,
    value: str = "accuracy",
    label: str = "accuracy under the best matching (share)",
) -> Figure:
    """Draw one dot a seed for each recipe, and count those that reach a target.

    Parameters
    ----------
    table
        Columns ``recipe``, ``seed`` and the value; recipes stand in the table's order.
    target, value, label
        A seed succeeds at this value or above; the value's column; what it is.

    Raises
    ------
    ValueError
        If a column is missing.
    """
    missing = sorted({"recipe", "seed", value} - set(table.columns))
    if missing:
        raise ValueError(f"the table lacks {missing}; it has {list(table.columns)}")
    recipes = list(table.groupby("recipe", sort=False))
    fig, axes = plt.subplots(
        figsize=(max(4.8, 1.4 * len(recipes) + 1.5), 4.2), layout="constrained"
    )
    for index, (_, group) in enumerate(recipes):
        _draw_seeds(axes, index, group.sort_values("seed")[value].to_numpy(), target)
    axes.axhline(target, color="black", linestyle="--", linewidth=1, label=f"target {target:g}")
    axes.legend(loc="lower right", fontsize="small")
    names = [str(name).replace(", ", ",\n") for name, _ in recipes]
    axes.set_xticks(range(len(recipes)), names)
    axes.set(xlabel="recipe (a dot is a seed; hollow: below the target)", ylabel=label)
    axes.set_xlim(-0.5, len(recipes) - 0.5)
    axes.grid(axis="y", alpha=0.3)
    return fig


def _draw_seeds(axes: Axes, index: int, values: np.ndarray, target: float) -> None:
    """Draw a recipe's seeds side by side, and above them how many succeed."""
    colour, marker = look(index)
    place = index + (np.linspace(-0.25, 0.25, len(values)) if len(values) > 1 else 0 * values)
    good = values >= target
    for chosen, face in ((good, [colour]), (~good, "none")):
        axes.scatter(
            place[chosen], values[chosen], s=30, marker=marker, facecolors=face,
            edgecolors=[colour], linewidths=1.2, zorder=3,
        )  # fmt: skip
    axes.annotate(
        f"{good.sum()} of {len(values)}", (index, 1.0), xycoords=("data", "axes fraction"),
        xytext=(0, 4), textcoords="offset points", ha="center",
    )  # fmt: skip


def training_curves(curves: pd.DataFrame | Mapping[str, pd.DataFrame]) -> Figure:
    """Draw ELBO and log p(x) over training, and the gap between them.

    Parameters
    ----------
    curves
        One recipe, or several by name: data frames indexed by epoch or step (the index's name
        labels the axis) with columns ``elbo`` and ``log_prob`` in nats a sample and, if they
        have it, ``temperature``, drawn in a panel of its own.
    """
    series = {"": curves} if isinstance(curves, pd.DataFrame) else dict(curves)
    names = ["log p(x) and ELBO (nats a sample)", "gap KL(q || p(c | x)) (nats a sample)"]
    if any("temperature" in table for table in series.values()):
        names.append("temperature of q")
    fig, panels = plt.subplots(1, len(names), figsize=(4.4 * len(names), 3.8), layout="constrained")
    for index, table in enumerate(series.values()):
        line = style(index) | {"markersize": 4, "markevery": 0.1}
        panels[0].plot(table.index, table["log_prob"], **(line | {"linestyle": "-"}))
        panels[0].plot(table.index, table["elbo"], **(line | {"linestyle": "--"}))
        panels[1].plot(table.index, table["log_prob"] - table["elbo"], **line)
        if "temperature" in table:
            panels[2].plot(table.index, table["temperature"], **line)
    for panel, name in zip(panels, names, strict=True):
        panel.set(xlabel=next(iter(series.values())).index.name or "epoch", ylabel=name)
        panel.grid(alpha=0.3)
    for panel in panels[1:]:
        if all((line.get_ydata() > 0).all() for line in panel.get_lines()):
            panel.set_yscale("log")
    kinds = [
        Line2D([], [], color="black", linestyle="-", label="log p(x)"),
        Line2D([], [], color="black", linestyle="--", label="ELBO"),
    ]
    named = [Line2D([], [], label=name, **style(i)) for i, name in enumerate(series) if name]
    panels[0].legend(handles=kinds, fontsize="small")
    if named:
        panels[1].legend(handles=named, fontsize="small")
    return fig


def accuracies_over_epochs(curves: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw the accuracy of q and that of the exact posterior against the epoch.

    Parameters
    ----------
    curves
        Name -> data frame indexed by epoch with columns ``accuracy`` and
        ``posterior_accuracy``, as shares.
    """
    fig, axes = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
    for index, (name, table) in enumerate(curves.items()):
        look: dict[str, Any] = {"color": COLOURS[index], "marker": MARKERS[index], "markersize": 4}
        axes.plot(table.index, table["accuracy"], label=f"q, {name}", **look)
        axes.plot(
            table.index,
            table["posterior_accuracy"],
            label=f"posterior, {name}",
            linestyle="--",
            markerfacecolor="none",
            **look,
        )
    axes.set(xlabel="training epoch", ylabel="accuracy on test images (share)")
    axes.grid(alpha=0.3)
    fig.legend(loc="outside lower center", fontsize="small", ncols=len(curves))
    return fig


def contingency(
    table: pd.DataFrame, *, title: str = "", label: str = "class", axes: Axes | None = None
) -> Figure:
    """Draw how many points of each class each component holds; its shade is the class's share.

    Parameters
    ----------
    table
        Points of each class (lines) in components 0 ... K - 1 (columns), and in none (a column
        -1, if any), as of :func:`mixflow.metrics.contingency_table`. Components are sorted by
        the class that the best matching gives them; those without a class follow.
    title, label, axes
        Title; what a line is; axes to draw into (a new figure unless given).
    """
    matched = best_matching(table.drop(columns=NOISE, errors="ignore"))
    found = [int(c) for c in table.columns]
    order = sorted(found, key=lambda c: (c == NOISE, matched.get(c, len(table)), c))
    counts = table[order].to_numpy()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    if axes is None:
        size = (0.55 * counts.shape[1] + 2.4, 0.42 * counts.shape[0] + 1.6)
        _, axes = plt.subplots(figsize=size, layout="constrained")
    image = axes.pcolormesh(shares, cmap="Greys", vmin=0, vmax=1, edgecolors="0.8", linewidth=0.5)
    for row, column in np.argwhere(counts > 0):
        axes.text(
            column + 0.5, row + 0.5, f"{counts[row, column]}", ha="center", va="center",
            fontsize=8, color="white" if shares[row, column] > 0.55 else "black",
        )  # fmt: skip
    axes.set_xticks(
        np.arange(len(order)) + 0.5, ["none" if c == NOISE else str(c + 1) for c in order]
    )
    axes.set_yticks(np.arange(len(table)) + 0.5, [str(name) for name in table.index])
    axes.invert_yaxis()
    axes.set(xlabel="component, sorted by its class", ylabel=label, title=title)
    fig = axes.get_figure()
    assert isinstance(fig, Figure)
    fig.colorbar(image, ax=axes, label=f"share of the {label}")
    return fig


def image_grid(
    images: np.ndarray,
    *,
    names: Sequence[str] | None = None,
    limits: tuple[float, float] | None = None,
    title: str = "",
) -> Figure:
    """Draw grey images, a line of samples for each component.

    Parameters
    ----------
    images
        (K, M, H, W), or (K, M, 1, H, W).
    names, title
        Of the lines, ``component 1`` ... unless given; above the grid.
    limits
        Values that are black and white; the least and the greatest unless given.

    Raises
    ------
    ValueError
        For another shape, or not one name a line.
    """
    grey = images[:, :, 0] if images.ndim == 5 and images.shape[2] == 1 else images
    if grey.ndim != 4:
        raise ValueError(f"images must have shape (K, M, H, W) or (K, M, 1, H, W): {images.shape}")
    rows, columns, height, width = grey.shape
    names = [f"component {row + 1}" for row in range(rows)] if names is None else names
    if len(names) != rows:
        raise ValueError(f"got {len(names)} names for {rows} lines of images")
    low, high = (grey.min(), grey.max()) if limits is None else limits
    sheet = np.pad(grey, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=high)
    sheet = sheet.transpose(0, 2, 1, 3).reshape(rows * (height + 2), columns * (width + 2))
    size = (0.5 * columns + 1.8, 0.5 * rows * height / width + (0.5 if title else 0.2))
    fig, axes = plt.subplots(figsize=size, layout="constrained")
    axes.imshow(sheet, cmap="gray", vmin=low, vmax=high, interpolation="none")
    axes.set_yticks((np.arange(rows) + 0.5) * (height + 2) - 0.5, names)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set(title=title)
    return fig
