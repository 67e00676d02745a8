"""The store: one directory per finished run, named by the digest of its config."""

from __future__ import annotations

import contextlib
import json
import os
import re
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from companion.runs import formats
from companion.runs.config import Config
from companion.runs.places import published_root, shown, working_root
from companion.runs.result import ROW_COLUMNS, Result
from companion.runs.stored import (
    DONE,
    DamagedRunError,
    StoredRun,
    is_unfinished,
    not_written,
    read_run,
)
from mixflow.files import write_atomically

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*/[a-z0-9][a-z0-9.-]*")
_DIGEST = re.compile(r"[0-9a-f]{12}")


class Store:
    """Keep finished runs in ``root/<paper>/<item>/<digest>/``.

    A run counts as there only if its ``DONE`` file is, and every file has the sha256 that
    ``DONE`` names; anything else is ignored with a warning, to be computed again.

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
        return read_run(experiment_name, path)

    def runs(self, experiment_name: str | None = None) -> Iterator[StoredRun]:
        """Yield the intact runs, sorted by name and digest; of one experiment or of all."""
        found = {(name, path.name) for name, path in self.directories(experiment_name)}
        for name, digest in sorted(found):
            run = self._find(name, digest)
            if run is not None:
                yield run

    def directories(self, experiment_name: str | None = None) -> Iterator[tuple[str, Path]]:
        """Yield ``(experiment name, path)`` of what is named as a run is, intact or not.

        Those below `root` come first, then the published ones; each sorted.
        """
        folder = "*/*" if experiment_name is None else _checked(experiment_name)
        for root in self._roots():
            yield from self._named(root, folder)

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
        """Say whether a run of this store is one of the published ones."""
        return self.published is not None and run.path.is_relative_to(self.published)

    def where(self) -> str:
        """Return the folders that are read, for people."""
        return " on top of ".join(shown(root) for root in self._roots())

    def unpublished_note(self, digests: Collection[str]) -> str:
        """Say how many of the runs with these digests are unpublished; empty where none is."""
        if self.published is None:
            return ""
        own = {path.name: name for name, path in self._named(self.root, "*/*")}
        runs = [self._find(own[digest], digest) for digest in own.keys() & set(digests)]
        n = sum(run is not None and not self.is_published(run) for run in runs)
        are = "is" if n == 1 else "are"
        everything = f"the {len(set(digests))} runs shown"
        return f"{n} of {everything} {are} unpublished, from {shown(self.root)}" if n else ""

    def _roots(self) -> list[Path]:
        return [self.root] if self.published is None else [self.root, self.published]

    @staticmethod
    def _named(root: Path, folder: str) -> Iterator[tuple[str, Path]]:
        for path in sorted(root.glob(f"{folder}/*")):
            name = path.parent.relative_to(root).as_posix()
            if _DIGEST.fullmatch(path.name) and _NAME.fullmatch(name):
                yield name, path

    def _find(
        self, experiment_name: str, digest: str, config: type[Config] | None = None
    ) -> StoredRun | None:
        """Return the intact run on top, or the published one where the two are equal."""
        name = _checked(experiment_name)
        paths = [root / name / digest for root in self._roots()]
        if len(paths) > 1 and _same_result(*paths):
            paths.reverse()
        found = (self._try_read(name, path, config) for path in paths)
        return next((run for run in found if run is not None), None)

    def _try_read(
        self, experiment_name: str, path: Path, config: type[Config] | None
    ) -> StoredRun | None:
        for last_try in (False, True):
            if is_unfinished(path):
                return None
            try:
                run = read_run(experiment_name, path)
                if config is not None and config.digest_of(run.config) != path.name:
                    raise DamagedRunError(f"{path}: config.json is of another run")
                return run
            except DamagedRunError as error:
                # Another process may have finished saving since: look again before warning.
                if last_try and not is_unfinished(path):
                    text = f"ignored a damaged result, it will be recomputed: {error}"
                    warnings.warn(text, stacklevel=4)
        return None


def _checked(experiment_name: str) -> str:
    if not _NAME.fullmatch(experiment_name):
        raise ValueError(f"experiment name {experiment_name!r} is not of the form paper/item")
    return experiment_name


def rows_of(runs: Iterable[StoredRun]) -> pd.DataFrame:
    """Return the rows of runs in one frame, as ``Store.rows`` does of all."""
    frames = []
    for run in runs:
        fields = {f"config_{name}": _scalar(value) for name, value in run.config.items()}
        frames.append(run.rows.assign(**fields, run=run.digest))
    if not frames:
        return pd.DataFrame(columns=[*ROW_COLUMNS, "run"])
    return pd.concat(frames, ignore_index=True)


def _same_result(one: Path, other: Path) -> bool:
    """Say whether two directories hold one result: ``DONE`` has the hashes of all files."""
    try:
        return (one / DONE).read_bytes() == (other / DONE).read_bytes()
    except OSError:
        return False


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


def _scalar(value: Any) -> Any:
    return json.dumps(value, sort_keys=True) if isinstance(value, list | dict) else value
