"""A claim of a paper: its words, the test that its text is, and the rows that the test takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from companion.evidence.claims.statistics import Test, above
from companion.evidence.evidence import Answer, Row
from companion.evidence.targets import CLAIM, Target

Rule = Callable[[Sequence[Row]], Test]


@dataclass(frozen=True)
class Claim:
    """One sentence of a paper that rows can speak for or against.

    Attributes
    ----------
    paper, item
        Where it stands, such as ``em-gm`` and ``figure-4``.
    name
        Short, unique within the item, data set and model.
    says
        What the paper says.
    text
        The test, in words: what is compared, over what, and when it holds.
    test
        From rows to what they say.
    answer
        Which rows, under each protocol.
    dataset, model
        What the claim is of; empty where it is of several.
    ours
        Thresholds that we set, and when; empty where there are none.
    """

    paper: str
    item: str
    name: str
    says: str
    text: str
    test: Rule
    answer: Answer
    dataset: str = ""
    model: str = ""
    ours: str = ""

    @property
    def target(self) -> Target:
        """The claim as a line of the table of targets."""
        note = f"{self.text} (ours: {self.ours})" if self.ours else self.text
        names = (self.paper, self.item, self.dataset, self.model, self.name)
        return Target(*names, metric=CLAIM, value=None, better=None, note=note)


# Rows as arrays -----------------------------------------------------------------------------------


def values(rows: Iterable[Row], **where: object) -> dict[int, float]:
    """Return seed -> value of the rows whose columns are these; the mean where there are several.

    Examples
    --------
    >>> values([], metric="accuracy")
    {}
    """
    found: dict[int, list[float]] = {}
    for row in rows:
        if all(getattr(row, name) == value for name, value in where.items()):
            found.setdefault(row.seed, []).append(row.value)
    return {seed: sum(of) / len(of) for seed, of in sorted(found.items())}


def columns(parts: Sequence[Mapping[int, float]]) -> NDArray[np.float64]:
    """Return the values of the seeds that all parts have, a line a seed: (n, M)."""
    seeds = sorted(set.intersection(*(set(part) for part in parts))) if parts else []
    lines = [[part[seed] for part in parts] for seed in seeds]
    return np.array(lines).reshape(len(seeds), len(parts))


def levels(
    rows: Sequence[Row], metrics: Sequence[str], ks: Sequence[int], model: str
) -> list[NDArray[np.float64]]:
    """Return a block (M, L) for every seed: metrics at those K of a model that it has.

    One component makes no LatMM: at K = 1 all models are GenMM's single flow.
    """
    found: dict[int, dict[tuple[str, int], float]] = {}
    for row in rows:
        if row.model == ("GenMM" if row.k == 1 and model == "LatMM" else model):
            found.setdefault(row.seed, {})[row.metric, row.k] = row.value
    blocks = []
    for _, of in sorted(found.items()):
        there = [k for k in ks if all((metric, k) in of for metric in metrics)]
        blocks.append(np.array([[of[metric, k] for k in there] for metric in metrics]))
    return [block for block in blocks if block.size]


def paired(rows: Iterable[Row], more: Mapping[str, object], fewer: Mapping[str, object]) -> Test:
    """Test whether one measure is above another, seed by seed."""
    rows = list(rows)
    table = columns([values(rows, **more), values(rows, **fewer)])
    return above(table[:, 0] - table[:, 1])
