"""Runs into tables: what of a run is published, and how it is put among those that are there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from companion.runs import formats
from companion.runs.experiment import Experiment
from companion.runs.stored import DamagedRunError, Place
from companion.runs.tables import (
    ARRAYS,
    HEAD,
    ROWS,
    RUNS,
    WEIGHTS,
    Published,
    Table,
    entry_line,
    read_table,
    rows_table,
    short_hash,
)
from mixflow.files import sweep, write_atomically

LARGEST = 4_000_000  # bytes of weights that a checkout carries; larger ones are listed alone


@dataclass(frozen=True)
class Compacted:
    """What is published of a run.

    Attributes
    ----------
    entry
        What ``runs.jsonl`` says of it.
    rows
        Its lines of ``rows.csv``, without the digest.
    arrays
        Member of ``arrays.npz`` -> content.
    weights
        File below ``weights`` -> content.
    """

    entry: Mapping[str, Any]
    rows: bytes
    arrays: Mapping[str, bytes] = field(default_factory=dict)
    weights: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """The 12 hex digits of the config."""
        digest: str = self.entry["digest"]
        return digest


def compact(place: Place, experiment: Experiment) -> Compacted:
    """Return what is published of a run: arrays only that its experiment says some page reads.

    Raises
    ------
    DamagedRunError
        If the run is not as it was saved, or packed no model where one is expected.
    """
    run, record = place.read(), place.record()
    listed: dict[str, str | None] = {}
    arrays: dict[str, bytes] = {}
    weights: dict[str, bytes] = {}
    for name, array in sorted(run.arrays.items()):
        if experiment.published_weights and experiment.published_weights.wanted(name, run.config):
            weights[name] = _packed(place, name, array)
        elif any(fnmatchcase(name, pattern) for pattern in experiment.published_arrays):
            content = arrays[f"{run.digest}/{name}"] = formats.npy_bytes(name, array)
            listed[name] = short_hash(content)
        else:
            listed[name] = None
    entry = {
        "digest": run.digest,
        "config": record.config,
        "provenance": record.provenance,
        "sha256": place.signature(),
        "arrays": listed,
        "weights": {name: _listed(content) for name, content in weights.items()},
    }
    small = [content for content in weights.values() if len(content) <= LARGEST]  # one, or none
    carried = {f"{run.digest}.safetensors": small[0]} if small else {}
    return Compacted(entry, record.rows.removeprefix(HEAD), arrays, carried)


def _listed(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": formats.sha256(content)}


def _packed(place: Place, name: str, array: np.ndarray) -> bytes:
    if array.dtype != np.uint8 or array.ndim != 1:
        raise DamagedRunError(f"{place.path}: {name} is no packed model, but {array.dtype}")
    return array.tobytes()


def put(folder: Path, experiment: str, runs: Sequence[Compacted]) -> None:
    """Put runs into the tables of an experiment, in the place of those of the same digest.

    Equal runs give equal bytes, in whatever order they come. ``runs.jsonl`` is written last: until
    then its lines do not fit the rows of a run that is replaced, and readers say so.

    Raises
    ------
    DamagedRunError
        If the tables that are there are damaged, other than in the runs that come.
    OSError
        If a file cannot be written.
    """
    new = {run.digest: run for run in runs}
    every = dict(sorted({**_kept(folder, experiment, new), **new}.items()))
    folder.mkdir(parents=True, exist_ok=True)
    for place in (folder, folder / WEIGHTS):
        sweep(place)
    weights = {name: content for run in every.values() for name, content in run.weights.items()}
    if weights:
        (folder / WEIGHTS).mkdir(exist_ok=True)
    for name, content in weights.items():
        _write(folder / WEIGHTS / name, content)
    arrays = {name: content for run in every.values() for name, content in run.arrays.items()}
    if arrays:
        _write(folder / ARRAYS, formats.npz_bytes(arrays))
    _write(folder / ROWS, rows_table({digest: run.rows for digest, run in every.items()}))
    _write(folder / RUNS, b"".join(entry_line(run.entry) for run in every.values()))
    _remove_others(folder, {*weights}, arrays=bool(arrays))


def _kept(folder: Path, experiment: str, new: Mapping[str, object]) -> dict[str, Compacted]:
    """Return the runs that are there and stay."""
    table = read_table(folder)
    if table is None:
        return {}
    wrong = [text for text in table.problems if not any(digest in text for digest in new)]
    if wrong:
        raise DamagedRunError(f"{wrong[0]}; restore it by 'git checkout'")
    stay = [run for run in table.runs(experiment) if run.digest not in new]
    return {run.digest: _unchanged(run, table) for run in stay}


def _unchanged(run: Published, table: Table) -> Compacted:
    run.verify()
    listed = [name for name, of in run.entry["arrays"].items() if of is not None]
    arrays = {f"{run.digest}/{name}": table.member(run.digest, name) for name in listed}
    own = table.folder / WEIGHTS / f"{run.digest}.safetensors"
    weights = {own.name: own.read_bytes()} if run.entry["weights"] and own.is_file() else {}
    return Compacted(run.entry, run.record().rows.removeprefix(HEAD), arrays, weights)


def _write(path: Path, content: bytes) -> None:
    """Write a file unless it has that content; what depends on it is then made anew for nothing."""
    if not path.is_file() or path.read_bytes() != content:
        write_atomically(path, content)


def _remove_others(folder: Path, weights: set[str], *, arrays: bool) -> None:
    """Remove files of runs that were replaced."""
    for path in _others(folder, weights, arrays=arrays):
        path.unlink(missing_ok=True)
    if not weights and (folder / WEIGHTS).is_dir():
        (folder / WEIGHTS).rmdir()


def _others(folder: Path, weights: set[str], *, arrays: bool) -> Iterator[Path]:
    if not arrays:
        yield folder / ARRAYS
    yield from (path for path in (folder / WEIGHTS).glob("*") if path.name not in weights)
