"""What the book shows where: which page has the verdicts of which table or figure."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from html import escape
from pathlib import Path

import pandas as pd

from companion.book.verdicts import item_name
from companion.evidence.side_by_side import MARKS, NAMES

PAPERS = {"em-gm": "EM-GM", "vmonf": "VMoNF", "gmm-basis": "GMM-basis"}


def pages_of_items(notebooks: Path) -> dict[tuple[str, str], str]:
    """Return paper and item of the target table -> name of the page with its verdicts.

    Read off the sources: ``....verdicts("table-1", ...)`` in a page of the paper, which its name
    begins with. The page whose first verdicts they are comes first.
    """
    found: dict[tuple[str, str], tuple[int, str]] = {}
    for source in sorted(notebooks.glob("*.py")):
        for paper in PAPERS:
            if source.stem.startswith(paper.replace("-", "_")):
                for place, item in enumerate(_items(source)):
                    key = (paper, item)
                    found[key] = min(found.get(key, (place, source.stem)), (place, source.stem))
    return {key: page for key, (_, page) in found.items()}


def _items(source: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        match node:
            case ast.Call(func=ast.Attribute(attr="verdicts"), args=arguments):
                constants = (a.value for a in arguments if isinstance(a, ast.Constant))
                yield from (value for value in constants if isinstance(value, str))


def cards(status: pd.DataFrame, pages: dict[tuple[str, str], str]) -> str:
    """Return a card for every table and figure, as HTML: its verdicts, and a link to its page.

    Parameters
    ----------
    status
        Of :func:`companion.evidence.status.status_table`.
    pages
        Of :func:`pages_of_items`; an item on no page leads to the status page.
    """
    parts = []
    for paper, name in PAPERS.items():
        of_paper = status[status["paper"] == paper]
        made = "".join(
            _card(item_name(paper, item), of_paper[of_paper["item"] == item], page)
            for item in map(str, dict.fromkeys(of_paper["item"]))
            for page in [pages.get((paper, item), "status")]
        )
        parts.append(f"<h3>{escape(name)}</h3><div class='mixflow-cards'>{made}</div>")
    return "".join(parts)


def _card(title: str, of: pd.DataFrame, page: str) -> str:
    lines = []
    for protocol, name in NAMES.items():
        counts = Counter(of.loc[of["protocol"] == protocol, "verdict"])
        words = ", ".join(
            f"{MARKS[verdict]}&nbsp;{counts[verdict]} {escape(verdict)}"
            for verdict in MARKS
            if counts[verdict]
        )
        lines.append(f"<p><b>{escape(name)}</b>: {words}</p>")
    heading = f"<a href='{page}.html'>{escape(title)}</a>"
    return f"<div class='mixflow-card'><h4>{heading}</h4>{''.join(lines)}</div>"
