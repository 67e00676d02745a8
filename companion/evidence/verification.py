"""Compute stored runs again, and say whether today's code makes the same rows."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from companion.evidence.evidence import Row, Run
from companion.runs.registry import find
from companion.runs.result import ROW_COLUMNS
from companion.runs.runner import execute
from companion.runs.stale import is_retired, is_stale, version_of
from companion.runs.store import Store
from companion.runs.stored import StoredRun

# Another processor or version adds up in another order, and training magnifies it.
TOLERANCE = 0.02
KEYS = [name for name in ROW_COLUMNS if name != "value"]


@dataclass(frozen=True)
class Outcome:
    """What became of one run.

    Attributes
    ----------
    run
        As stored.
    n_rows
        Rows that were compared: not those of retired metrics or of a training that has changed.
    n_equal
        Rows whose value is the same to the last bit.
    missing
        Rows that are in one of the two alone.
    worst
        Largest difference of two values, relative to the larger one.
    where
        Metric of that row.
    """

    run: StoredRun
    n_rows: int
    n_equal: int
    missing: int
    worst: float
    where: str

    def verdict(self, tolerance: float = TOLERANCE) -> str:
        """Return ``equal``, ``within tolerance`` or ``differs``."""
        if self.missing or self.worst > tolerance:
            return "differs"
        return "equal" if self.n_equal == self.n_rows else "within tolerance"


def chosen(
    store: Store, names: Sequence[str], n: int, seconds: float, seed: int
) -> list[StoredRun]:
    """Return runs drawn at random: no smoke runs, none that took longer, none that is all stale.

    Parameters
    ----------
    store
        Whose runs.
    names
        Of the experiments.
    n
        How many; fewer where there are not as many.
    seconds
        The longest that a run may have taken, on the machine that made it.
    seed
        Of the draw.
    """
    found = [run for name in names for run in store.runs(name) if _is_suited(run, seconds)]
    return random.Random(seed).sample(found, min(n, len(found)))


def _is_suited(run: StoredRun, seconds: float) -> bool:
    took = run.provenance.get("seconds")
    known = isinstance(took, int | float) and took <= seconds and not run.provenance.get("resumed")
    return known and run.config.get("profile") != "smoke" and any(_compared(run))


def _compared(run: StoredRun) -> Iterator[Row]:
    """Yield the rows of a run that today's code is to make again."""
    version = version_of(run.provenance)
    of = Run(run.experiment, run.digest, run.config, version=version)
    for values in run.rows[list(ROW_COLUMNS)].to_dict("records"):
        row = Row(**{str(name): value for name, value in values.items()}, run=of)
        if not is_retired(row.metric) and not is_stale(
            run.experiment, run.config, version, row.model, row.k
        ):
            yield row


def verify(run: StoredRun, store: Store, scratch: Path) -> Outcome:
    """Compute a run again and compare its rows.

    Parameters
    ----------
    run
        As stored.
    store
        What the run builds on is read from here.
    scratch
        Folder for the new result.

    Raises
    ------
    ParameterError
        If today's experiment has no such config.
    DatasetError
        If the data are not there.
    """
    experiment = find(run.experiment)
    config = experiment.configure(**run.config)
    # What is published is below, so that a run finds what it builds on.
    anew = Store(scratch, store.published or store.root)
    execute(experiment, config, anew, force=True, progress=False)
    again = Store(scratch).load(run.experiment, config)
    return _outcome(run, _values(run), _values(again))


def _values(run: StoredRun) -> dict[tuple[object, ...], float]:
    return {tuple(getattr(row, name) for name in KEYS): row.value for row in _compared(run)}


def _outcome(
    run: StoredRun, before: dict[tuple[object, ...], float], after: dict[tuple[object, ...], float]
) -> Outcome:
    # A new row that stands where the stored one is stale has nothing to be compared with.
    stored = set(run.rows[KEYS].itertuples(index=False, name=None))
    after = {key: value for key, value in after.items() if key in before or key not in stored}
    shared = before.keys() & after.keys()
    differences = {key: _difference(before[key], after[key]) for key in shared}
    worst = max(differences, key=lambda key: differences[key], default=None)
    return Outcome(
        run=run,
        n_rows=len(shared),
        n_equal=sum(value == 0 for value in differences.values()),
        missing=len(before.keys() ^ after.keys()),
        worst=differences[worst] if worst else 0.0,
        where=str(worst[KEYS.index("metric")]) if worst else "",
    )


def _difference(one: float, other: float) -> float:
    if one == other or (math.isnan(one) and math.isnan(other)):
        return 0.0
    size = max(abs(one), abs(other))
    return abs(one - other) / size if math.isfinite(size) else math.inf
