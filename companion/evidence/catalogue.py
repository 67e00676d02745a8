"""Every stored row at hand, read in a second: without arrays, data frames or torch."""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from companion.evidence.evidence import Evidence, Row, Rows, Run
from companion.runs.plans import Plan, plans
from companion.runs.result import ROW_COLUMNS
from companion.runs.stale import DERIVED, is_stale, version_of
from companion.runs.store import Store
from companion.runs.stored import (
    DamagedRunError,
    is_unfinished,
    parsed_config,
    parsed_table,
    verified,
)

_SMALL = ("config.json", "rows.csv", "provenance.json")
INPUT = "em-gm/table-1"  # what derived experiments read


class Catalogue:
    """Rows of planned runs, found by experiment and metric; an experiment is read when asked for.

    Parameters
    ----------
    read
        Experiment name -> the rows of its runs.
    """

    def __init__(self, read: Callable[[str], Iterable[Row]]) -> None:
        self._read = read
        self._known: dict[str, dict[str, list[Row]]] = {}

    @classmethod
    def of(cls, store: Store, planned: Mapping[str, Plan] | None = None) -> Catalogue:
        """Return what a store has; by default by the plans of today's experiments."""
        known = plans() if planned is None else planned
        return cls(lambda experiment: _rows_of(store, experiment, known))

    def find(self, choices: Sequence[Rows]) -> Evidence | None:
        """Return the rows of the first choice that has some; else those of smoke runs, or None.

        Of smoke runs the data set need not be the same: they are on small embedded ones.
        """
        for choice in choices:
            if rows := self.rows(choice):
                return Evidence(tuple(rows), choice)
        for choice in choices:
            where = {name: values for name, values in choice.where.items() if name != "dataset"}
            if smoke := self.rows(replace(choice, profile="smoke", where=where, config={})):
                return Evidence(tuple(smoke), choice, smoke=True)
        return None

    def rows(self, choice: Rows) -> list[Row]:
        """Return the rows of a choice, at its profile."""
        return [
            row
            for experiment in (choice.experiment, *choice.beside)
            for metric in choice.metrics
            for row in self._of(experiment).get(metric, [])
            if row.run.config.get("profile") == choice.profile and choice.match(row)
        ]

    def _of(self, experiment: str) -> dict[str, list[Row]]:
        """Return metric -> rows of an experiment's planned runs."""
        if experiment not in self._known:
            rows = [row for row in self._read(experiment) if row.run.planned]
            if experiment in DERIVED:
                rows = self._marked(rows)
            found: dict[str, list[Row]] = {}
            for row in rows:
                found.setdefault(row.metric, []).append(row)
            self._known[experiment] = found
        return self._known[experiment]

    def _marked(self, rows: Iterable[Row]) -> list[Row]:
        """Mark rows that were read off mixtures which are stale, or were made anew since."""
        inputs = {_mixture(row): row for of in self._of(INPUT).values() for row in of}
        return [_marked(row, inputs.get(_mixture(row))) for row in rows]


def _mixture(row: Row) -> tuple[Any, ...]:
    """Return what names the mixture of table I that a row is of."""
    config = row.run.config
    k = config.get("n_components", row.k)
    # What reads one stored mixture draws other things by its seed.
    seed = 0 if row.run.experiment in ("em-gm/interpolation", "em-gm/image-doubt") else row.seed
    model = config.get("model") or row.model
    return config.get("profile"), row.dataset, "GenMM" if k == 1 else model, k, seed


def _marked(row: Row, of: Row | None) -> Row:
    if of is None:
        return row
    return row._replace(stale=of.stale or of.run.finished > row.run.finished)


# Reading ------------------------------------------------------------------------------------------


def _rows_of(store: Store, experiment: str, planned: Mapping[str, Plan]) -> Iterator[Row]:
    """Yield the rows of every intact run; of two of one digest, of that which comes first."""
    seen = set()
    for _, path in store.directories(experiment):
        if path.name in seen or is_unfinished(path):
            continue
        try:
            rows = _read(experiment, path, planned)
        except DamagedRunError as error:
            warnings.warn(f"ignored a damaged result: {error}", stacklevel=2)
            continue
        seen.add(path.name)
        yield from rows


def _read(experiment: str, path: Path, planned: Mapping[str, Plan]) -> list[Row]:
    """Return the rows of a run; none where it is no point of a plan.

    Raises
    ------
    DamagedRunError
        If one of its small files is not what ``DONE`` says, or holds something else.
    """
    contents = verified(path, _SMALL)
    try:
        run = _run(experiment, path.name, contents, planned)
        return list(_rows(run, contents["rows.csv"])) if run.planned else []
    except (ValueError, TypeError, AttributeError, IndexError, OverflowError, csv.Error) as error:
        raise DamagedRunError(f"{path}: {error}") from error


def _run(name: str, digest: str, contents: Mapping[str, bytes], planned: Mapping[str, Plan]) -> Run:
    config = parsed_config(contents["config.json"])
    provenance = parsed_table(contents["provenance.json"], "provenance.json")
    return Run(
        experiment=name,
        digest=digest,
        config=config,
        planned=name in planned and config in planned[name],
        finished=str(provenance.get("finished", "")),
        dirty=bool((provenance.get("code") or {}).get("dirty")),
        version=version_of(provenance),
    )


def _rows(run: Run, content: bytes) -> Iterator[Row]:
    stale: dict[tuple[str, str], bool] = {}
    reader = csv.reader(io.StringIO(content.decode()))
    header = next(reader, [])
    order = [header.index(name) for name in ROW_COLUMNS]
    for line in reader:
        dataset, model, setting, seed, metric, value = (line[n] for n in order)
        row = Row(dataset, model, setting, int(seed), metric, float(value), run)
        if (model, setting) not in stale:
            stale[model, setting] = is_stale(run.experiment, run.config, run.version, model, row.k)
        yield row._replace(stale=True) if stale[model, setting] else row
