"""Figures for the page: alternative text, self-contained, repeatable."""

from __future__ import annotations

import base64
import re

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

from companion.book.display import figure_html


def figure() -> Figure:
    fig = Figure(figsize=(2, 2))
    fig.subplots().plot([0, 1], [0, 1], label="line")
    return fig


def test_alt_text_is_required():
    with pytest.raises(ValueError, match="alt is empty"):
        figure_html(figure(), alt="  ")


def test_markup_is_escaped_and_self_contained():
    markup = figure_html(figure(), alt='K < 3,\n "two" modes', caption="a < b")
    assert 'alt="K &lt; 3, &quot;two&quot; modes"' in markup
    assert "<figcaption>a &lt; b</figcaption>" in markup
    data = re.search(r"base64,([^\"]+)", markup).group(1)
    assert b"<svg" in base64.b64decode(data)
    assert "figcaption" not in figure_html(figure(), alt="x")


def test_equal_figures_give_equal_text():
    assert figure_html(figure(), alt="x") == figure_html(figure(), alt="x")
    assert mpl.rcParams["svg.hashsalt"] is None
