"""Show a figure in a notebook page with alternative text.

MyST-NB's own way, ``mystnb={"image": {"alt": ...}}`` in the metadata of a cell, is fixed text
and the same for all figures of the cell. Here the text is an argument, so that it can quote
the numbers just computed.
"""

from __future__ import annotations

import base64
import html
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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


def figure_html(fig: Figure, *, alt: str, caption: str | None = None) -> str:
    """Return a ``<figure>`` with the SVG inside as a data URI; equal figures, equal text."""
    if not alt.strip():
        raise ValueError("alt is empty; describe what the figure shows in a sentence or two")
    svg = base64.b64encode(_svg(fig)).decode("ascii")
    text = html.escape(" ".join(alt.split()), quote=True)
    image = f'<img src="data:image/svg+xml;base64,{svg}" alt="{text}" style="max-width: 100%">'
    below = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
    return f'<figure class="mixflow-figure">{image}{below}</figure>'


def _svg(fig: Figure) -> bytes:
    """Return the SVG without date and with fixed ids; letters as paths need no fonts."""
    import matplotlib as mpl

    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "mixflow", "svg.fonttype": "path"}):
        fig.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    return buffer.getvalue()
