"""Flows beyond Glow: their likelihood by epoch, and the curves that bend the pixels' values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from companion.em_gm.images.beyond_summary import KINDS, kind
from companion.em_gm.images.data import TITLES
from companion.figures.style import style
from companion.runs.stored import StoredRun
from mixflow.flows import ToneCurve

BLACK, WHITE = -0.5, 0.5  # pixel values
STEP = 1e-3  # in which a slope is taken
MARGIN = 0.15  # nat/pixel above the ends of the curves


def curves(runs: Sequence[StoredRun], published: Mapping[str, float], floor: float) -> Figure:
    """Draw NLL of the training images by epoch, a panel per data set and a line per run.

    Parameters
    ----------
    runs
        Single flows of one seed.
    published
        Data set -> table I's NLL of K = 1 in nat/pixel.
    floor
        What a pixel costs that never varies, in nats: no axis goes below.
    """
    datasets = list(dict.fromkeys(run.config["dataset"] for run in runs))
    fig, panels = plt.subplots(
        1, len(datasets), figsize=(4.9 * len(datasets), 3.8), layout="constrained", squeeze=False
    )
    for axes, dataset in zip(panels[0], datasets, strict=True):
        for run in runs:
            if run.config["dataset"] != dataset:
                continue
            epochs, name = run.arrays["curve_epoch"], kind(run.config)
            axes.plot(
                epochs, run.arrays["curve_nll"], label=f"{name}, {epochs[-1]:.0f} epochs",
                markersize=4, **style(KINDS.index(name) if name in KINDS else -1),
            )  # fmt: skip
        if dataset in published:
            value = published[dataset]
            axes.axhline(value, color="0.3", linestyle=":", label=f"published, {value:.3f}")
        ends = [run.arrays["curve_nll"][-1] for run in runs if run.config["dataset"] == dataset]
        low, high = min([*ends, published.get(dataset, ends[0])]), max(ends)
        axes.set_ylim(max(low - MARGIN / 3, floor), high + MARGIN)
        axes.set(title=f"{TITLES[dataset]}, K = 1", xlabel="epoch", ylabel="NLL (nat/pixel)")
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    return fig


def describe_curves(runs: Iterable[StoredRun]) -> str:
    """Return where the lines of :func:`curves` end, for those who cannot see them."""
    return "NLL of the training images by epoch, one flow. " + " ".join(
        f"{run.config['dataset']}, {kind(run.config)}: {run.arrays['curve_nll'][-1]:.4f} after "
        f"{run.arrays['curve_epoch'][-1]:.0f} epochs."
        for run in runs
    )


@torch.no_grad()
def tones(curve: ToneCurve, pixels: Mapping[str, tuple[int, int]]) -> Figure:
    """Draw the curves of some pixels, and of all how much they stretch what lies about black.

    Parameters
    ----------
    curve
        Of images (H, W, 1) on [-0.5, 0.5]; the first component's is drawn.
    pixels
        Name -> row and column.
    """
    grey = torch.linspace(BLACK - 0.05, WHITE + 0.05, 501)
    bent = _bent(curve, grey)
    black, white, below, above = _bent(
        curve, torch.tensor([BLACK, WHITE, BLACK - STEP, BLACK + STEP])
    )
    drawn, slope = (bent - black) / (white - black), (above - below) / (2 * STEP)
    fig, (left, right) = plt.subplots(1, 2, figsize=(9.2, 3.8), layout="constrained")
    for index, (name, (row, column)) in enumerate(pixels.items()):
        look = {**style(index), "marker": None}
        left.plot(grey.numpy(), drawn[:, row, column].numpy(), label=name, **look)
        right.plot(
            column, row, markeredgecolor="white", markersize=9, linestyle="none",
            marker=style(index)["marker"], color=style(index)["color"],
        )  # fmt: skip
    left.plot([BLACK, WHITE], [0, 1], color="0.6", linewidth=0.8, label="no curve")
    left.set(xlabel="pixel (black -0.5, white 0.5)", ylabel="bent: black 0, white 1")
    left.grid(alpha=0.3)
    left.legend(fontsize="small")
    shown = right.imshow(slope.log10().numpy(), cmap="viridis")
    fig.colorbar(shown, label="log10 of the slope at black")
    right.set(xlabel="column", ylabel="row")
    return fig


def _bent(curve: ToneCurve, grey: torch.Tensor) -> torch.Tensor:
    """Return grey values (n,) as every pixel's curve bends them, (n, H, W)."""
    height, width, _ = curve.event_shape
    values = grey.view(1, -1, 1, 1, 1).expand(curve.n_components, -1, height, width, 1)
    return curve(values)[0][0, ..., 0]
