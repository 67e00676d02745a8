"""Bytes of the stored files: equal content gives equal bytes."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
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


def parse_rows(content: bytes) -> pd.DataFrame:
    """Read rows back from CSV bytes.

    Raises
    ------
    ValueError
        If the columns are not ``ROW_COLUMNS`` or a cell does not parse.
    """
    rows = pd.read_csv(
        io.BytesIO(content),
        dtype={**dict.fromkeys(ROW_COLUMNS, "str"), "seed": "int64"},
        keep_default_na=False,  # a model may be called "NA" or "None"
    )
    if tuple(rows.columns) != ROW_COLUMNS:
        raise ValueError(f"columns are {list(rows.columns)}; expected {list(ROW_COLUMNS)}")
    # Python's float reads the shortest form back exactly; not every parser of pandas does.
    return rows.assign(value=np.array([float(text) for text in rows["value"]], dtype=np.float64))


def arrays_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return the arrays as ``.npz`` with sorted names and a fixed date.

    Raises
    ------
    ValueError
        If an array holds Python objects: reading those back would execute code.
    """
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(arrays):
            array = np.asanyarray(arrays[name])
            if array.dtype.hasobject:
                raise ValueError(f"array {name!r} has dtype object; store numbers or strings")
            content = io.BytesIO()
            np.lib.format.write_array(content, array, allow_pickle=False)
            member = zipfile.ZipInfo(f"{name}.npy", date_time=_ZIP_EPOCH)
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, content.getvalue())
    return stream.getvalue()


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read all arrays of an ``.npz``; never unpickles."""
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}
