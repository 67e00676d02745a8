"""The status table for people: a line a question, both protocols side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from companion.evidence.evidence import PROTOCOLS
from companion.evidence.status import KEYS

NAMES = {"as_published": "as published", "our_recipe": "our recipe"}
# Verdict -> its mark, for those who look for one.
MARKS = {
    "reproduced": "●",
    "holds": "●",
    "better": "▲",
    "worse": "▼",
    "does not hold": "▼",
    "consistent": "◐",
    "undecided": "◐",
    "one seed": "◔",
    "smoke only": "○",
    "stale": "✕",
    "not run": "–",
}


def side_by_side(status: pd.DataFrame, *, spread: bool = True) -> pd.DataFrame:
    """Return a line a question of a status table, with a column of text for each protocol.

    Parameters
    ----------
    status
        Of :func:`companion.evidence.status.status_table`.
    spread
        Whether means have their standard deviation over seeds beside them, and claims the chance
        that they hold by luck.

    Returns
    -------
    DataFrame
        Columns ``item``, ``data``, ``model``, ``setting``, ``paper``, and the protocols' names.
    """
    lines = []
    for keys, of in status.groupby(list(KEYS), sort=False, dropna=False):
        found: dict[str, Any] = {line["protocol"]: line for line in of.to_dict("records")}
        named = dict(zip(KEYS, keys, strict=True))
        lines.append(
            {
                "item": named["item"],
                "data": named["dataset"],
                "model": named["model"],
                "setting": named["setting"],
                "paper": _published(named, found[PROTOCOLS[0]]),
                **{NAMES[protocol]: cell(found[protocol], spread) for protocol in PROTOCOLS},
            }
        )
    columns = ["item", "data", "model", "setting", "paper", *NAMES.values()]
    return pd.DataFrame(lines, columns=columns)


def _published(named: Mapping[str, Any], line: Mapping[str, Any]) -> str:
    return "claim" if named["metric"] == "claim" else f"{line['published']:.6g}"


def cell(line: Mapping[str, Any], spread: bool = True) -> str:
    """Return what a status line says: our mean, the seeds, and the verdict with its ruling.

    The number of seeds is left out where the verdict names it.

    Examples
    --------
    >>> cell({"metric": "L", "ours": 0.0745, "spread": 0.0004, "seeds": 5, "verdict": "worse",
    ...       "hint": "", "kind": "finding"})
    '0.0745 ± 0.0004 (5) worse: finding'
    """
    word = f"{line['verdict']} ({line['hint']})" if line["hint"] else str(line["verdict"])
    if line["kind"]:
        word += f": {line['kind']}"
    if not line["seeds"]:
        return word
    if spread and line["metric"] == "claim" and not math.isnan(line["chance"]):
        word += f"; by luck {line['chance']:.2g}"
    number = ""
    if line["metric"] != "claim" and not math.isnan(line["ours"]):
        number = f"{line['ours']:.4f} "
        if spread and not math.isnan(line["spread"]):
            number += f"± {line['spread']:.4f} "
    return number + word if "one seed" in word else f"{number}({line['seeds']}) {word}"


def counts(status: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Return protocol's name -> verdict -> how many questions have it, in the rule's order."""
    found = {}
    for protocol in PROTOCOLS:
        of = status.loc[status["protocol"] == protocol, "verdict"].value_counts()
        found[NAMES[protocol]] = {v: int(of[v]) for v in MARKS if v in of}
    return found
