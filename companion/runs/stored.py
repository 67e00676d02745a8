"""One finished run: its files, and how they are read back whoever touched them since."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Sequence
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
DONE = "DONE"
LOCK = "lock.partial"  # held by the process that computes the run; .gitignore knows the ending
CHECKPOINT = "checkpoint"  # folder of what an interrupted run goes on from


class StoreError(OSError):
    """A result could not be written; nothing of it was left behind."""


class DamagedRunError(ValueError):
    """A stored run is cut or altered, or no run at all."""


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
        What ``companion.runs.provenance.collect`` recorded.
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
        """Named arrays, read when first asked for.

        Raises
        ------
        DamagedRunError
            If they cannot be read.
        """
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


def read_run(experiment_name: str, path: Path) -> StoredRun:
    """Read the run in a directory and verify its hashes.

    Raises
    ------
    DamagedRunError
        If a file is missing, cut or altered, or holds something else than it should; the
        message names it.
    """
    contents = verified(path)
    try:
        return StoredRun(
            experiment=experiment_name,
            path=path,
            config=parsed_config(contents["config.json"]),
            rows=formats.parse_rows(contents["rows.csv"]),
            provenance=parsed_table(contents["provenance.json"], "provenance.json"),
        )
    except (ValueError, OverflowError) as error:
        raise DamagedRunError(f"{path}: {error}") from error


def verified(path: Path, names: Sequence[str] = FILES) -> dict[str, bytes]:
    """Return the contents of a run's files, and of ``DONE``, after checking their hashes.

    Raises
    ------
    DamagedRunError
        As for ``read_run``.
    """
    try:
        done = (path / DONE).read_bytes()
        expected = parsed_table(parsed_table(done, DONE).get("sha256"), f"{DONE}'s sha256")
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
    return {**contents, DONE: done}


def parsed_config(content: bytes) -> dict[str, Any]:
    """Return the config of a run; ``ValueError`` if it is none."""
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
