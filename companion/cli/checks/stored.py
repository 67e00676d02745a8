"""Checks of the stored runs and of the table of targets."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from companion.evidence.evidence import PROTOCOLS
from companion.evidence.questions import load_targets
from companion.evidence.status import status_table
from companion.runs.publishing import problems_of
from companion.runs.store import Store
from companion.runs.stored import DONE, FILES, LOCK, DamagedRunError, Place, RunDirectory


def check_results(root: Path, store: Store) -> list[str]:
    """Check that every stored run is intact and is one its experiment would make today."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        places = list(store.places())
    problems = list(dict.fromkeys(str(warning.message) for warning in caught))
    for place in places:
        if place.is_unfinished:  # a checkpoint of a run that goes on or was interrupted
            continue
        try:
            problems += [f"{place}: {problem}" for problem in _problems(place)]
        except DamagedRunError as error:
            problems.append(str(error))
    return problems


def _problems(place: Place) -> Iterator[str]:
    """Say what is wrong with a run; raises ``DamagedRunError`` where it cannot be read."""
    place.verify()
    yield from problems_of(place.read())
    if isinstance(place, RunDirectory):
        yield from _left_in(place.path)


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
