"""Bytes of the stored files: equal content gives equal bytes."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from companion.runs.result import ROW_COLUMNS

_TEXT_COLUMNS = tuple(name for name in ROW_COLUMNS if name not in ("seed", "value"))
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first date a zip archive can hold


def sha256(content: bytes) -> str:
    """Return the sha256 of the bytes in hex."""
    return hashlib.sha256(content).hexdigest()


def json_bytes(value: Any) -> bytes:
    """Return sorted, indented JSON with a newline at the end."""
    return (json.dumps(value, sort_keys=True, indent=1) + "\n").encode()


def rows_bytes(rows: pd.DataFrame) -> bytes:
    """Return the rows as CSV; floats in the shortest form that reads back equal.

    Raises
    ------
    ValueError
        If a seed is no integer or a value no number.
    """
    table = rows.loc[:, list(ROW_COLUMNS)].copy()
    for name in _TEXT_COLUMNS:
        table[name] = ["" if pd.isna(text) else str(text) for text in table[name]]
    try:
        table["seed"] = [_integer(seed) for seed in table["seed"]]
        table["value"] = [float(value) for value in table["value"]]
    except (TypeError, ValueError) as error:
        raise ValueError(f"rows need integer seeds and numeric values: {error}") from error
    text: str = table.to_csv(index=False, na_rep="nan", lineterminator="\n")
    return text.encode()


def _integer(value: Any) -> int:
    if isinstance(value, bool | np.bool_) or int(value) != value:
        raise ValueError(f"seed {value!r} is no integer")
    return int(value)


@dataclass(frozen=True, eq=False)
class Columns:
    """The rows of one run, a list for each of ``ROW_COLUMNS``; no data frame before one is wanted.

    Attributes
    ----------
    dataset, model, setting, metric
        Texts.
    seed
        Whole numbers.
    value
        Numbers.
    """

    dataset: list[str]
    model: list[str]
    setting: list[str]
    seed: list[int]
    metric: list[str]
    value: list[float]

    def __len__(self) -> int:
        return len(self.value)

    @classmethod
    def joined(cls, several: Iterable[Columns]) -> Columns:
        """Return the rows of several runs, one after the other."""
        parts = list(several)
        return cls(*([x for part in parts for x in getattr(part, name)] for name in ROW_COLUMNS))

    def frame(self) -> pd.DataFrame:
        """Return them as a data frame."""
        arrays = {name: pd.array(getattr(self, name), dtype="str") for name in _TEXT_COLUMNS}
        numbers = {"seed": np.array(self.seed, np.int64), "value": np.array(self.value, np.float64)}
        return pd.DataFrame({name: (arrays | numbers)[name] for name in ROW_COLUMNS})


def parse_columns(content: bytes) -> Columns:
    """Read rows back from CSV bytes, without pandas.

    Raises
    ------
    ValueError
        If the columns are not ``ROW_COLUMNS`` or a cell does not parse.
    """
    try:
        lines = list(csv.reader(io.StringIO(content.decode(), newline="")))
        header = lines[0] if lines else []
        if tuple(header) != ROW_COLUMNS:
            raise ValueError(f"columns are {header}; expected {list(ROW_COLUMNS)}")
        texts = [list(column) for column in zip(*lines, strict=True)]
    except csv.Error as error:
        raise ValueError(f"no CSV: {error}") from None
    dataset, model, setting, seed, metric, value = (column[1:] for column in texts)
    seeds = np.array([int(text) for text in seed], np.int64).tolist()  # none is larger
    return Columns(dataset, model, setting, seeds, metric, [float(text) for text in value])


def parse_rows(content: bytes) -> pd.DataFrame:
    """Read rows back from CSV bytes as a data frame; raises as ``parse_columns`` does."""
    return parse_columns(content).frame()


def npy_bytes(name: str, array: np.ndarray) -> bytes:
    """Return an array as the content of a ``.npy`` file.

    Raises
    ------
    ValueError
        If it holds Python objects: reading those back would execute code.
    """
    array = np.asanyarray(array)
    if array.dtype.hasobject:
        raise ValueError(f"array {name!r} has dtype object; store numbers or strings")
    content = io.BytesIO()
    np.lib.format.write_array(content, array, allow_pickle=False)
    return content.getvalue()


def parse_npy(content: bytes) -> np.ndarray:
    """Return the array in the content of a ``.npy`` file; never unpickles."""
    array: np.ndarray = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    return array


def npz_bytes(contents: Mapping[str, bytes]) -> bytes:
    """Return contents of ``.npy`` files as one ``.npz``, with sorted names and a fixed date."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(contents):
            member = zipfile.ZipInfo(f"{name}.npy", date_time=_ZIP_EPOCH)
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, contents[name])
    return stream.getvalue()


def arrays_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return the arrays as ``.npz``; raises as ``npy_bytes`` does."""
    return npz_bytes({name: npy_bytes(name, array) for name, array in arrays.items()})


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read all arrays of an ``.npz``; never unpickles."""
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}
