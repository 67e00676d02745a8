"""The papers' published numbers, read from the packaged table; claims have the same form."""

from __future__ import annotations

import csv
import io
import math
import re
from dataclasses import dataclass
from importlib import resources
from typing import Literal

TABLE = "paper_targets.csv"
COLUMNS = (
    *("paper", "item", "dataset", "model", "setting", "metric", "value", "better", "n", "note"),
)
CLAIM = "claim"


@dataclass(frozen=True)
class Target:
    """One published number, or one claim in words.

    Attributes
    ----------
    paper, item
        Such as ``em-gm`` and ``table-2``.
    dataset, model, setting
        What the number is of; empty in a claim.
    metric
        The published metric, or ``claim``.
    value
        The published number; None for a claim.
    better
        ``higher`` or ``lower``, or None where neither is better.
    note
        How the number came about; of a claim, the test that it is put to.
    n
        What the published number is a mean over: test samples, or random targets; None where it
        is not known.
    """

    paper: str
    item: str
    dataset: str
    model: str
    setting: str
    metric: str
    value: float | None
    better: Literal["higher", "lower"] | None
    note: str
    n: int | None = None

    @property
    def id(self) -> str:
        """Stable name, such as ``em-gm/table-2/letter-genmm-k=1-test-accuracy``."""
        parts = (self.dataset, self.model, self.setting, self.metric)
        slug = re.sub(r"[^a-z0-9=.+]+", "-", "-".join(filter(None, parts)).lower()).strip("-")
        return f"{self.paper}/{self.item}/{slug}"


def load_numbers() -> list[Target]:
    """Return every published number of the packaged table, in its order.

    Raises
    ------
    ValueError
        If the table is not well-formed; the message names each bad line.
    """
    text = resources.files("companion.evidence").joinpath(TABLE).read_text(encoding="utf-8")
    return parse_targets(text)


def parse_targets(text: str) -> list[Target]:
    """Read targets from CSV text.

    Raises
    ------
    ValueError
        If columns, values or directions are wrong, or two targets are the same.
    """
    reader = csv.DictReader(io.StringIO(text), strict=True)
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise ValueError(f"{TABLE} has the columns {reader.fieldnames}; expected {list(COLUMNS)}")
    targets: dict[str, Target] = {}
    problems = []
    for row in reader:
        try:
            target = _parse(row)
            if target.id in targets:
                raise ValueError(f"{target.id} is there twice")
            targets[target.id] = target
        except ValueError as error:
            problems.append(f"line {reader.line_num}: {error}")
    if problems:
        raise ValueError(f"{TABLE}: " + "; ".join(problems))
    return list(targets.values())


def _parse(row: dict[str, str]) -> Target:
    if None in row or None in row.values():
        raise ValueError(f"does not have {len(COLUMNS)} cells")
    if not (row["paper"] and row["item"] and row["metric"]):
        raise ValueError("paper, item and metric must not be empty")
    value = _parse_value(row["value"])
    if (value is None) != (row["metric"] == CLAIM):
        raise ValueError(f"metric {row['metric']!r} with value {row['value']!r}: a claim has none")
    if row["better"] not in ("higher", "lower", ""):
        raise ValueError(f"better={row['better']!r}; expected higher, lower or nothing")
    texts = {name: row[name] for name in COLUMNS if name not in ("value", "better", "n")}
    better: Literal["higher", "lower"] | None = None
    if row["better"]:
        better = "higher" if row["better"] == "higher" else "lower"
    return Target(**texts, value=value, better=better, n=int(row["n"]) if row["n"] else None)


def _parse_value(text: str) -> float | None:
    if not text:
        return None
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"value {text!r} is not finite")
    return value
