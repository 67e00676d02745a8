"""The store: what is published, and on top a directory per finished run, named by its digest."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from companion.runs import formats
from companion.runs.config import Config
from companion.runs.frames import rows_of
from companion.runs.places import DIGEST, NAME, published_root, shown, working_root
from companion.runs.result import Result
from companion.runs.stored import (
    DONE,
    DamagedRunError,
    Place,
    RunDirectory,
    StoredRun,
    not_written,
)
from companion.runs.tables import Table, read_table
from mixflow.files import write_atomically


class Store:
    """Keep finished runs in ``root/<paper>/<item>/<digest>/``; read published ones from tables.

    A run counts as there only if its ``DONE`` file is, and every file has the sha256 that
    ``DONE`` names, or if the tables have it whole; anything else is ignored with a warning, to be
    computed again.

    Parameters
    ----------
    root
        Folder that runs are written to, made when the first is saved. Without it, the store of
        whoever works here: ``$MIXFLOW_RESULTS``, else ``results`` of the checkout around the
        working directory, else ``./results``, on top of what the checkout has published.
    published
        Folder of published runs, which are read where `root` has none of its own, and never
        written. None: there are none. Without `root` it is ``book/results`` of the checkout.
    """

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        published: str | os.PathLike[str] | None = None,
    ) -> None:
        self.root = working_root() if root is None else Path(root)
        below = published_root() if root is None and published is None else published
        same = below is not None and Path(below).resolve() == self.root.resolve()
        self.published = None if below is None or same else Path(below)

    def directory(self, experiment_name: str, config: Config) -> Path:
        """Return where the run of that config is written.

        Raises
        ------
        ValueError
            If the name is not of the form ``paper/item``.
        """
        return self.root / _checked(experiment_name) / config.digest()

    def is_done(self, experiment_name: str, config: Config) -> bool:
        """Say whether the run is there and intact; warn if it is there but damaged."""
        return self._find(experiment_name, config.digest(), type(config)) is not None

    def has(self, experiment_name: str, digest: str) -> bool:
        """Say whether a run of that digest is there and intact, as ``is_done`` does of a config."""
        return self._find(experiment_name, digest) is not None

    def load(self, experiment_name: str, config: Config) -> StoredRun:
        """Return the stored run.

        Raises
        ------
        FileNotFoundError
            If it is not there, or damaged (then with a warning first).
        """
        run = self._find(experiment_name, config.digest(), type(config))
        if run is None:
            path = self.directory(experiment_name, config)
            raise FileNotFoundError(
                f"no finished run of {experiment_name} in {path}; "
                f"compute it with 'mixflow run {experiment_name} --profile {config.profile}'"
            )
        return run

    def save(
        self,
        experiment_name: str,
        config: Config,
        result: Result,
        provenance: Mapping[str, Any],
    ) -> StoredRun:
        """Store a finished run and return it as read back from the disk.

        Raises
        ------
        ValueError
            If the rows or arrays cannot be stored; nothing is written then.
        StoreError
            If the disk is full or not writable; what was written of this run is removed.
        """
        path = self.directory(experiment_name, config)
        contents = {
            "config.json": formats.json_bytes(config.model_dump(mode="json")),
            "rows.csv": formats.rows_bytes(result.rows),
            "arrays.npz": formats.arrays_bytes(result.arrays),
            "provenance.json": formats.json_bytes(dict(provenance)),
        }
        hashes = {name: formats.sha256(content) for name, content in contents.items()}
        contents[DONE] = formats.json_bytes({"sha256": hashes})
        try:
            path.mkdir(parents=True, exist_ok=True)
            _write_all(path, contents)
        except OSError as error:
            raise not_written(path, error) from error
        return RunDirectory(experiment_name, path).read()

    def runs(self, experiment_name: str | None = None) -> Iterator[StoredRun]:
        """Yield the intact runs, sorted by name and digest; of one experiment or of all."""
        found = {(place.experiment, place.digest) for place in self.places(experiment_name)}
        for name, digest in sorted(found):
            run = self._find(name, digest)
            if run is not None:
                yield run

    def places(self, experiment_name: str | None = None) -> Iterator[Place]:
        """Yield where runs lie, intact or not; of a digest, that which counts first comes first.

        Those below `root` come first, then the published ones; each sorted.
        """
        for root in self._roots():
            yield from _directories(root, experiment_name)
            for name, path in _folders(root, experiment_name):
                table = _table(path)
                yield from () if table is None else table.runs(name)

    def rows(self, experiment_name: str) -> pd.DataFrame:
        """Return all rows of an experiment's finished runs in one frame.

        Returns
        -------
        DataFrame
            The columns of ``ROW_COLUMNS``, then the config's fields as ``config_<name>``
            (lists and tables as JSON text), then ``run``, the digest.
        """
        return rows_of(self.runs(experiment_name))

    def is_published(self, run: StoredRun) -> bool:
        """Say whether a run of this store is one of the published ones, or equal to it."""
        if self.published is None:
            return False
        there = next(_in_root(self.published, run.experiment, run.digest), None)
        return there is not None and there.signature() == run.place.signature()

    def where(self) -> str:
        """Return the folders that are read, for people."""
        return " on top of ".join(shown(root) for root in self._roots())

    def unpublished_note(self, digests: Collection[str]) -> str:
        """Say how many of the runs with these digests are unpublished; empty where none is."""
        if self.published is None:
            return ""
        own = {place.digest: place.experiment for place in _directories(self.root)}
        runs = [self._find(own[digest], digest) for digest in own.keys() & set(digests)]
        n = sum(run is not None and not self.is_published(run) for run in runs)
        are = "is" if n == 1 else "are"
        everything = f"the {len(set(digests))} runs shown"
        return f"{n} of {everything} {are} unpublished, from {shown(self.root)}" if n else ""

    def _roots(self) -> list[Path]:
        return [self.root] if self.published is None else [self.root, self.published]

    def _find(
        self, experiment_name: str, digest: str, config: type[Config] | None = None
    ) -> StoredRun | None:
        """Return the first intact run."""
        name = _checked(experiment_name)
        found = (_try_read(root, name, digest, config) for root in self._roots())
        return next((run for run in found if run is not None), None)


def _try_read(
    root: Path, experiment: str, digest: str, config: type[Config] | None
) -> StoredRun | None:
    for last_try in (False, True):
        place = next(_in_root(root, experiment, digest), None)
        if place is None or place.is_unfinished:
            return None
        try:
            run = place.read()
            if config is not None and config.digest_of(run.config) != digest:
                raise DamagedRunError(f"{place.path}: config.json is of another run")
            return run
        except DamagedRunError as error:
            # Another process may have finished saving since: look again before warning.
            if last_try and not place.is_unfinished:
                text = f"ignored a damaged result, it will be recomputed: {error}"
                warnings.warn(text, stacklevel=5)
    return None


def _in_root(root: Path, experiment: str, digest: str) -> Iterator[Place]:
    """Yield where a run lies: in a directory of its own, in a table."""
    path = root / experiment / digest
    if os.path.lexists(path):
        yield RunDirectory(experiment, path)
    table = _table(path.parent)
    if table is not None and digest in table.entries:
        yield table.run(experiment, digest)


def _directories(root: Path, experiment: str | None = None) -> Iterator[RunDirectory]:
    for name, folder in _folders(root, experiment):
        with contextlib.suppress(OSError):
            for digest in sorted(os.listdir(folder)):
                if DIGEST.fullmatch(digest):
                    yield RunDirectory(name, folder / digest)


def _folders(root: Path, experiment: str | None = None) -> Iterator[tuple[str, Path]]:
    if experiment is not None:
        yield _checked(experiment), root / experiment
        return
    for path in sorted(root.glob("*/*")):
        name = path.relative_to(root).as_posix()
        if NAME.fullmatch(name):
            yield name, path


def _table(folder: Path) -> Table | None:
    """Return the published runs of an experiment, with a warning of what is wrong with them."""
    try:
        table = read_table(folder)
    except DamagedRunError as error:
        warnings.warn(f"ignored damaged tables of published runs: {error}", stacklevel=5)
        return None
    for problem in () if table is None else table.problems:
        warnings.warn(f"ignored a damaged line of published runs: {problem}", stacklevel=5)
    return table


def _checked(experiment_name: str) -> str:
    if not NAME.fullmatch(experiment_name):
        raise ValueError(f"experiment name {experiment_name!r} is not of the form paper/item")
    return experiment_name


def _write_all(path: Path, contents: Mapping[str, bytes]) -> None:
    # Without DONE the old result is void before the first byte of the new one is written.
    (path / DONE).unlink(missing_ok=True)
    try:
        for name, content in contents.items():
            write_atomically(path / name, content)
    except OSError:
        for name in contents:
            with contextlib.suppress(OSError):
                (path / name).unlink(missing_ok=True)
        raise
