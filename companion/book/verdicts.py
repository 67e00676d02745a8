"""Verdicts as a page shows them: a line for every published number and claim, and their counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd

from companion.evidence.side_by_side import MARKS, NAMES, side_by_side
from companion.evidence.status import status_table
from companion.evidence.targets import Target
from companion.runs.store import Store

DATA_SETS = {
    "mnist": "MNIST",
    "fashion-mnist": "Fashion-MNIST",
    "letter": "Letter",
    "satimage": "Satimage",
    "norb": "small Norb",
}
_KEYS = ("item", "dataset", "model", "setting")
_ROMAN = {"1": "I", "2": "II"}  # how EM-GM numbers its tables


def item_name(paper: str, item: str) -> str:
    """Return a table's or figure's name as people write it.

    Examples
    --------
    >>> item_name("em-gm", "table-2-last-epoch"), item_name("em-gm", "figure-7d-f")
    ('Table II, last epoch', 'Figure 7d-f')
    """
    kind, _, rest = item.partition("-")
    number, _, more = rest.partition("-")
    if kind == "figure":
        number, more = rest, ""
    if paper == "em-gm" and kind == "table":
        number = _ROMAN.get(number, number)
    return f"{kind.capitalize()} {number}" + (f", {more.replace('-', ' ')}" if more else "")


def verdict_table(store: Store, targets: Sequence[Target]) -> str:
    """Return targets beside our values under both protocols, as an HTML table.

    The test that a claim is put to is folded, and so are, below, the reasons of the verdicts that
    speak against a paper. On a phone a line becomes a card.
    """
    status = status_table(store, targets)
    claims = [t for t in targets if t.value is None]
    tests = {tuple(getattr(t, name) for name in _KEYS): t.note for t in claims}
    papers = {t.item: t.paper for t in targets}
    lines = [_line(found, papers, tests) for found in side_by_side(status).to_dict("records")]
    headings = ("", "of", "paper", *NAMES.values())
    head = "".join(f"<th scope='col'>{escape(name)}</th>" for name in headings)
    note = store.unpublished_note(set(" ".join(status["runs"]).split()))
    return (
        f"<table class='mixflow-verdicts'><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table>{_reasons(status)}"
        + (f"<p><b>{escape(note)}.</b></p>" if note else "")
    )


def _line(
    found: Mapping[Any, Any], papers: Mapping[str, str], tests: Mapping[tuple[str, ...], str]
) -> str:
    named = tuple(found[name] for name in ("item", "data", "model", "setting"))
    _, data, model, setting = map(str, named)
    of = escape(", ".join(filter(None, (DATA_SETS.get(data, data), model, setting))))
    if test := tests.get(named):
        of += f"<details><summary>its test</summary>{escape(test)}</details>"
    cells = {
        "": escape(item_name(papers[found["item"]], found["item"])),
        "of": of,
        "paper": escape(str(found["paper"])),
    }
    cells |= {name: escape(f"{_mark(found[name])}\u00a0{found[name]}") for name in NAMES.values()}
    return "<tr>" + "".join(f"<td data-label='{k}'>{v}</td>" for k, v in cells.items()) + "</tr>"


def _mark(text: str) -> str:
    """Return the mark of a cell's verdict; the last one named is what others have in brackets."""
    found = {text.find(verdict): mark for verdict, mark in MARKS.items() if verdict in text}
    return found[min(found)]


def _reasons(status: pd.DataFrame) -> str:
    """Return, folded, why each verdict against a paper is a finding or our shortfall."""
    against = status[status["kind"] != ""]
    lines = [
        f"<li><b>{escape(item_name(line['paper'], line['item']))}, "
        f"{escape(', '.join(filter(None, named)))}</b> "
        f"({NAMES[line['protocol']]}): {line['kind']}. {escape(line['reason'])}."
        + (f" It would be settled by {escape(line['settles'])}." if line["settles"] else "")
        + "</li>"
        for line in against.to_dict("records")
        for named in [(line["dataset"], line["model"], line["setting"])]
    ]
    if not lines:
        return ""
    summary = f"Why {len(lines)} speak against the paper: finding, or our shortfall?"
    return f"<details><summary>{summary}</summary><ul>{''.join(lines)}</ul></details>"


def verdict_counts(store: Store, targets: Sequence[Target]) -> pd.DataFrame:
    """Return how many targets of each paper have which verdict, by protocol."""
    status = status_table(store, targets)
    names = status["protocol"].map(NAMES)
    table = pd.crosstab([status["paper"], names], status["verdict"])
    table = table.reindex(columns=[v for v in MARKS if v in table], fill_value=0)
    table.index.names = ["paper", "protocol"]
    return table.rename(columns=lambda v: f"{MARKS[v]}\u00a0{v}").rename_axis(columns=None)
