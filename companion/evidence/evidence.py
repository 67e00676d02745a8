"""Stored rows as evidence: what they are of, and which of them stand for a published number."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, get_args

Protocol = Literal["as_published", "our_recipe"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)

Kind = Literal["less", "recipe", "open"]


@dataclass(frozen=True)
class Deviation:
    """One thing in which our runs differ from the paper's.

    Attributes
    ----------
    text
        What differs: ours, then the paper's.
    kind
        ``less``: smaller, fewer, shorter, or other data; ``recipe``: another way to train or
        choose; ``open``: the paper does not say, or it cannot change the answer.
    """

    text: str
    kind: Kind


def less(text: str) -> Deviation:
    """Return a deviation by which ours is smaller, shorter or of other data."""
    return Deviation(text, "less")


def recipe(text: str) -> Deviation:
    """Return a deviation of the recipe."""
    return Deviation(text, "recipe")


def open_(text: str) -> Deviation:
    """Return a deviation where the paper leaves the matter open."""
    return Deviation(text, "open")


@dataclass(frozen=True)
class Run:
    """One stored run, its rows apart.

    Attributes
    ----------
    experiment, digest
        What names it.
    config
        As stored.
    planned
        Whether it is a point of its experiment's plan, with any seed.
    finished
        When, ISO 8601 in UTC; empty where not recorded.
    dirty
        Whether the code differed from its commit.
    version
        Of the training that made it, see :mod:`companion.runs.stale`.
    """

    experiment: str
    digest: str
    config: Mapping[str, Any]
    planned: bool = True
    finished: str = ""
    dirty: bool = False
    version: int = 0


class Row(NamedTuple):
    """One measured number and the run that measured it."""

    dataset: str
    model: str
    setting: str
    seed: int
    metric: str
    value: float
    run: Run
    stale: bool = False

    @property
    def k(self) -> int:
        """K, of a setting that begins with ``K=``; 0 of another."""
        found = re.match(r"K=(\d+)", self.setting)
        return int(found[1]) if found else 0

    @property
    def split(self) -> int:
        """Which of the random splits; 0 where there is one."""
        return int(self.run.config.get("split_seed") or 0)


@dataclass(frozen=True)
class Rows:
    """Which stored rows stand for a published number or claim, and how they differ from it.

    Attributes
    ----------
    experiment
        Name of the experiment, ``paper/item``.
    metrics
        Of the rows.
    profile
        Of the runs.
    where
        Row column -> the values that count.
    config
        Config field -> the values that count.
    deviations
        In what the runs differ from the paper's.
    random_split
        Whether the split is drawn at random, so that it is an axis beside the seed.
    beside
        Further experiments whose rows are taken together with these.
    also
        Other values of row columns that count as well: rows of another model for comparison.
    """

    experiment: str
    metrics: tuple[str, ...]
    profile: str = "laptop"
    where: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    config: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    deviations: tuple[Deviation, ...] = ()
    random_split: bool = False
    beside: tuple[str, ...] = ()
    also: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def match(self, row: Row) -> bool:
        """Say whether a row of the experiment's plan is one of these, at whatever profile."""
        wanted = (self.where, self.also) if self.also else (self.where,)
        return (
            row.metric in self.metrics
            and any(all(getattr(row, n) in of for n, of in columns.items()) for columns in wanted)
            and all(row.run.config.get(name) in of for name, of in self.config.items())
        )


@dataclass(frozen=True)
class Evidence:
    """The rows that stand for a published number or claim, all of one choice.

    Attributes
    ----------
    rows
        Measured numbers.
    source
        The choice they came from.
    smoke
        Whether there are none but of smoke runs.
    """

    rows: tuple[Row, ...]
    source: Rows
    smoke: bool = False

    @property
    def stale(self) -> bool:
        """Whether some row is no longer what the code computes."""
        return any(row.stale for row in self.rows)

    @property
    def runs(self) -> tuple[str, ...]:
        """Digests of the runs."""
        return tuple(sorted({row.run.digest for row in self.rows}))

    @property
    def n_dirty(self) -> int:
        """Runs whose code differed from its commit."""
        return len({row.run.digest for row in self.rows if row.run.dirty})


@dataclass(frozen=True)
class Answer:
    """What stands for a published number or claim under each protocol.

    Attributes
    ----------
    as_published, our_recipe
        Choices of rows, the nearest to the paper first.
    absent
        Why a protocol has no choice of rows.

    Raises
    ------
    ValueError
        If a protocol has neither rows nor a reason.
    """

    as_published: tuple[Rows, ...] = ()
    our_recipe: tuple[Rows, ...] = ()
    absent: Mapping[Protocol, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for protocol in PROTOCOLS:
            if bool(self.under(protocol)) == (protocol in self.absent):
                raise ValueError(f"{protocol}: give rows, or say in 'absent' why there are none")

    def under(self, protocol: Protocol) -> tuple[Rows, ...]:
        """Return the choices of a protocol."""
        choices: tuple[Rows, ...] = getattr(self, protocol)
        return choices


def by_split(rows: Sequence[Row]) -> dict[int, list[float]]:
    """Return split -> values, one a seed: a row that several runs repeat is no extra evidence."""
    found: dict[int, dict[int, list[float]]] = {}
    for row in rows:
        found.setdefault(row.split, {}).setdefault(row.seed, []).append(row.value)
    return {
        split: [sum(values) / len(values) for _, values in sorted(seeds.items())]
        for split, seeds in sorted(found.items())
    }
