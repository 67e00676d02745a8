"""Checks of the stored runs and of the table of targets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from companion.evidence.evidence import PROTOCOLS
from companion.evidence.questions import load_targets
from companion.evidence.status import status_table
from companion.runs.publishing import problems_of
from companion.runs.store import Store
from companion.runs.stored import (
    DONE,
    FILES,
    LOCK,
    DamagedRunError,
    is_unfinished,
    read_run,
)


def check_results(root: Path, store: Store) -> list[str]:
    """Check that every stored run is intact and is one its experiment would make today."""
    problems = []
    for name, path in store.directories():
        if is_unfinished(path):  # a checkpoint of a run that goes on or was interrupted
            continue
        try:
            run = read_run(name, path)
        except DamagedRunError as error:
            problems.append(str(error))
            continue
        problems += [f"{path}: {problem}" for problem in [*problems_of(run), *_left_in(path)]]
    return problems


def _left_in(path: Path) -> Iterator[str]:
    """Say what else is in the directory of a finished run that nobody computes anew."""
    names = {item.name for item in path.iterdir()}
    left = sorted(names - {DONE, *FILES})
    if left and LOCK not in names:
        yield f"holds more than the result (left by a killed run?): {', '.join(left)}; remove it"


def check_targets(root: Path, store: Store) -> list[str]:
    """Check the table of targets, and that its status has every one under each protocol once."""
    try:
        targets = load_targets()
    except (ValueError, KeyError) as error:
        return [str(error)]
    frame = status_table(store)
    keys = ["paper", "item", "dataset", "model", "setting", "metric", "protocol"]
    counts = Counter(map(tuple, frame[keys].to_numpy()))
    problems = []
    for target in targets:
        for protocol in PROTOCOLS:
            n = counts[*(getattr(target, key) for key in keys[:-1]), protocol]
            if n != 1:
                problems.append(f"target {target.id} is {n} times {protocol} in the status table")
    return problems
