"""Figure 7 of EM-GM: images between two images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from companion.evidence.text import mean_and_sd
from companion.figures.style import COLOURS, style
from companion.runs.stored import StoredRun

STRANGER = COLOURS[4]  # of the mark on an image that is read as neither end's class
# Measure -> its column in the table.
MEASURES = {
    "at_an_end": "between: class of an end",
    "at_the_nearer_end": "between: class of the nearer end",
    "confidence": "between: confidence",
    "outside": "between: pixels out of range",
    "ends_kept": "ends: own class",
    "confidence_at_ends": "ends: confidence",
}


@dataclass(frozen=True)
class Walks:
    """P walks of S images.

    Attributes
    ----------
    images
        (P, S, H, W), uint8.
    classes
        What the network sees, (P, S).
    ends
        Classes of the ends, (P, 2).
    alpha
        (S,).
    """

    images: np.ndarray
    classes: np.ndarray
    ends: np.ndarray
    alpha: np.ndarray

    @classmethod
    def of(cls, run: StoredRun, name: str) -> Walks:
        """Return those that a run of ``em-gm/interpolation`` made by a rule."""
        arrays = run.arrays
        images, classes = arrays[f"images, {name}"], arrays[f"classes, {name}"]
        return cls(images, classes, arrays["ends"], arrays["alpha"])

    def at(self, step: int) -> Walks:
        """Return one image of every walk."""
        one = slice(step, step + 1)
        return Walks(self.images[:, one], self.classes[:, one], self.ends, self.alpha[one])


def walks(panels: Mapping[str, Walks]) -> Figure:
    """Draw walks as the paper does: a column for each pair, alpha from top to bottom.

    Images that the network reads as neither end's class have a frame and the class in a corner.

    Parameters
    ----------
    panels
        Title -> walks, side by side.
    """
    first = next(iter(panels.values()))
    n_pairs, n_steps = first.classes.shape
    fig, axes = plt.subplots(
        1, len(panels), figsize=(0.36 * n_pairs * len(panels) + 0.6, 0.36 * n_steps + 0.8),
        layout="constrained", squeeze=False,
    )  # fmt: skip
    for panel, (title, shown) in zip(axes[0], panels.items(), strict=True):
        _sheet(panel, shown)
        panel.set_title(title, fontsize="medium")
        _label(panel, shown)
        panel.set_yticks(_centres(shown.images.shape[2], n_steps), [])
    axes[0, 0].set_yticklabels([f"{a:.2g}" for a in first.alpha], fontsize="small")
    axes[0, 0].set_ylabel(r"$\alpha$")
    return fig


def frames(panels: Mapping[str, Walks]) -> list[bytes]:
    """Return a picture for each alpha as PNG, of all pairs, for ``player.slider``.

    Parameters
    ----------
    panels
        Title -> walks, one below the other.
    """
    pictures = []
    for step in range(len(next(iter(panels.values())).alpha)):
        fig, buffer = _frame(panels, step), BytesIO()
        fig.savefig(buffer, format="png", dpi=80, metadata={"Software": None})
        plt.close(fig)
        pictures.append(buffer.getvalue())
    return pictures


def _frame(panels: Mapping[str, Walks], step: int) -> Figure:
    n_pairs = len(next(iter(panels.values())).ends)
    fig, axes = plt.subplots(
        len(panels), 1, figsize=(0.62 * n_pairs, 1.15 * len(panels)), layout="constrained",
        squeeze=False,
    )  # fmt: skip
    for panel, (title, shown) in zip(axes[:, 0], panels.items(), strict=True):
        _sheet(panel, shown.at(step))
        _label(panel, shown)
        panel.set_yticks([])
        panel.set_title(title, fontsize="medium", loc="left")
    return fig


def _sheet(axes: Axes, shown: Walks) -> None:
    """Show images, a column for each pair, and mark those of neither end's class."""
    n_pairs, n_steps, height, width = shown.images.shape
    sheet = np.full((n_steps, height + 1, n_pairs, width + 1), 255, np.uint8)
    sheet[:, :-1, :, :-1] = 255 - shown.images.transpose(1, 2, 0, 3)
    axes.imshow(
        sheet.reshape(n_steps * (height + 1), -1), cmap="gray", vmin=0, vmax=255,
        interpolation="nearest",
    )  # fmt: skip
    known = (shown.classes[:, :, None] == shown.ends[:, None]).any(axis=2)
    for pair, step in np.argwhere(~known).tolist():
        x, y = pair * (width + 1) - 0.5, step * (height + 1) - 0.5
        axes.add_patch(
            Rectangle((x, y), width, height, fill=False, edgecolor=STRANGER, linewidth=1.4)
        )
        axes.text(
            x + width, y, str(shown.classes[pair, step]), fontsize=7, ha="right", va="top",
            bbox={"facecolor": STRANGER, "edgecolor": "none", "pad": 0.6},
        )  # fmt: skip


def _label(axes: Axes, shown: Walks) -> None:
    """Write the classes of the ends below each column, and take the frame away."""
    labels = [f"{first}→{last}" for first, last in shown.ends.tolist()]
    axes.set_xticks(_centres(shown.images.shape[3], len(labels)), labels, fontsize="x-small")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _centres(size: int, n: int) -> np.ndarray:
    return np.arange(n) * (size + 1) + (size - 1) / 2


def by_alpha(lines: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Draw the share of images that are read as the class of an end, against alpha.

    Parameters
    ----------
    lines
        Name -> alpha (S,) and shares (S,).
    """
    fig, axes = plt.subplots(figsize=(7.2, 4.2), layout="constrained")
    for index, (name, (alpha, share)) in enumerate(lines.items()):
        axes.plot(alpha, share, label=name, markersize=4, **style(index))
    axes.set(xlabel=r"$\alpha$", ylabel="share read as the class of an end", ylim=(None, 1.02))
    axes.grid(alpha=0.3)
    fig.legend(loc="outside lower center", ncols=2, fontsize="small")
    return fig


def mean_by_alpha(runs: Sequence[StoredRun], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return alpha and the mean over runs of the shares of a rule, for :func:`by_alpha`."""
    shares = [run.arrays[f"at an end by alpha, {name}"] for run in runs]
    return runs[0].arrays["alpha"], np.mean(shares, axis=0)


def shares(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the measures by model and setting, mean ± sd over sets of pairs, as texts.

    Parameters
    ----------
    rows
        Of ``em-gm/interpolation``.
    """
    # Runs of several mixtures repeat the pixels of one set of pairs.
    keys = ["dataset", "model", "setting", "seed", "metric"]
    chosen = rows[rows["metric"].isin(MEASURES)].drop_duplicates(keys)
    found = chosen.groupby(["model", "setting", "metric"])["value"]
    texts = found.agg(["mean", "std"]).apply(
        lambda line: mean_and_sd(line["mean"], line["std"], 3), axis=1
    )
    return texts.unstack()[list(MEASURES)].rename(columns=MEASURES).rename_axis(columns=None)
