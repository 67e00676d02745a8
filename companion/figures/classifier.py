"""What a generative classifier gives: doubt, unseen classes, new classes, components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from companion.figures.style import COLOURS, LINES, style

# A bin with fewer samples says little about how often the classifier is right.
FEWEST_IN_A_BIN = 20


def reliability(panels: Mapping[str, Mapping[str, NDArray]]) -> Figure:
    """Draw accuracy against confidence, a panel for each way to scale probabilities.

    Parameters
    ----------
    panels
        Title -> model -> mean confidence, accuracy and number of samples by bin, (n_bins, 3).
    """
    fig, axes = plt.subplots(
        1, len(panels), figsize=(4.6 * len(panels), 4.6), layout="constrained", squeeze=False
    )
    for panel, (title, models) in zip(axes[0], panels.items(), strict=True):
        panel.plot([0, 1], [0, 1], color="0.5", linewidth=1, label="as sure as it is right")
        for index, (name, bins) in enumerate(models.items()):
            confidence, accuracy, _ = bins[bins[:, 2] >= FEWEST_IN_A_BIN].T
            panel.plot(confidence, accuracy, label=name, markersize=5, **style(index))
        panel.set(title=title, xlabel="probability of the predicted class", xlim=(0, 1.02))
        panel.grid(alpha=0.3)
    axes[0, 0].set_ylabel("share of right predictions")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return fig


def accuracy_coverage(curves: Mapping[str, NDArray], *, dataset: str) -> Figure:
    """Draw the share of errors among accepted samples against the share accepted.

    Parameters
    ----------
    curves
        Model -> coverage and accuracy, (P, 2).
    dataset
        For the axis label.
    """
    fig, axes = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
    for index, (name, curve) in enumerate(curves.items()):
        coverage, accuracy = curve.T
        look = style(index) | {"markevery": (index * 3, 20)}
        axes.plot(coverage, 1 - accuracy, label=name, markersize=5, **look)
    axes.set(xlabel="coverage (share of samples accepted, the surest first)")
    axes.set_ylabel(f"errors among the accepted\non {dataset} (share)")
    axes.grid(alpha=0.3)
    axes.legend()
    return fig


def unseen_classes(known: NDArray, unseen: NDArray, aurocs: pd.DataFrame) -> Figure:
    """Draw log densities of known and unseen classes, and how well scores tell them apart.

    Parameters
    ----------
    known, unseen
        log p(x) in nats of test samples, (N,) and (M,).
    aurocs
        A line per score, the best first, columns ``mean`` and ``std``.
    """
    fig, (left, right) = plt.subplots(1, 2, figsize=(10.4, 4.2), layout="constrained")
    low, high = np.quantile(np.concatenate([known, unseen]), [0.01, 1.0])
    edges = np.linspace(low, high, 50)
    for index, (name, values) in enumerate({"known": known, "never seen": unseen}.items()):
        look = {"color": COLOURS[index], "linestyle": LINES[index]}
        left.hist(values, edges, density=True, histtype="step", linewidth=2, label=name, **look)
    left.set(xlabel="log p(x) (nats)", ylabel="density of test samples")
    left.legend(title="class")
    lines = aurocs.iloc[::-1]
    right.errorbar(
        lines["mean"], range(len(lines)), xerr=lines["std"].fillna(0), fmt="o", capsize=3,
        color=COLOURS[0],
    )  # fmt: skip
    right.set_yticks(range(len(lines)), list(lines.index))
    right.set_xlabel("AUROC, known against never seen")
    right.grid(alpha=0.3)
    return fig


def strangers(panels: Mapping[str, Mapping[str, NDArray]]) -> Figure:
    """Draw how unlikely images are that a model knows, and images of another kind.

    Parameters
    ----------
    panels
        Title -> kind of image -> NLL in nat/pixel, (N,); two kinds.
    """
    fig, axes = plt.subplots(
        1, len(panels), figsize=(4.2 * len(panels), 3.0), layout="constrained", squeeze=False
    )
    for ax, (title, kinds) in zip(axes[0], panels.items(), strict=True):
        # The few that are far off would squeeze all others into one bin: the last one has them.
        low = min(values.min() for values in kinds.values())
        high = max(_whisker(values) for values in kinds.values())
        for index, (name, values) in enumerate(kinds.items()):
            ax.hist(
                values.clip(max=high), np.linspace(low, high, 50), histtype="step", linewidth=1.6,
                label=name, color=COLOURS[index], linestyle=LINES[index],
            )  # fmt: skip
        ax.set(title=f"fitted to {title}", xlabel="NLL (nat/pixel)")
        ax.legend(fontsize="small")
    axes[0, 0].set_ylabel("images")
    return fig


def _whisker(values: NDArray) -> float:
    """Return where the upper whisker of a box plot ends at most."""
    lower, upper = np.quantile(values, [0.25, 0.75])
    return float(min(values.max(), upper + 1.5 * (upper - lower)))


def priors(true: NDArray, estimates: Mapping[str, NDArray], *, classes: Sequence[str]) -> Figure:
    """Draw estimated class priors beside the true ones, the most frequent class first.

    Parameters
    ----------
    true
        Shares of the classes, (C,).
    estimates
        Name -> estimated shares, (C,).
    classes
        Names of the classes, C of them.
    """
    fig, axes = plt.subplots(figsize=(7.6, 4.0), layout="constrained")
    order = np.argsort(-true, kind="stable")
    place = np.arange(len(order))
    axes.bar(place, true[order], color="0.85", edgecolor="0.5", label="true")
    for index, (name, estimate) in enumerate(estimates.items()):
        look = style(index) | {"linestyle": "none"}
        axes.plot(place, estimate[order], label=name, markersize=5, fillstyle="none", **look)
    axes.set_xticks(place, [classes[c] for c in order])
    axes.set(xlabel="class, the most frequent first", ylabel="prior (share of samples)")
    axes.legend()
    return fig


def growth(series: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw accuracy and cost of every stage against the number of classes.

    Parameters
    ----------
    series
        Name -> data frame indexed by the number of classes with columns ``mean`` and ``std``
        of accuracy, and ``seconds``, what this stage cost.
    """
    fig, (left, right) = plt.subplots(1, 2, figsize=(9.6, 4.4), layout="constrained")
    for index, (name, table) in enumerate(series.items()):
        _with_bars(left, table, name, index)
        right.plot(table.index, table["seconds"], label=name, **style(index))
    left.set_ylabel("test accuracy on the classes so far (share)")
    right.set(yscale="log", ylabel="cost of this stage (processor seconds)")
    stages = sorted({int(n) for table in series.values() for n in table.index})
    for panel in (left, right):
        panel.set_xticks(stages)
        panel.set_xlabel("number of classes")
        panel.grid(alpha=0.3)
    fig.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return fig


def missing_features(series: Mapping[str, pd.DataFrame], *, dataset: str) -> Figure:
    """Draw accuracy against the number of missing features.

    Parameters
    ----------
    series
        Name -> data frame indexed by that number with columns ``mean`` and ``std``.
    dataset
        For the axis label.
    """
    fig, axes = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
    for index, (name, table) in enumerate(series.items()):
        _with_bars(axes, table, name, index)
    axes.set_xticks(sorted({int(n) for table in series.values() for n in table.index}))
    axes.set(xlabel="features missing", ylabel=f"test accuracy on {dataset} (share)")
    axes.grid(alpha=0.3)
    axes.legend()
    return fig


def component_profiles(
    means: NDArray, centre: NDArray, weights: NDArray, *, features: Sequence[str]
) -> Figure:
    """Draw the mean features of a class's components beside the mean of the class.

    Parameters
    ----------
    means
        In units of the standardised features, (K, D).
    centre
        The class's own mean, (D,).
    weights
        Shares of the components, (K,).
    features
        Names of the features, D of them.
    """
    fig, axes = plt.subplots(figsize=(8.0, 4.2), layout="constrained")
    place = np.arange(len(features))
    axes.plot(place, centre, color="0.75", linewidth=6, label="the class", zorder=0)
    for k, (mean, weight) in enumerate(zip(means, weights, strict=True)):
        axes.plot(place, mean, label=f"component {k + 1} ({weight:.0%})", **style(k))
    axes.set_xticks(place, list(features), rotation=60, ha="right")
    axes.set_ylabel("mean (standard deviations of the feature)")
    axes.grid(alpha=0.3)
    fig.legend(loc="outside lower center", ncols=3)
    return fig


def _with_bars(axes: Axes, table: pd.DataFrame, name: str, index: int) -> None:
    axes.errorbar(
        table.index, table["mean"], yerr=table["std"].fillna(0), label=name, capsize=3,
        **style(index),
    )  # fmt: skip
