"""What all figures share: colours, markers and lines that differ without colour too."""

from __future__ import annotations

from typing import Any

import seaborn as sns

# Colour-blind safe (Okabe and Ito); every series also has a marker and a line style of its own.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))


def use_theme() -> None:
    """Draw every figure from now on in the book's theme."""
    sns.set_theme(
        context="notebook",
        style="ticks",
        palette=COLOURS,
        rc={"axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False},
    )


def style(index: int) -> dict[str, Any]:
    """Return colour, marker and line style of the series of this index."""
    return {
        "color": COLOURS[index % len(COLOURS)],
        "marker": MARKERS[index % len(MARKERS)],
        "linestyle": LINES[index % len(LINES)],
    }
