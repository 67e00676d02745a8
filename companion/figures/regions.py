"""What pictures of components in the plane share: looks, regions of a posterior, limits."""

from __future__ import annotations

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from numpy.typing import ArrayLike
from scipy import ndimage

from companion.figures.style import COLOURS, MARKERS

Lines = tuple[np.ndarray, np.ndarray]

_SMALL = 0.01  # a region below this share of the picture gets no number


def look(index: int) -> tuple[tuple[float, float, float], str]:
    """Return colour and marker of a component; no two of the first 49 share both.

    After the first seven the colours return half as strong.
    """
    turn, place = divmod(index, len(COLOURS))
    colour = np.array(to_rgb(COLOURS[place]))
    paler = 1 - (1 - colour) * (0.5 if turn % 2 else 1.0)
    return tuple(paler.tolist()), MARKERS[(place + turn) % len(MARKERS)]


def probabilities(values: ArrayLike) -> np.ndarray:
    """Return probabilities on a grid as float64; unsigned integers are shares of their largest.

    Raises
    ------
    ValueError
        If there are not three axes (G_y, G_x, K), or a value is not in [0, 1].
    """
    array = np.asarray(values)
    if array.ndim != 3:
        raise ValueError(f"probabilities must have shape (G_y, G_x, K), got {array.shape}")
    if array.dtype.kind == "u":
        return array / float(np.iinfo(array.dtype).max)
    shares = array.astype(np.float64)
    if not ((shares >= -1e-3) & (shares <= 1 + 1e-3)).all():
        raise ValueError("probabilities must lie in [0, 1]; unsigned integers in 0 ... largest")
    return shares


def colours(shares: np.ndarray) -> np.ndarray:
    """Return the components' colours, lightened and mixed by probabilities, (..., 3)."""
    base = np.array([look(c)[0] for c in range(shares.shape[-1])])
    return np.clip(shares @ (1 - 0.55 * (1 - base)), 0, 1)


def draw_regions(axes: Axes, lines: Lines, posterior: ArrayLike) -> list[Artist]:
    """Colour the plane by a posterior, with borders and a number in each region.

    Parameters
    ----------
    axes
        To draw into.
    lines
        Grid lines x (G_x,) and y (G_y,), evenly spaced.
    posterior
        Probabilities (G_y, G_x, K), as :func:`probabilities` takes them.

    Returns
    -------
    list
        What was drawn, so that an animation can remove it.

    Raises
    ------
    ValueError
        If the grid does not fit its lines.
    """
    shares, (x, y) = probabilities(posterior), lines
    if shares.shape[:2] != (len(y), len(x)):
        raise ValueError(
            f"probabilities on {shares.shape[:2]} nodes (G_y, G_x) do not fit {len(y)} grid "
            f"lines y and {len(x)} lines x"
        )
    half_x, half_y = (x[1] - x[0]) / 2, (y[1] - y[0]) / 2
    extent = (x[0] - half_x, x[-1] + half_x, y[0] - half_y, y[-1] + half_y)
    drawn: list[Artist] = [
        axes.imshow(
            colours(shares), extent=extent, origin="lower", aspect="equal", interpolation="bilinear"
        )
    ]
    for c in range(shares.shape[2]):
        lead = shares[..., c] - np.delete(shares, c, axis=2).max(axis=2, initial=0.0)
        if lead.min() < 0 < lead.max():
            drawn.append(axes.contour(x, y, lead, levels=[0], colors="black", linewidths=0.7))
    for c, row, column in _places(shares.argmax(axis=2)):
        drawn.append(
            axes.text(
                x[column], y[row], str(c + 1), ha="center", va="center", fontsize=9,
                fontweight="bold", bbox={"boxstyle": "circle,pad=0.2", "fc": "white", "lw": 0.6},
            )
        )  # fmt: skip
    return drawn


def draw_components(axes: Axes, x: np.ndarray, component: np.ndarray, n_components: int) -> None:
    """Scatter points (M, 2), a colour, a marker and a line of the legend for each component."""
    for c in range(n_components):
        colour, marker = look(c)
        chosen = x[component == c]
        axes.scatter(
            chosen[:, 0], chosen[:, 1], s=12, marker=marker, color=[colour], alpha=0.7,
            linewidths=0, label=f"component {c + 1}", rasterized=True,
        )  # fmt: skip
    legend_below(axes)


def legend_below(axes: Axes, columns: int = 3) -> None:
    """Put the legend below the axes, where it hides no point."""
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.13), fontsize="small", ncols=columns,
        columnspacing=1.0, handletextpad=0.2, frameon=False, markerscale=1.5,
    )  # fmt: skip


def frame(axes: Axes, lines: Lines) -> None:
    """Set limits, equal scales and names of the axes."""
    (left, *_, right), (low, *_, high) = lines
    axes.set(xlabel="feature 1", ylabel="feature 2", aspect="equal")
    axes.set(xlim=(left, right), ylim=(low, high))


def _places(winner: np.ndarray) -> list[tuple[int, int, int]]:
    """Return (component, row, column) of the widest place of each connected region."""
    places = []
    for c in np.unique(winner):
        regions, _ = ndimage.label(winner == c)
        sizes = np.bincount(regions.ravel())
        for region in np.flatnonzero(sizes[1:] >= _SMALL * winner.size) + 1:
            depth = ndimage.distance_transform_edt(np.pad(regions == region, 1))[1:-1, 1:-1]
            row, column = np.unravel_index(depth.argmax(), depth.shape)
            places.append((int(c), int(row), int(column)))
    return places
