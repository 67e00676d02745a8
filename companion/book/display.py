"""Show a figure in a notebook page with alternative text.

MyST-NB's own way, ``mystnb={"image": {"alt": ...}}`` in the metadata of a cell, is fixed text
and the same for all figures of the cell. Here the text is an argument, so that it can quote
the numbers just computed.
"""

from __future__ import annotations

import base64
import html
import io
import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEAST_LETTER = 9  # px on a screen
COLUMN = 670  # px of a page's text on a desk


def show(fig: Figure, *, alt: str, caption: str | None = None, close: bool = True) -> None:
    """Display a figure as SVG in the output of the current cell.

    Draw clouds of more than a few thousand points with ``rasterized=True``: an SVG holds
    every point.

    Parameters
    ----------
    fig
        The figure.
    alt
        What the figure shows, for readers who do not see it: the axes, the finding, and
        the numbers that matter.
    caption
        Plain text under the figure.
    close
        Close the figure afterwards, so that the inline backend does not show it again.

    Raises
    ------
    ValueError
        If ``alt`` is empty.
    """
    from IPython.display import display

    markup = figure_html(fig, alt=alt, caption=caption)
    if close:
        import matplotlib.pyplot as plt

        plt.close(fig)
    display({"text/html": markup, "text/plain": f"[figure: {alt}]"}, raw=True)


def only_if(holds: bool, text: str) -> str:
    """Return a sentence; fail the page when what it says does not hold of the numbers.

    Raises
    ------
    ValueError
        If it does not hold: the sentence is to be written anew.
    """
    if not holds:
        raise ValueError(f"no longer true, write it anew: {text}")
    return text


def figure_html(fig: Figure, *, alt: str, caption: str | None = None) -> str:
    """Return a ``<figure>`` with the SVG inside as a data URI; equal figures, equal text."""
    if not alt.strip():
        raise ValueError("alt is empty; describe what the figure shows in a sentence or two")
    content = _svg(fig)
    letter = _smallest_letter(fig) / _width(content)
    if letter * COLUMN < LEAST_LETTER:  # narrower, with letters of the same size
        width, height = fig.get_size_inches()
        fig.set_size_inches(width * letter * COLUMN / LEAST_LETTER, height)
        content = _svg(fig)
        letter = _smallest_letter(fig) / _width(content)
    svg = base64.b64encode(content).decode("ascii")
    text = html.escape(" ".join(alt.split()), quote=True)
    # On a phone the figure keeps the width that its letters need, and scrolls.
    image = (
        f'<img src="data:image/svg+xml;base64,{svg}" alt="{text}" data-letter="{letter:.5f}"'
        f' style="max-width: 100%; min-width: {math.ceil(LEAST_LETTER / letter)}px">'
    )
    below = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
    return f'<figure class="mixflow-figure">{image}{below}</figure>'


def _smallest_letter(fig: Figure) -> float:
    """Return the size of the smallest letters in a figure, in points."""
    from matplotlib.text import Text

    texts = [artist for artist in fig.findobj(Text) if isinstance(artist, Text)]
    shown = (text for text in texts if text.get_visible() and text.get_text().strip())
    return min((float(text.get_fontsize()) for text in shown), default=10.0)


def _width(svg: bytes) -> float:
    """Return the width of an SVG of matplotlib's, in points."""
    found = re.search(rb'<svg [^>]*width="([\d.]+)pt"', svg)
    if found is None:
        raise ValueError("an SVG without a width in points")
    return float(found[1])


def _svg(fig: Figure) -> bytes:
    """Return the SVG without date and with fixed ids; letters as paths need no fonts."""
    import matplotlib as mpl

    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "mixflow", "svg.fonttype": "path"}):
        fig.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    return buffer.getvalue()
