"""One finished run, wherever it lies, and how it is read back whoever touched it since."""

from __future__ import annotations

import hashlib
import os
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from companion.runs import formats
from mixflow.files import out_of_space, parse_json

# In the order in which they are written; DONE, with their hashes, comes last.
FILES = ("config.json", "rows.csv", "arrays.npz", "provenance.json")
SMALL = tuple(name for name in FILES if name != "arrays.npz")
DONE = "DONE"
LOCK = "lock.partial"  # held by the process that computes the run; .gitignore knows the ending
CHECKPOINT = "checkpoint"  # folder of what an interrupted run goes on from


class StoreError(OSError):
    """A result could not be written; nothing of it was left behind."""


class DamagedRunError(ValueError):
    """A stored run is cut or altered, or no run at all."""


@dataclass(frozen=True)
class Record:
    """What a run says, without data frames and arrays.

    Attributes
    ----------
    config, provenance
        As stored.
    rows
        CSV with the columns of ``ROW_COLUMNS``.
    """

    config: dict[str, Any]
    provenance: dict[str, Any]
    rows: bytes


@dataclass(frozen=True)
class Place(ABC):
    """Where one run lies; it is read when asked for.

    Attributes
    ----------
    experiment
        Name of the experiment, ``paper/item``.
    path
        The run's directory, or the table that lists it.
    """

    experiment: str
    path: Path

    @property
    @abstractmethod
    def digest(self) -> str:
        """The 12 hex digits of the config, which name the run."""

    @property
    @abstractmethod
    def is_unfinished(self) -> bool:
        """Whether a run is being computed or saved there, was interrupted, or never began."""

    @abstractmethod
    def signature(self) -> dict[str, Any] | None:
        """Return file -> sha256 of the whole result; None where it cannot be read."""

    @abstractmethod
    def record(self) -> Record:
        """Return what the run says; raises ``DamagedRunError`` where that is not what was saved."""

    @abstractmethod
    def arrays(self) -> Mapping[str, np.ndarray]:
        """Return the arrays by name; what cannot be read raises ``DamagedRunError``."""

    def read(self) -> StoredRun:
        """Return the run.

        Raises
        ------
        DamagedRunError
            If a part of it is missing, cut or altered, or holds something else than it should;
            the message names it.
        """
        record = self.record()
        try:
            columns = formats.parse_columns(record.rows)
        except (ValueError, OverflowError) as error:
            raise DamagedRunError(f"{self}: rows: {error}") from error
        return StoredRun(self, record.config, columns, record.provenance)

    def verify(self) -> None:
        """Read everything of the run that is there; raises as ``read`` does."""
        self.read()

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, eq=False)
class StoredRun:
    """One finished run, read back.

    Attributes
    ----------
    place
        Where it lies.
    config
        Field name -> value, as stored.
    columns
        Its rows, as they are.
    provenance
        What ``companion.runs.provenance.collect`` recorded.
    """

    place: Place
    config: dict[str, Any]
    columns: formats.Columns
    provenance: dict[str, Any]

    @property
    def experiment(self) -> str:
        """Name of the experiment, ``paper/item``."""
        return self.place.experiment

    @property
    def path(self) -> Path:
        """Directory of the run, or the table that lists it."""
        return self.place.path

    @property
    def digest(self) -> str:
        """The 12 hex digits of the config, which name the run."""
        return self.place.digest

    @cached_property
    def rows(self) -> pd.DataFrame:
        """Data frame with the columns of ``ROW_COLUMNS``."""
        return self.columns.frame()

    @cached_property
    def arrays(self) -> Mapping[str, np.ndarray]:
        """Named arrays, read when first asked for; of a published run, those that are published.

        Raises
        ------
        DamagedRunError
            If they cannot be read.
        """
        return self.place.arrays()


@dataclass(frozen=True)
class RunDirectory(Place):
    """A run in a directory of its own, named by its digest: one of a working store."""

    @property
    def digest(self) -> str:
        """The name of the directory."""
        return self.path.name

    @property
    def is_unfinished(self) -> bool:
        """Whether ``DONE`` is not there yet."""
        return is_unfinished(self.path)

    def signature(self) -> dict[str, Any] | None:
        """Return what ``DONE`` says."""
        try:
            return _hashes((self.path / DONE).read_bytes())
        except (OSError, ValueError):
            return None

    def record(self) -> Record:
        """Return the small files, after checking their hashes."""
        contents = verified(self.path, SMALL)
        try:
            config = parsed_config(contents["config.json"])
            provenance = parsed_table(contents["provenance.json"], "provenance.json")
        except (ValueError, OverflowError) as error:
            raise DamagedRunError(f"{self.path}: {error}") from error
        return Record(config, provenance, contents["rows.csv"])

    def read(self) -> StoredRun:
        """Return the run, after checking the hashes of all files."""
        verified(self.path, ("arrays.npz",))
        return super().read()

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all arrays."""
        try:
            return formats.read_arrays(self.path / "arrays.npz")
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise DamagedRunError(f"{self.path}: arrays.npz: {error}") from error


def is_unfinished(path: Path) -> bool:
    """Say whether a run is being computed or saved there, was interrupted, or never began."""
    try:
        there = set(os.listdir(path))
    except OSError:
        return not os.path.lexists(path)  # of what is there, reading says what is wrong
    begun = not there.isdisjoint({DONE, *FILES})
    return not begun or (DONE not in there and LOCK in there)


def verified(path: Path, names: Sequence[str] = FILES) -> dict[str, bytes]:
    """Return the contents of a run's files after checking their hashes.

    Raises
    ------
    DamagedRunError
        As for ``Place.read``.
    """
    try:
        done = (path / DONE).read_bytes()
        expected = _hashes(done)
        contents = {name: (path / name).read_bytes() for name in names}
    except FileNotFoundError as error:
        missing = Path(error.filename).name
        raise DamagedRunError(f"{path}: {missing} is missing (cut while saving?)") from None
    except OSError as error:
        name = Path(error.filename or path).name
        raise DamagedRunError(f"{path}: unreadable ({name}: {error.strerror})") from None
    except ValueError as error:
        raise DamagedRunError(f"{path}: unreadable ({error})") from None
    for name, content in contents.items():
        found = hashlib.sha256(content).hexdigest()
        if found != expected.get(name):
            raise DamagedRunError(
                f"{path}: {name} has sha256 {found[:12]}..., "
                f"DONE says {str(expected.get(name))[:12]}... (truncated or edited?)"
            )
    return contents


def _hashes(done: bytes) -> dict[str, Any]:
    return parsed_table(parsed_table(done, DONE).get("sha256"), f"{DONE}'s sha256")


def parsed_config(content: Any) -> dict[str, Any]:
    """Return the config of a run, of its bytes or parsed; ``ValueError`` if it is none."""
    config = parsed_table(content, "config.json")
    profile, seed = config.get("profile"), config.get("seed")
    if not (isinstance(profile, str) and type(seed) is int):
        raise ValueError(f"config.json has profile {profile!r} and seed {seed!r}")
    return config


def parsed_table(value: Any, name: str) -> dict[str, Any]:
    """Return a JSON object, of its bytes or parsed; ``ValueError`` if it is something else."""
    parsed = parse_json(value) if isinstance(value, bytes) else value
    if not isinstance(parsed, dict):
        raise ValueError(f"{name} holds no table of names and values")
    return parsed


def not_written(path: Path, error: Exception) -> StoreError:
    """Return the error to raise when a result or a checkpoint could not be written."""
    if out_of_space(error):
        remedy = "no space left on the disk; free some, or choose another with --results"
    else:
        reason = getattr(error, "strerror", None) or error
        remedy = f"{reason}; choose a writable folder with --results"
    return StoreError(
        f"could not store the result in {path}: {remedy}. The same command continues "
        "from the last checkpoint where there is one"
    )
