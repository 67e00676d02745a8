"""Frames of a training: posterior regions, samples, and where the numbers stand."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from PIL import Image

from companion.figures.regions import Lines, colours, draw_regions, frame, legend_below, look

_WIDTH = 8.0  # inches; times dots per inch: pixels of a frame


def training_frames(
    maps: np.ndarray,
    samples: np.ndarray,
    components: np.ndarray,
    steps: ArrayLike,
    lines: Lines,
    *,
    elbo: ArrayLike | None = None,
    accuracy: ArrayLike | None = None,
    data: np.ndarray | None = None,
    dpi: int = 80,
    n_colours: int = 40,
) -> tuple[list[bytes], list[str]]:
    """Draw a training step by step, for ``player.slider``.

    Parameters
    ----------
    maps
        Posterior on a grid, (T, G_y, G_x, K): floats in [0, 1], or unsigned integers from 0
        to their largest.
    samples
        Samples of the mixture, (T, M, 2).
    components
        Component of each sample, (M,) or (T, M).
    steps
        Training step of each frame, (T,), rising.
    lines
        Grid lines x (G_x,) and y (G_y,) of the maps; they set the limits.
    elbo, accuracy
        In nats a sample, and as a share, (T,); each given gets a curve below, with a dot that
        moves along it, and a place in the label.
    data
        Points (N, 2) below the samples, in grey.
    dpi, n_colours
        Dots per inch, and colours besides the components' own: what a frame costs in bytes.

    Returns
    -------
    frames : list of bytes
        T pictures in WebP; equal arguments give equal bytes.
    labels : list of str
        Step, ELBO and accuracy of each.

    Raises
    ------
    ValueError
        If the arrays disagree about the number of frames or samples.
    """
    _check(maps, samples, components, steps, elbo, accuracy)
    steps, curves = np.asarray(steps), _curves(elbo, accuracy)
    owners = np.broadcast_to(components, samples.shape[:2])
    canvas = _Canvas(maps.shape[-1], lines, steps, curves, data, dpi)
    pictures = [canvas.draw(t, maps[t], samples[t], owners[t]) for t in range(len(steps))]
    palette = _palette(pictures, maps.shape[-1], n_colours)
    labels = [_label(t, steps, curves) for t in range(len(steps))]
    return [_encoded(picture, palette) for picture in pictures], labels


class _Canvas:
    """A figure whose still parts are drawn once and whose moving parts once a frame."""

    def __init__(
        self,
        n_components: int,
        lines: Lines,
        steps: np.ndarray,
        curves: dict[str, np.ndarray],
        data: np.ndarray | None,
        dpi: int,
    ) -> None:
        mosaic = [["posterior"] * 2 + ["samples"] * 2]
        if curves:
            mosaic.append([name for name in curves for _ in range(4 // len(curves))])
        size = (_WIDTH, _WIDTH * (0.68 if curves else 0.52))
        self.fig = Figure(figsize=size, dpi=dpi, layout="constrained")
        self.canvas, self.lines = FigureCanvasAgg(self.fig), lines
        ratios = [4, 1][: len(mosaic)]
        self.panels: dict[str, Axes] = self.fig.subplot_mosaic(mosaic, height_ratios=ratios)  # type: ignore[arg-type]
        for name, title in _TITLES.items():
            frame(self.panels[name], lines)
            self.panels[name].set(title=title)
        if data is not None:
            self.panels["samples"].scatter(data[:, 0], data[:, 1], s=1, color="0.75", linewidths=0)
        self.clouds = [_cloud(self.panels["samples"], c) for c in range(n_components)]
        legend_below(self.panels["samples"], 6)
        self.dots = [_curve(self.panels[name], name, steps, y) for name, y in curves.items()]
        for moving in (*self.clouds, *(dot for dot, _, _ in self.dots)):
            moving.set_animated(True)
        self.canvas.draw()
        self.still = self.canvas.copy_from_bbox(self.fig.bbox)
        self.fig.set_layout_engine("none")

    def draw(
        self, t: int, shares: np.ndarray, samples: np.ndarray, component: np.ndarray
    ) -> np.ndarray:
        """Return the pixels of frame t, (H, W, 3) uint8."""
        regions = draw_regions(self.panels["posterior"], self.lines, shares)
        frame(self.panels["posterior"], self.lines)
        for c, cloud in enumerate(self.clouds):
            cloud.set_offsets(samples[component == c])
        for dot, x, y in self.dots:
            dot.set_data([x[t]], [y[t]])
        self.canvas.restore_region(self.still)
        for moving in (*regions, *self.clouds, *(dot for dot, _, _ in self.dots)):
            self.fig.draw_artist(moving)
        for artist in regions:
            artist.remove()
        return np.asarray(self.canvas.buffer_rgba())[..., :3].copy()


_TITLES = {"posterior": "posterior q(c | x)", "samples": "samples by component"}
_UNITS = {"ELBO": "ELBO (nats)", "accuracy": "accuracy (share)"}


def _cloud(axes: Axes, c: int) -> Any:
    """Return an empty scatter with the look of a component."""
    colour, marker = look(c)
    return axes.scatter([], [], s=9, marker=marker, color=[colour], linewidths=0, label=str(c + 1))


def _curve(axes: Axes, name: str, x: np.ndarray, y: np.ndarray) -> tuple[Any, Any, Any]:
    """Draw a curve, and return the dot that moves along it with its places."""
    axes.plot(x, y, color="0.4", linewidth=1.2)
    axes.set_xlabel("training step", fontsize="small")
    axes.set_ylabel(_UNITS[name], fontsize="small")
    axes.grid(alpha=0.3)
    (dot,) = axes.plot([], [], "o", color="black", markersize=6)
    return dot, x, y


def _curves(elbo: ArrayLike | None, accuracy: ArrayLike | None) -> dict[str, np.ndarray]:
    """Return the curves that are given, by name."""
    given = {"ELBO": elbo, "accuracy": accuracy}
    return {name: np.asarray(y, dtype=float) for name, y in given.items() if y is not None}


def _label(t: int, steps: np.ndarray, curves: dict[str, np.ndarray]) -> str:
    """Return what the label of a frame says."""
    decimals = {"ELBO": ".2f", "accuracy": ".3f"}
    values = [f"{name} {y[t]:{decimals[name]}}" for name, y in curves.items()]
    return ", ".join([f"step {steps[t]:g}", *values])


def _palette(pictures: list[np.ndarray], n_components: int, n_colours: int) -> np.ndarray:
    """Return one palette for all pictures: greys, the looks of components, common colours.

    Chosen by frequency alone it would lose the colours of the markers, which are few pixels.
    """
    marks = np.array([look(c)[0] for c in range(n_components)])
    greys = np.linspace(0, 1, 6)[:, None] * np.ones(3)
    fixed = np.concatenate((greys, marks, (marks + 1) / 2, colours(np.eye(n_components))))
    sheet = Image.fromarray(np.concatenate(pictures[:: max(1, len(pictures) // 4)]))
    common = sheet.quantize(n_colours, dither=Image.Dither.NONE)
    return np.concatenate((255 * fixed, np.array(common.getpalette()).reshape(-1, 3)))


def _encoded(picture: np.ndarray, palette: np.ndarray) -> bytes:
    """Return a picture (H, W, 3) as lossless WebP, each colour the nearest of the palette."""
    packed = picture.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    found, index = np.unique(packed, return_inverse=True)
    parts = np.stack([found >> shift & 255 for shift in (16, 8, 0)], axis=1).astype(float)
    nearest = np.square(parts[:, None] - palette).sum(axis=2).argmin(axis=1)
    stream = io.BytesIO()
    reduced = np.round(palette).astype(np.uint8)[nearest[index.reshape(packed.shape)]]
    Image.fromarray(reduced).save(stream, format="WEBP", lossless=True, method=4)
    return stream.getvalue()


def _check(
    maps: np.ndarray,
    samples: np.ndarray,
    components: np.ndarray,
    steps: ArrayLike,
    elbo: ArrayLike | None,
    accuracy: ArrayLike | None,
) -> None:
    """Raise unless all arrays are about the same frames."""
    if maps.ndim != 4 or samples.ndim != 3 or samples.shape[2] != 2:
        raise ValueError(
            f"expected maps (T, G_y, G_x, K) and samples (T, M, 2), got {maps.shape} and "
            f"{samples.shape}"
        )
    lengths = {"maps": len(maps), "samples": len(samples), "steps": np.size(steps)}
    lengths |= {name: len(y) for name, y in _curves(elbo, accuracy).items()}
    if len(set(lengths.values())) > 1 or not len(maps):
        raise ValueError(f"the numbers of frames differ or are 0: {lengths}")
    if components.shape not in (samples.shape[1:2], samples.shape[:2]):
        raise ValueError(
            f"components must have shape (M,) or (T, M) with M = {samples.shape[1]} samples, "
            f"got {components.shape}"
        )
