"""The store: one directory per finished run, named by the digest of its config."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mixflow.experiments.base import ROW_COLUMNS, Config, Result
from mixflow.results import files

# In the order in which they are written; DONE, with their hashes, comes last.
FILES = ("config.json", "rows.csv", "arrays.npz", "provenance.json")
DONE = "DONE"
LOCK = "lock.partial"  # held by the process that computes the run; .gitignore knows the ending
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*/[a-z0-9][a-z0-9.-]*")
_DIGEST = re.compile(r"[0-9a-f]{12}")


class StoreError(OSError):
    """A result could not be written; nothing of it was left behind."""


class DamagedRunError(ValueError):
    """A stored run is cut or altered."""


def find_checkout(start: Path | None = None) -> Path | None:
    """Return the nearest folder upwards that holds ``_config.yml`` and ``book/``, if any."""
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if (folder / "_config.yml").is_file() and (folder / "book").is_dir():
            return folder
    return None


def default_root() -> Path:
    """Return ``$MIXFLOW_RESULTS``, else the checkout's ``book/results``, else a local folder."""
    if named := os.environ.get("MIXFLOW_RESULTS"):
        return Path(named).expanduser()
    checkout = find_checkout()
    return checkout / "book" / "results" if checkout else Path("mixflow-results")


@dataclass(frozen=True, eq=False)
class StoredRun:
    """One finished run, read back.

    Attributes
    ----------
    experiment
        Name of the experiment, ``paper/item``.
    path
        Directory of the run.
    config
        Field name -> value, as stored.
    rows
        Data frame with the columns of ``ROW_COLUMNS``.
    provenance
        What ``mixflow.results.provenance.collect`` recorded.
    """

    experiment: str
    path: Path
    config: dict[str, Any]
    rows: pd.DataFrame
    provenance: dict[str, Any]

    @property
    def digest(self) -> str:
        """The 12 hex digits of the config, which name the directory."""
        return self.path.name

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        """Named arrays, read when first asked for."""
        return files.read_arrays(self.path / "arrays.npz")


class Store:
    """Keep finished runs in ``root/<paper>/<item>/<digest>/``.

    A run counts as there only if its ``DONE`` file is, and every file has the sha256 that
    ``DONE`` names; anything else is ignored with a warning, to be computed again.

    Parameters
    ----------
    root
        Folder of the store; by default ``$MIXFLOW_RESULTS``, else ``book/results`` of the
        checkout around the working directory, else ``./mixflow-results``. It is made when
        the first run is saved.
    """

    def __init__(self, root: str | os.PathLike[str] | None = None) -> None:
        self.root = Path(root) if root is not None else default_root()

    def directory(self, experiment_name: str, config: Config) -> Path:
        """Return where the run of that config is, or would be.

        Raises
        ------
        ValueError
            If the name is not of the form ``paper/item``.
        """
        return self._folder(experiment_name) / config.digest()

    def is_done(self, experiment_name: str, config: Config) -> bool:
        """Say whether the run is there and intact; warn if it is there but damaged."""
        return self._try_read(experiment_name, self.directory(experiment_name, config)) is not None

    def load(self, experiment_name: str, config: Config) -> StoredRun:
        """Return the stored run.

        Raises
        ------
        FileNotFoundError
            If it is not there, or damaged (then with a warning first).
        """
        path = self.directory(experiment_name, config)
        run = self._try_read(experiment_name, path)
        if run is None:
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
            "config.json": files.json_bytes(config.model_dump(mode="json")),
            "rows.csv": files.rows_bytes(result.rows),
            "arrays.npz": files.arrays_bytes(result.arrays),
            "provenance.json": files.json_bytes(dict(provenance)),
        }
        hashes = {name: files.sha256(content) for name, content in contents.items()}
        contents[DONE] = files.json_bytes({"sha256": hashes})
        try:
            path.mkdir(parents=True, exist_ok=True)
            _write_all(path, contents)
        except OSError as error:
            raise _explain(error, path) from error
        return read_run(experiment_name, path)

    def runs(self, experiment_name: str | None = None) -> Iterator[StoredRun]:
        """Yield the intact runs, sorted by path; of one experiment or of all."""
        for name, path in self.directories(experiment_name):
            run = self._try_read(name, path)
            if run is not None:
                yield run

    def directories(self, experiment_name: str | None = None) -> Iterator[tuple[str, Path]]:
        """Yield ``(experiment name, directory)`` of every run, intact or not, sorted."""
        pattern = f"{self._folder(experiment_name).relative_to(self.root)}/*"
        for path in sorted(self.root.glob(pattern)):
            if path.is_dir() and _DIGEST.fullmatch(path.name):
                yield path.parent.relative_to(self.root).as_posix(), path

    def rows(self, experiment_name: str) -> pd.DataFrame:
        """Return all rows of an experiment's finished runs in one frame.

        Returns
        -------
        DataFrame
            The columns of ``ROW_COLUMNS``, then the config's fields as ``config_<name>``
            (lists and tables as JSON text), then ``run``, the digest.
        """
        frames = []
        for run in self.runs(experiment_name):
            fields = {f"config_{name}": _scalar(value) for name, value in run.config.items()}
            frames.append(run.rows.assign(**fields, run=run.digest))
        if not frames:
            return pd.DataFrame(columns=[*ROW_COLUMNS, "run"])
        return pd.concat(frames, ignore_index=True)

    def _folder(self, experiment_name: str | None) -> Path:
        if experiment_name is None:
            return self.root / "*" / "*"
        if not _NAME.fullmatch(experiment_name):
            raise ValueError(f"experiment name {experiment_name!r} is not of the form paper/item")
        return self.root / experiment_name

    def _try_read(self, experiment_name: str, path: Path) -> StoredRun | None:
        for last_try in (False, True):
            if is_unfinished(path):
                return None
            try:
                return read_run(experiment_name, path)
            except DamagedRunError as error:
                # Another process may have finished saving since: look again before warning.
                if last_try and not is_unfinished(path):
                    text = f"ignored a damaged result, it will be recomputed: {error}"
                    warnings.warn(text, stacklevel=3)
        return None


def is_unfinished(path: Path) -> bool:
    """Say whether a run is being computed or saved there, was interrupted, or never began."""
    complete = (path / DONE).exists()
    begun = complete or any((path / name).exists() for name in FILES)
    return not begun or (not complete and (path / LOCK).exists())


def read_run(experiment_name: str, path: Path) -> StoredRun:
    """Read the run in a directory and verify its hashes.

    Raises
    ------
    DamagedRunError
        If a file is missing, cut or altered; the message names it.
    """
    contents = _verified(path)
    try:
        return StoredRun(
            experiment=experiment_name,
            path=path,
            config=json.loads(contents["config.json"]),
            rows=files.parse_rows(contents["rows.csv"]),
            provenance=json.loads(contents["provenance.json"]),
        )
    except ValueError as error:
        raise DamagedRunError(f"{path}: {error}") from error


def _verified(path: Path) -> dict[str, bytes]:
    try:
        expected: dict[str, str] = json.loads((path / DONE).read_bytes())["sha256"]
        contents = {name: (path / name).read_bytes() for name in FILES}
    except FileNotFoundError as error:
        missing = Path(error.filename).name
        raise DamagedRunError(f"{path}: {missing} is missing (cut while saving?)") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedRunError(f"{path}: unreadable ({error})") from None
    for name, content in contents.items():
        found = files.sha256(content)
        if found != expected.get(name):
            raise DamagedRunError(
                f"{path}: {name} has sha256 {found[:12]}..., "
                f"DONE says {str(expected.get(name))[:12]}... (truncated or edited?)"
            )
    return contents


def _write_all(path: Path, contents: Mapping[str, bytes]) -> None:
    # Without DONE the old result is void before the first byte of the new one is written.
    (path / DONE).unlink(missing_ok=True)
    try:
        for name, content in contents.items():
            files.write_atomically(path / name, content)
    except OSError:
        for name in contents:
            with contextlib.suppress(OSError):
                (path / name).unlink(missing_ok=True)
        raise


def _explain(error: OSError, path: Path) -> StoreError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        remedy = "no space left on the disk; free some, or choose another with --results"
    else:
        remedy = f"{error.strerror or error}; choose a writable folder with --results"
    return StoreError(
        f"could not store the result in {path}: {remedy}. The same command continues "
        "from the last checkpoint where there is one"
    )


def _scalar(value: Any) -> Any:
    return json.dumps(value, sort_keys=True) if isinstance(value, list | dict) else value
