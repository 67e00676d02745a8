"""Figures and tables of digits that are generated from densities of codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from companion.evidence.text import mean_and_sd
from companion.figures.style import COLOURS, LINES, MARKERS
from companion.runs.stored import StoredRun

Arrays = Mapping[str, np.ndarray]

# Measure -> its name on the page, in the order of the tables.
MEASURES = {
    "accuracy": "read as meant",
    "unrecognisable": "unrecognisable",
    "frechet_to_test": "distance to test images",
    "frechet_to_reconstructions": "distance to reconstructions",
    "coverage": "coverage",
    "recall": "recall",
    "density": "density",
    "diversity": "diversity",
}
# Controls that learn nothing are drawn as lines, not as points: they take less than this (s).
MOMENT = 1e-3
TICKS = (5, 7, 10, 15, 20, 30, 40, 60)  # of distances, on a logarithmic axis
LEVELS = {
    "shuffled dimensions": "codes with shuffled dimensions",
    "resampled codes": "the codes themselves",
}


# Tables --------------------------------------------------------------------------------------


def measures(runs: Sequence[StoredRun], latent_size: int) -> pd.DataFrame:
    """Return methods x measures at one latent size: mean ± sd over seeds, and the fit's time.

    Parameters
    ----------
    runs
        Runs of ``gmm-basis/digits``.
    latent_size
        Of the runs to show.
    """
    wide = _wide(runs, latent_size)
    lines = {}
    for model, values in wide.groupby("model", sort=False):
        line = {name: _spread(values[metric]) for metric, name in MEASURES.items()}
        seconds = values["seconds"].median()
        line["fit (s)"] = f"{seconds:.3g}" if seconds > MOMENT else ""
        lines[str(model)] = line
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("codes from")


def means(runs: Sequence[StoredRun], latent_size: int) -> pd.DataFrame:
    """Return methods x measures, means over seeds (``seconds``: medians), at one latent size."""
    grouped = _wide(runs, latent_size).drop(columns="seed").groupby("model", sort=False)
    return grouped.mean().assign(seconds=grouped["seconds"].median())


def _wide(runs: Sequence[StoredRun], latent_size: int) -> pd.DataFrame:
    """Return a line per method and seed: ``model``, ``seed``, the measures, ``seconds``."""
    parts = []
    for run in runs:
        if run.config["latent_size"] != latent_size:
            continue
        rows = run.rows
        models = rows.loc[rows["metric"] == "recall", "model"]
        table = rows[rows["model"].isin(models)].pivot(
            index=["model", "seed"], columns="metric", values="value"
        )
        table = table.loc[list(models)].reset_index().rename_axis(columns=None)
        costs = run.provenance["costs"]
        table["seconds"] = [costs.get(f"cpu seconds, {m}", np.nan) for m in table["model"]]
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


def pair_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return how mixes and their controls are read, a line per kind and a column per size."""
    chosen = _by_size(rows[rows["metric"].isin(["third", "both"])])
    names = {"third": "read as a third digit", "both": "both digits on top"}
    lines: dict[str, dict[tuple[str, str], str]] = {}
    for (model, setting, metric), values in chosen.groupby(
        ["model", "setting", "metric"], sort=False
    ):
        size = str(setting).removeprefix("latent size ")
        lines.setdefault(str(model), {})[names[str(metric)], f"d = {size}"] = _spread(
            values["value"]
        )
    return pd.DataFrame.from_dict(lines, orient="index").sort_index(
        axis=1, level=0, sort_remaining=False
    )


OURS, RIVALS = "basis", ("EM-GMM", "SW-GMM")  # models of the rows
# What the paper says of its digits -> measures, and the sign of better.
_SAID: dict[str, dict[str, int]] = {
    "more are read as meant, and nearer to test images": {"accuracy": 1, "frechet_to_test": -1},
    "fewer unrecognisable digits": {"unrecognisable": -1},
    "8 is read as 8 more often": {"accuracy_8": 1},
    "4 and 9 are mixed up less often": {"mixed_up_4_9": -1},
    "7 is more varied": {"diversity_7": 1},
}


def paper_claims(rows: pd.DataFrame) -> pd.DataFrame:
    """Return in how many runs the paper's densities beat both rivals, by claim and latent size."""
    lines = {}
    for setting, of in _by_size(rows).groupby("setting", sort=False):
        table = of.pivot_table(index="seed", columns=["metric", "model"], values="value")
        lines[setting] = {said: _beaten(table, signs) for said, signs in _SAID.items()}
    return pd.DataFrame(lines).rename_axis(index="better than both")


def _beaten(table: pd.DataFrame, signs: Mapping[str, int]) -> str:
    """Say in how many seeds the densities beat both rivals in all measures."""
    better = [
        sign * (table[metric][OURS] - table[metric][rival]) > 0
        for metric, sign in signs.items()
        for rival in RIVALS
    ]
    held = pd.concat(better, axis=1).all(axis=1)
    return f"{held.sum()} of {len(held)}"


def _by_size(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows sorted by latent size, which the setting names; else in their order."""
    return rows.sort_values(
        "setting", key=lambda s: s.str.split().str[-1].astype(int), kind="stable"
    )


def _spread(values: pd.Series) -> str:
    digits = 3 if abs(values.mean()) < 10 else 1
    return mean_and_sd(values.mean(), values.std(), digits)


# Figures -------------------------------------------------------------------------------------


def code_densities(arrays: Arrays, digits: Sequence[int], n_dimensions: int = 6) -> Figure:
    """Draw figure 8: the basis densities of codes, over the codes of test images.

    Parameters
    ----------
    arrays
        Of a run that keeps its arrays.
    digits
        A row of panels for each.
    n_dimensions
        Dimensions of the code, from the first.
    """
    fig, panels = plt.subplots(
        len(digits), n_dimensions, figsize=(1.5 * n_dimensions, 1.7 * len(digits)),
        layout="constrained", squeeze=False,
    )  # fmt: skip
    for row, c in zip(panels, digits, strict=True):
        for d, axes in enumerate(row):
            axes.hist(
                arrays[f"test codes, {c}"][d], bins=30, density=True, color="0.8",
                label="codes of test images",
            )  # fmt: skip
            axes.plot(
                arrays[f"curve x, {c}"][d], arrays[f"curve density, {c}"][d],
                color=COLOURS[0], linewidth=1.0, label="density, learned from training images",
            )  # fmt: skip
            axes.set_yticks([])
            axes.tick_params(labelsize="x-small")
            axes.set_title(f"{c}, dimension {d + 1}", fontsize="small")
    fig.supxlabel("value of the code", fontsize="small")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside upper center", ncols=2, fontsize="small")
    return fig


def digits_by_method(arrays: Arrays, names: Sequence[str], n_rows: int = 4) -> Figure:
    """Draw figure 9: generated digits, a panel per method and a column per digit.

    Parameters
    ----------
    arrays
        Of a run that keeps its arrays.
    names
        Methods, as the rows call them.
    n_rows
        Digits of each kind.
    """
    n_lines = -(-len(names) // 2)
    fig, panels = plt.subplots(
        n_lines, 2, figsize=(8.4, 1.9 * n_lines), layout="constrained", squeeze=False
    )
    for axes, name in zip(panels.flat, names, strict=False):
        _mosaic(axes, arrays[f"images, {name}"][:, :n_rows].transpose(1, 0, 2, 3))
        axes.set_title(name, fontsize="medium")
    for axes in panels.flat[len(names) :]:
        axes.set_axis_off()
    return fig


def mixes(arrays: Arrays, share: int, names: Mapping[str, str]) -> Figure:
    """Draw figure 10: digits of two classes mixed, a line per pair, side by side by source.

    Parameters
    ----------
    arrays
        Of a run that keeps its arrays.
    share
        Percentage of the dimensions that come from the second digit.
    names
        Source of the codes, as the rows call it -> title.
    """
    fig, panels = plt.subplots(
        1, len(names), figsize=(3.6 * len(names), 2.7), layout="constrained", squeeze=False
    )
    for axes, (name, title) in zip(panels[0], names.items(), strict=True):
        _mosaic(axes, arrays[f"mixed {share} %, {name}"])
        axes.set_title(title, fontsize="medium")
    return fig


def mix_frames(arrays: Arrays, shares: Sequence[int], names: Mapping[str, str]) -> list[bytes]:
    """Return :func:`mixes` of several shares as PNG, for ``player.slider``."""
    frames = []
    for share in shares:
        fig, buffer = mixes(arrays, share, names), BytesIO()
        fig.savefig(buffer, format="png", dpi=80)
        plt.close(fig)
        frames.append(buffer.getvalue())
    return frames


def _mosaic(axes: Axes, images: np.ndarray) -> None:
    """Show images (rows, columns, H, W), dark on light, with a line between them."""
    rows, columns, height, width = images.shape
    sheet = np.zeros((rows, height + 1, columns, width + 1), images.dtype)
    sheet[:, :-1, :, :-1] = images.transpose(0, 2, 1, 3)
    sheet = sheet.reshape(rows * (height + 1), columns * (width + 1))
    axes.imshow(sheet, cmap="gray_r", vmin=0, vmax=255, interpolation="nearest")
    axes.set_axis_off()


def distance_against_time(tables: Mapping[int, pd.DataFrame]) -> Figure:
    """Draw the distance to test images against the time of a fit, a panel per latent size.

    Parameters
    ----------
    tables
        Latent size -> what :func:`means` gives.
    """
    fig, panels = plt.subplots(
        1, len(tables), figsize=(8.6, 4.6), layout="constrained", sharey=True, squeeze=False
    )
    first = next(iter(tables.values()))
    names = [n for n in first.index if first.loc[n, "seconds"] > MOMENT]
    for axes, (size, table) in zip(panels[0], tables.items(), strict=True):
        for index, name in enumerate(names):
            axes.plot(
                table.loc[name, "seconds"], table.loc[name, "frechet_to_test"], linestyle="none",
                marker=MARKERS[index % len(MARKERS)], color=COLOURS[index % len(COLOURS)],
                markerfacecolor="white" if index >= len(MARKERS) else None, label=name,
            )  # fmt: skip
        for index, (name, title) in enumerate(LEVELS.items()):
            axes.axhline(
                table.loc[name, "frechet_to_test"], color="0.4", linestyle=LINES[index],
                linewidth=0.9, label=title,
            )  # fmt: skip
        axes.set(xscale="log", yscale="log", title=f"d = {size}", xlabel="time of all fits (CPU s)")
        axes.yaxis.set_major_locator(FixedLocator(TICKS))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.grid(alpha=0.3, which="both")
    panels[0, 0].set_ylabel("squared Fréchet distance to test images")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=3, fontsize="small")
    return fig
