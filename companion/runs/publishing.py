"""Publish runs: what may be put into the tables that the book shows, and putting it there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from companion.runs import registry
from companion.runs.compaction import compact, put
from companion.runs.config import PROFILES, ParameterError
from companion.runs.locks import held
from companion.runs.plans import Plan, plan_of
from companion.runs.store import Store
from companion.runs.stored import DamagedRunError, Place, RunDirectory, StoredRun, not_written
from companion.runs.tables import Published, read_table
from mixflow.files import SUFFIX

PUBLISH, REPLACE, BEFORE = "publish", "replace", "published before"


@dataclass(frozen=True)
class Candidate:
    """A run of the working store, and what becomes of it.

    Attributes
    ----------
    place
        The run.
    action
        ``publish``, ``replace``, ``published before``, or empty where it is refused.
    refusal
        Why, empty where it is not.
    """

    place: RunDirectory
    action: str = ""
    refusal: str = ""


@dataclass(frozen=True)
class Rules:
    """What decides whether a run is published.

    Attributes
    ----------
    published
        Folder of the published runs.
    knows_commit
        Says whether a commit is one of this repository.
    named
        Digests that were named: those need be no points of a plan.
    replace
        Whether another result takes the place of a published one.
    """

    published: Path
    knows_commit: Callable[[str], bool]
    named: Collection[str] = ()
    replace: bool = False

    def judge(self, place: RunDirectory) -> Candidate:
        """Return what becomes of a run."""
        if place.is_unfinished:
            return Candidate(place, refusal="not finished: being computed, or interrupted")
        try:
            run = place.read()
            action = self._action(place)
        except DamagedRunError as error:
            text = str(error).removeprefix(f"{place.path}: ")
            return Candidate(place, refusal=f"damaged: {text}")
        refusal = next(self._refusals(run, action), "")
        return Candidate(place, "" if refusal else action, refusal)

    def _refusals(self, run: StoredRun, action: str) -> Iterator[str]:
        yield from problems_of(run)
        if run.config["profile"] == PROFILES[0]:
            yield "a smoke run reproduces nothing"
        yield from self._of_code(run.provenance.get("code"))
        if run.digest not in self.named and not is_planned(run):
            yield "no point of the experiment's plan; name it with --only"
        if action == REPLACE and not self.replace:
            yield "another result of this run is published; --replace puts this one in its place"

    def _of_code(self, code: Any) -> Iterator[str]:
        commit = code.get("commit") if isinstance(code, dict) else None
        if not isinstance(commit, str):
            yield "made by code of no known commit"
        elif not self.knows_commit(commit):
            yield f"made by the commit {commit[:10]}, which this repository does not have"
        elif code.get("dirty") is not False:
            yield f"made by code with changes after the commit {commit[:10]}"

    def _action(self, place: RunDirectory) -> str:
        there = self._published(place)
        if there is None:
            return PUBLISH
        if there.signature() != place.signature():
            return REPLACE
        return BEFORE if _is_whole(there, place) else PUBLISH

    def _published(self, place: RunDirectory) -> Published | None:
        table = read_table(self.published / place.experiment)
        known = table is not None and place.digest in table.entries
        return table.run(place.experiment, place.digest) if known and table else None


def _is_whole(there: Published, place: Place) -> bool:
    """Say whether of a run all is published that is to be."""
    try:
        there.verify()
    except DamagedRunError:
        return False
    return compact(place, registry.find(place.experiment)).entry == there.entry


def candidates(
    root: Path, rules: Rules, names: Collection[str] = (), only: Collection[str] = ()
) -> list[Candidate]:
    """Return what becomes of each run in a folder; of the named experiments and digests alone."""
    return [
        rules.judge(place)
        for place in Store(root).places()
        if isinstance(place, RunDirectory)
        and (not names or place.experiment in names)
        and (not only or place.digest in only)
    ]


def publish(chosen: Iterable[Candidate], published: Path) -> None:
    """Put runs into the published tables, an experiment after the other.

    Raises
    ------
    BusyError
        If another process is publishing.
    DamagedRunError
        If a run was changed after it was judged, or the tables are damaged.
    StoreError
        If the disk is full or not writable.
    """
    of: dict[str, list[RunDirectory]] = {}
    for candidate in chosen:
        of.setdefault(candidate.place.experiment, []).append(candidate.place)
    try:
        with held(published / f"publish{SUFFIX}", f"publishing to {published}"):
            for name, places in sorted(of.items()):
                experiment = registry.find(name)
                put(published / name, name, [compact(place, experiment) for place in places])
    except OSError as error:
        raise not_written(published, error) from error


def problems_of(run: StoredRun) -> list[str]:
    """Return why a run is none that its experiment would make today, one line a reason."""
    problems = []
    try:
        config = registry.find(run.experiment).configure(**run.config)
        if config.digest() != run.digest:
            problems.append(
                f"its config now has the digest {config.digest()}: the experiment's parameters "
                "changed since; run it again and remove this one (its directory, or its lines in "
                "the published tables)"
            )
    except (ParameterError, TypeError) as error:
        problems.append(f"its config is not valid: {error}")
    if run.rows.empty:
        problems.append("it has no rows")
    seeds = sorted({int(seed) for seed in run.rows["seed"]} - {run.config.get("seed")})
    if seeds:
        problems.append(f"rows of seed {seeds}, but the config says {run.config.get('seed')}")
    return problems


def is_planned(run: StoredRun) -> bool:
    """Say whether a run is a point of its experiment's plan, with any seed."""
    return run.config in planned(run.experiment)


@cache
def planned(name: str) -> Plan:
    """Return the points of an experiment's plan, made once."""
    return plan_of(registry.find(name))
