"""Every stored row at hand, read in a second: without arrays, data frames or torch."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mixflow.results.evidence import Evidence, Row, Rows, Run
from mixflow.results.plans import Plan, plans
from mixflow.results.stale import DERIVED, is_stale, version_of
from mixflow.results.store import Store

_SMALL = ("config.json", "rows.csv", "provenance.json")
_INPUT = "em-gm/table-1"  # what derived experiments read


class Catalogue:
    """Rows of planned runs, found by experiment and metric.

    Parameters
    ----------
    rows
        Of all runs; those off their experiment's plan are left out.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows: dict[tuple[str, str], list[Row]] = {}
        for row in rows:
            if row.run.planned:
                self._rows.setdefault((row.run.experiment, row.metric), []).append(row)
        self._mark_derived()

    @classmethod
    def of(cls, store: Store, planned: Mapping[str, Plan] | None = None) -> Catalogue:
        """Read a store; by default with the plans of today's experiments."""
        planned = plans() if planned is None else planned
        return cls(row for run in _runs(store, planned) for row in run)

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
            for row in self._rows.get((experiment, metric), [])
            if row.run.config.get("profile") == choice.profile and choice.match(row)
        ]

    def _mark_derived(self) -> None:
        """Mark rows that were read off mixtures which are stale, or were made anew since."""
        inputs: dict[tuple[Any, ...], Row] = {}
        for (experiment, _), rows in self._rows.items():
            if experiment == _INPUT:
                inputs |= {_mixture(row): row for row in rows}
        for (experiment, _), rows in self._rows.items():
            if experiment in DERIVED:
                rows[:] = [_marked(row, inputs.get(_mixture(row))) for row in rows]


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


def _runs(store: Store, planned: Mapping[str, Plan]) -> Iterator[list[Row]]:
    """Yield the rows of every intact run; of two of one digest, of that which comes first."""
    seen = set()
    for name, path in store.directories():
        if (name, path.name) in seen:
            continue
        contents = _contents(path)
        if contents is not None:
            seen.add((name, path.name))
            yield _rows(_run(name, path.name, contents, planned), contents["rows.csv"])


def _contents(path: Path) -> dict[str, bytes] | None:
    """Return a run's small files if ``DONE`` has their hashes."""
    try:
        expected = json.loads((path / "DONE").read_bytes())["sha256"]
        contents = {name: (path / name).read_bytes() for name in _SMALL}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    right = (hashlib.sha256(c).hexdigest() == expected.get(n) for n, c in contents.items())
    return contents if all(right) else None


def _run(
    name: str, digest: str, contents: Mapping[str, bytes], planned: Mapping[str, Plan]
) -> Run:
    config, provenance = (
        json.loads(contents[file]) for file in ("config.json", "provenance.json")
    )
    return Run(
        experiment=name,
        digest=digest,
        config=config,
        planned=name in planned and config in planned[name],
        finished=str(provenance.get("finished", "")),
        dirty=bool((provenance.get("code") or {}).get("dirty")),
        version=version_of(provenance),
    )


def _rows(run: Run, content: bytes) -> list[Row]:
    reader = csv.DictReader(io.StringIO(content.decode()))
    return [_row(run, line) for line in reader] if run.planned else []


def _row(run: Run, line: Mapping[str, str]) -> Row:
    texts = (line["dataset"], line["model"], line["setting"])
    row = Row(*texts, int(line["seed"]), line["metric"], float(line["value"]), run)
    stale = is_stale(run.experiment, run.config, run.version, row.model, row.k)
    return row._replace(stale=stale)
