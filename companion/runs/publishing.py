"""Publish runs: copy finished ones from the working store to what the book shows, whole."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from companion.runs import registry
from companion.runs.config import PROFILES, ParameterError
from companion.runs.locks import held
from companion.runs.plans import Plan, plan_of
from companion.runs.store import Store
from companion.runs.stored import (
    DONE,
    DamagedRunError,
    StoredRun,
    is_unfinished,
    not_written,
    read_run,
    verified,
)
from mixflow.files import SUFFIX, write_atomically

PUBLISH, REPLACE, BEFORE = "publish", "replace", "published before"


@dataclass(frozen=True)
class Candidate:
    """A run of the working store, and what becomes of it.

    Attributes
    ----------
    experiment, path
        Its name and directory.
    action
        ``publish``, ``replace``, ``published before``, or empty where it is refused.
    refusal
        Why, empty where it is not.
    """

    experiment: str
    path: Path
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

    def judge(self, name: str, path: Path) -> Candidate:
        """Return what becomes of a run."""
        if is_unfinished(path):
            return Candidate(name, path, refusal="not finished: being computed, or interrupted")
        try:
            run = read_run(name, path)
        except DamagedRunError as error:
            return Candidate(name, path, refusal=f"damaged: {str(error).removeprefix(f'{path}: ')}")
        refusal = next(self._refusals(run), "")
        return Candidate(name, path, "" if refusal else self._action(path, name), refusal)

    def _refusals(self, run: StoredRun) -> Iterator[str]:
        yield from problems_of(run)
        if run.config["profile"] == PROFILES[0]:
            yield "a smoke run reproduces nothing"
        yield from self._of_code(run.provenance.get("code"))
        if run.digest not in self.named and not is_planned(run):
            yield "no point of the experiment's plan; name it with --only"
        if self._action(run.path, run.experiment) == REPLACE and not self.replace:
            yield "another result of this run is published; --replace puts this one in its place"

    def _of_code(self, code: Any) -> Iterator[str]:
        commit = code.get("commit") if isinstance(code, dict) else None
        if not isinstance(commit, str):
            yield "made by code of no known commit"
        elif not self.knows_commit(commit):
            yield f"made by the commit {commit[:10]}, which this repository does not have"
        elif code.get("dirty") is not False:
            yield f"made by code with changes after the commit {commit[:10]}"

    def _action(self, path: Path, name: str) -> str:
        there = self.published / name / path.name
        if not os.path.lexists(there):
            return PUBLISH
        with contextlib.suppress(OSError):
            if (there / DONE).read_bytes() == (path / DONE).read_bytes():
                return BEFORE
        return REPLACE


def candidates(
    root: Path, rules: Rules, names: Collection[str] = (), only: Collection[str] = ()
) -> list[Candidate]:
    """Return what becomes of each run in a folder; of the named experiments and digests alone."""
    return [
        rules.judge(name, path)
        for name, path in Store(root).directories()
        if (not names or name in names) and (not only or path.name in only)
    ]


def publish(chosen: Iterable[Candidate], published: Path) -> None:
    """Copy runs to the published ones, and remove what a killed process left there.

    Of each run, readers see the old result, none, or the whole new one.

    Raises
    ------
    BusyError
        If another process is publishing.
    DamagedRunError
        If a run was changed after it was judged.
    StoreError
        If the disk is full or not writable; nothing of the run is left behind.
    """
    try:
        with held(published / f"publish{SUFFIX}", f"publishing to {published}"):
            _sweep(published)
            for candidate in chosen:
                target = published / candidate.experiment / candidate.path.name
                _put(target, verified(candidate.path))
    except OSError as error:
        raise not_written(published, error) from error


def _put(target: Path, contents: Mapping[str, bytes]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.", suffix=SUFFIX))
    old = new.with_name(f".{target.name}.old{SUFFIX}")
    try:
        for name, content in contents.items():
            write_atomically(new / name, content)
        new.chmod(0o755)  # mkdtemp makes private folders
        if os.path.lexists(target):
            target.rename(old)
        new.rename(target)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        if old.exists() and not target.exists():
            old.rename(target)
        raise
    _remove(old)


def _sweep(published: Path) -> None:
    """Remove what a killed process left; the old result of a run that has no new one comes back."""
    for left in published.glob(f"*/*/.*{SUFFIX}"):
        target = left.with_name(left.name.split(".")[1])
        if left.name.endswith(f".old{SUFFIX}") and not target.exists():
            left.rename(target)
        else:
            _remove(left)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def problems_of(run: StoredRun) -> list[str]:
    """Return why a run is none that its experiment would make today, one line a reason."""
    problems = []
    try:
        config = registry.find(run.experiment).configure(**run.config)
        if config.digest() != run.digest:
            problems.append(
                f"its config now has the digest {config.digest()}: the experiment's parameters "
                "changed since; run it again and remove this directory"
            )
    except (ParameterError, TypeError) as error:
        problems.append(f"its config is not valid: {error}")
    if run.rows.empty:
        problems.append("rows.csv has no rows")
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
