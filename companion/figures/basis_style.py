"""Figures 11 to 13 of GMM-basis: Gram matrices, densities of their entries, stylised images."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator
from PIL import Image, ImageDraw

from companion.figures.style import style
from companion.gmm_basis.style_measures import decode
from mixflow import BasisDensity

Arrays = Mapping[str, np.ndarray]
_STYLES = ("style 1", "style 2")


def pictures(images: Sequence[np.ndarray], titles: Sequence[str], *, height: float = 2.0) -> Figure:
    """Draw pictures side by side, each in its own proportions.

    Parameters
    ----------
    images
        As the runs store them: bytes of WebP files, uint8.
    titles
        One for each.
    height
        Of the pictures, in inches.
    """
    pixels = [decode(image) for image in images]
    ratios = [p.shape[1] / p.shape[0] for p in pixels]
    fig, axes = plt.subplots(
        1, len(pixels), figsize=(height * sum(ratios) * 1.06, height + 0.4),
        width_ratios=ratios, layout="constrained", squeeze=False,
    )  # fmt: skip
    for panel, picture, title in zip(axes[0], pixels, titles, strict=True):
        _show(panel, picture)
        panel.set_title(title, fontsize=9)
    return fig


def _show(panel: Axes, pixels: np.ndarray) -> None:
    panel.imshow(pixels, interpolation="lanczos")
    panel.axis("off")


def crops_and_grams(arrays: Arrays, names: Sequence[str] = _STYLES) -> Figure:
    """Draw both styles: the picture, random crops, and the first layer's Gram matrix of a crop.

    Parameters
    ----------
    arrays
        Of a run with ``examples``.
    names
        Of the styles.
    """
    fig, axes = plt.subplots(
        2, 3, figsize=(9.5, 4.6), width_ratios=(1.2, 3.6, 1.15), layout="constrained"
    )
    top = max(float(arrays[f"Gram matrix, {which}"].max()) for which in _STYLES)
    for (left, middle, right), which, name in zip(axes, _STYLES, names, strict=True):
        _show(left, decode(arrays[which]))
        left.set_title(f"{which}: {name}", fontsize=9)
        _show(middle, decode(arrays[f"crops of {which}"]))
        middle.set_title("random crops", fontsize=9)
        image = _matrix(right, arrays[f"Gram matrix, {which}"], top)
        right.set_title("Gram matrix of the first", fontsize=9)
    fig.colorbar(image, ax=axes[:, 2], label="square root of the entry")
    return fig


def _matrix(panel: Axes, matrix: np.ndarray, top: float) -> AxesImage:
    """Draw a matrix of entries that are not negative, its root so that small ones are seen."""
    image = panel.imshow(
        np.sqrt(np.maximum(matrix, 0)), cmap="Greys", vmin=0, vmax=np.sqrt(top),
        interpolation="nearest",
    )  # fmt: skip
    panel.set(xlabel="channel", ylabel="channel")
    panel.xaxis.set_major_locator(MaxNLocator(3, integer=True))
    panel.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    return image


def entry_densities(arrays: Arrays, *, n_components: int, sigma: float, share: float) -> Figure:
    """Draw the density of one Gram entry of every layer, for style 1 and for a mixture.

    Parameters
    ----------
    arrays
        Of a run with ``examples``.
    n_components, sigma
        Of the basis density, as the run has them.
    share
        Of crops of style 2 in the mixture.
    """
    layers = _layers(arrays, "entry of ")
    fig, axes = plt.subplots(1, len(layers), figsize=(2.6 * len(layers), 2.9), layout="constrained")
    for panel, layer in zip(np.atleast_1d(axes), layers, strict=True):
        first, second = arrays[f"entry of {layer}"].astype(float)
        n_second = round(share * len(first))
        both = np.concatenate([first[: len(first) - n_second], second[:n_second]])
        for index, (values, label) in enumerate(((first, "style 1"), (both, f"share {share:g}"))):
            model = BasisDensity(n_components, sigma=sigma, min_range=1e-12).fit(values[:, None])
            low, high = values.min(), values.max()
            x = np.linspace(low - 0.1 * (high - low), high + 0.1 * (high - low), 600)
            look = style(index) | {"marker": ""}
            density = np.exp(model.score_samples(x[:, None])) * (high - low)
            panel.plot(x, density / density.max(), label=label, **look)
        panel.plot(first, np.full(len(first), -0.06), "|", color="0.2", markersize=7)
        panel.plot(second, np.full(len(second), -0.14), "|", color="0.6", markersize=7)
        panel.set(title=layer, xlabel="Gram entry", yticks=[])
        panel.title.set_fontsize(9)
        panel.xaxis.set_major_locator(MaxNLocator(3))
    np.atleast_1d(axes)[0].set_ylabel("density (of its maximum)")
    fig.legend(
        *np.atleast_1d(axes)[0].get_legend_handles_labels(), loc="outside lower center", ncols=2
    )
    return fig


def eigenvalues(arrays: Arrays) -> Figure:
    """Draw the eigenvalues of a crop's Gram matrices and of sampled ones, layer by layer.

    Parameters
    ----------
    arrays
        Of a run with ``examples``.
    """
    layers = _layers(arrays, "eigenvalues of ")
    fig, axes = plt.subplots(1, len(layers), figsize=(2.6 * len(layers), 2.9), layout="constrained")
    for panel, layer in zip(np.atleast_1d(axes), layers, strict=True):
        for index, which in enumerate(("style 1", "sampled")):
            values = arrays[f"eigenvalues of {layer}, {which}"]
            label = "a real crop" if which == "style 1" else "sampled entry by entry"
            look = style(index) | {"marker": ""}
            panel.plot(np.arange(1, len(values) + 1), values, label=label, **look)
        panel.axhline(0, color="black", linewidth=0.8)
        # Linear about zero, logarithmic beyond: the first is thousands of times the rest.
        panel.set_yscale("symlog", linthresh=float(np.abs(values).max()) * 1e-4)
        panel.yaxis.set_major_locator(MaxNLocator(1))
        panel.set_title(layer, fontsize=9)
        panel.set(xlabel="rank")
        panel.grid(alpha=0.3)
    np.atleast_1d(axes)[0].set_ylabel("eigenvalue")
    fig.legend(
        *np.atleast_1d(axes)[0].get_legend_handles_labels(), loc="outside lower center", ncols=2
    )
    return fig


def _layers(arrays: Arrays, prefix: str) -> list[str]:
    """Return the layers that arrays of that kind name, in the network's order."""
    names = {key[len(prefix) :].split(",")[0] for key in arrays if key.startswith(prefix)}
    return sorted(names)


def distances_by_share(table: pd.DataFrame, *, unit: str = "squared distance") -> Figure:
    """Draw how far images are from both styles, and where between them, against the share.

    Parameters
    ----------
    table
        Columns ``model``, ``share``, ``seed``, ``distance_1``, ``distance_2``, ``position``; the
        first model is drawn in both panels, all in the second.
    unit
        What the distances are in.
    """
    models = list(dict.fromkeys(table["model"]))
    fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    chosen = table[table["model"] == models[0]].groupby("share")
    for index, number in enumerate((1, 2)):
        _band(left, chosen[f"distance_{number}"], f"from style {number}", index)
    left.set(xlabel="share of crops of style 2", ylabel=unit, title=models[0])
    for index, model in enumerate(models):
        groups = table[table["model"] == model].groupby("share")
        _band(right, groups["position"], model, index)
    right.plot([0, 1], [0, 1], color="0.6", linewidth=1, zorder=0)
    highest = float(table["share"].max())
    right.set(xlim=(-0.03, highest + 0.03), ylim=(-0.1, 1.1))
    right.set(xlabel="share of crops of style 2", ylabel="position between the styles (0 to 1)")
    for panel in (left, right):
        panel.grid(alpha=0.3)
        panel.legend(
            fontsize="small",
            loc="upper center",
            bbox_to_anchor=(0.5, -0.14),
            ncols=2,
            frameon=False,
        )
    return fig


def _band(panel: Axes, groups: object, label: str, index: int) -> None:
    """Draw the mean over seeds with a band from the least to the greatest."""
    found = pd.DataFrame({name: getattr(groups, name)() for name in ("mean", "min", "max")})
    look = style(index)
    panel.plot(found.index, found["mean"], label=label, markersize=5, **look)
    panel.fill_between(found.index, found["min"], found["max"], color=look["color"], alpha=0.15)


def frames(
    rows: Sequence[Sequence[np.ndarray]], names: Sequence[str], side: int = 300
) -> list[bytes]:
    """Return pictures for ``player.slider``: a frame for each place of the rows.

    Parameters
    ----------
    rows
        Images as the runs store them, some sequences of equal length; they stand side by side.
    names
        Written above each.
    side
        Pixels of a picture.

    Returns
    -------
    list of bytes
        WebP; equal arguments give equal bytes.

    Raises
    ------
    ValueError
        If the rows are of different lengths, or are not as many as names.
    """
    if len(rows) != len(names) or len({len(row) for row in rows}) != 1:
        raise ValueError(
            f"need rows of one length and a name for each, got lengths {[len(r) for r in rows]} "
            f"and {len(names)} names"
        )
    return [_frame([row[place] for row in rows], names, side) for place in range(len(rows[0]))]


def _frame(images: Sequence[np.ndarray], names: Sequence[str], side: int) -> bytes:
    gap, head = 8, 18
    sheet = Image.new("RGB", (len(images) * (side + gap) - gap, side + head), "white")
    pen = ImageDraw.Draw(sheet)
    for place, (image, name) in enumerate(zip(images, names, strict=True)):
        picture = Image.fromarray(decode(image)).resize((side, side), Image.Resampling.LANCZOS)
        sheet.paste(picture, (place * (side + gap), head))
        pen.text((place * (side + gap), 2), name, fill="black")
    stream = io.BytesIO()
    sheet.save(stream, format="WEBP", quality=85, method=4)
    return stream.getvalue()


def images_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return what was measured of every image, one a line, from the rows of the runs.

    Returns
    -------
    DataFrame
        Columns ``model``, ``seed``, ``share``, ``variation``, ``size``, and one for each metric.
    """
    keys = rows["setting"].str.extract(r"^share=([\d.]+) variation=(\d+) (\d+) px$").astype(float)
    keys.columns = pd.Index(["share", "variation", "size"])
    found = pd.concat([rows[["model", "seed", "metric", "value"]], keys], axis=1).dropna()
    index = ["model", "seed", "share", "variation", "size"]
    table = found.pivot_table(index=index, columns="metric", values="value", sort=False)
    return table.reset_index().rename_axis(columns=None)
