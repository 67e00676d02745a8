"""Figures 3 to 6 of EM-GM: likelihood and quality of samples against K, and the samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from companion.em_gm.images.data import TITLES
from companion.em_gm.images.summary import table
from companion.figures.style import style
from companion.runs.stored import StoredRun

# Measures of figures 4 and 5 -> axis label.
QUALITY = {
    "IS": "inception score (higher is better)",
    "FID root": "root of the Fréchet distance",
    "MMD": "maximum mean discrepancy",
    "1NN": "1NN accuracy (0.5 is best)",
}


def curves(runs: Sequence[StoredRun], floor: float) -> Figure:
    """Draw figure 3: NLL of the training images by epoch, a line of panels per data set.

    Parameters
    ----------
    runs
        One for each line: of a seed.
    floor
        What a pixel costs that never varies, in nats: the lower end of the axis.
    """
    models: dict[str, list[str]] = {}  # of every data set
    for run in runs:
        of = models.setdefault(run.config["dataset"], [])
        if run.config["model"] not in of:
            of.append(run.config["model"])
    lines, columns = len(models), max(len(of) for of in models.values())
    fig, panels = plt.subplots(
        lines, columns, figsize=(3.9 * columns, 3.2 * lines), layout="constrained", squeeze=False
    )
    sizes = sorted({run.config["n_components"] for run in runs})
    for line, (dataset, of) in zip(panels, models.items(), strict=True):
        for axes, model in zip(line, of, strict=False):
            # K = 1 is the reference in every panel of its data set.
            drawn = [
                run
                for run in runs
                if run.config["dataset"] == dataset
                and (run.config["model"] == model or run.config["n_components"] == 1)
            ]
            for run in drawn:
                k = run.config["n_components"]
                axes.plot(
                    run.arrays["curve_epoch"], run.arrays["curve_nll"], label=f"K = {k}",
                    markersize=4, **style(sizes.index(k)),
                )  # fmt: skip
            axes.set(title=f"{model}, {TITLES[dataset]}", xlabel="epoch", ylabel="NLL (nat/pixel)")
            axes.grid(alpha=0.3)
            axes.legend(fontsize="small")
            low, high = axes.get_ylim()
            axes.set_ylim(max(low, floor), min(high, low + 0.6))
        for axes in line[len(of) :]:
            axes.set_axis_off()
    return fig


def describe_curves(runs: Iterable[StoredRun]) -> str:
    """Return where the lines of :func:`curves` end, for those who cannot see them."""
    return "NLL of the training images by epoch. " + " ".join(
        f"{run.config['dataset']}, {run.config['model']}, K = {run.config['n_components']}: "
        f"{run.arrays['curve_nll'][-1]:.4f} at the end."
        for run in runs
    )


def gains(
    found: Mapping[str, pd.DataFrame], published: Mapping[str, Mapping[int, float]]
) -> Figure:
    """Draw what is gained over K = 1, by mixtures and by noise alone.

    Parameters
    ----------
    found
        Data set -> lines: kinds of gain; columns (K, "mean" or "error"), in nat/pixel; the
        error is half of an interval.
    published
        Data set -> K -> the published gain.
    """
    fig, panels = plt.subplots(
        1, len(found), figsize=(4.6 * len(found), 4.0), layout="constrained", squeeze=False,
        sharey=True,
    )  # fmt: skip
    names = list(dict.fromkeys(name for lines in found.values() for name in lines.index))
    for axes, (dataset, lines) in zip(panels[0], found.items(), strict=True):
        for name, values in lines.iterrows():
            mean = values.xs("mean", level=1).dropna()
            error = values.xs("error", level=1).reindex(mean.index)
            look = style(names.index(name))
            axes.errorbar(
                mean.index, mean, yerror(error), label=name, capsize=3, markersize=5, **look
            )
        line = published.get(dataset, {})
        if line:
            axes.plot(
                list(line), list(line.values()), linestyle="none", marker="*", markersize=11,
                color="black", label="published gain",
            )  # fmt: skip
        axes.axhline(0, color="0.5", linewidth=0.8)
        sizes = sorted({*lines.columns.get_level_values(0), *line})
        axes.set(title=TITLES[dataset], xlabel="K", xticks=sizes)
        axes.grid(alpha=0.3)
    panels[0, 0].set_ylabel("NLL of K = 1 less NLL (nat/pixel)")
    legend: dict[str, Any] = {}
    for panel in panels[0]:
        handles, labels = panel.get_legend_handles_labels()
        legend |= dict(zip(labels, handles, strict=True))
    fig.legend(
        legend.values(), legend.keys(), loc="outside lower center", ncols=2, fontsize="small"
    )
    return fig


def yerror(error: pd.Series) -> np.ndarray | None:
    """Return error bars, or None where there are none."""
    return None if error.isna().all() else error.fillna(0).to_numpy()


def quality(rows: pd.DataFrame, dataset: str) -> Figure:
    """Draw figure 4 or 5: measures of samples against K, mean and range over trials.

    Parameters
    ----------
    rows
        Of ``em-gm/table-1``; means, lows and highs over trials, averaged over seeds here.
    dataset
        Of the rows to draw.
    """
    names = [f"{metric}{end}" for metric in QUALITY for end in ("", " low", " high")]
    found = table(rows[rows["dataset"] == dataset], names)
    floor = rows[(rows["dataset"] == dataset) & (rows["model"] == "real images")]
    fig, panels = plt.subplots(2, 2, figsize=(8.6, 6.4), layout="constrained")
    for axes, (metric, label) in zip(panels.flat, QUALITY.items(), strict=True):
        models = [m for m in found.index.unique("model") if m != "real images"]
        for index, model in enumerate(models):
            part = found.xs((dataset, model), level=("dataset", "model"))
            mean, low, high = (part[f"{metric}{end}", "mean"] for end in ("", " low", " high"))
            axes.errorbar(
                part.index, mean, [mean - low, high - mean], label=model, capsize=3, markersize=5,
                **style(index),
            )  # fmt: skip
        real = floor.loc[floor["metric"] == metric, "value"].mean()
        if not np.isnan(real):
            axes.axhline(real, color="0.3", linestyle=":", label="real images")
        sizes = sorted({k for _, model, k in found.index if model in models})
        axes.set(xlabel="K", ylabel=label, xticks=sizes)
        axes.grid(alpha=0.3)
    panels[0, 0].legend(fontsize="small")
    return fig


def samples_of(runs: Iterable[StoredRun], dataset: str) -> dict[str, np.ndarray]:
    """Return what :func:`samples` draws of the runs on a data set: title -> images."""
    return {
        f"{run.config['model']}, K = {run.config['n_components']}": run.arrays["samples"]
        for run in runs
        if run.config["dataset"] == dataset and "samples" in run.arrays
    }


def samples(images: Mapping[str, np.ndarray], columns: int = 10, rows: int = 4) -> Figure:
    """Draw figure 6: samples, a panel for each model.

    Parameters
    ----------
    images
        Title -> uint8 (N, 1, H, W), N at least ``columns`` x ``rows``.
    """
    fig, panels = plt.subplots(
        -(-len(images) // 2), 2, figsize=(9.0, 2.0 * -(-len(images) // 2)), layout="constrained",
        squeeze=False,
    )  # fmt: skip
    for axes, (title, drawn) in zip(panels.flat, images.items(), strict=False):
        tiles = drawn[: columns * rows, 0].reshape(rows, columns, *drawn.shape[2:])
        axes.imshow(
            tiles.transpose(0, 2, 1, 3).reshape(rows * drawn.shape[2], -1), cmap="gray", vmin=0,
            vmax=255,
        )  # fmt: skip
        axes.set_title(title, fontsize="medium")
    for axes in panels.flat:
        axes.set_axis_off()
    return fig
