"""Rows of many runs in one data frame, with the configs as columns."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from companion.runs import formats
from companion.runs.stored import StoredRun

_ABSENT = object()


def rows_of(runs: Iterable[StoredRun]) -> pd.DataFrame:
    """Return the rows of runs in one frame, as ``Store.rows`` does of all."""
    known = list(runs)
    rows = formats.Columns.joined(run.columns for run in known).frame()
    order = np.repeat(np.arange(len(known)), np.array([len(run.columns) for run in known], int))
    fields = [_fields(run) for run in known] or [{"run": _ABSENT}]
    # As pandas orders the columns of frames that it puts together.
    names = dict.fromkeys(name for of in fields for name in of)
    values = {name: [of.get(name, _ABSENT) for of in fields] for name in names}
    columns = {name: _column(of, order) for name, of in values.items()}
    return pd.concat([rows, pd.DataFrame(columns)], axis=1)


def _fields(run: StoredRun) -> dict[str, Any]:
    named = {f"config_{name}": _scalar(value) for name, value in run.config.items()}
    return {**named, "run": run.digest}


def _column(values: list[Any], order: np.ndarray) -> pd.Series:
    """Return a column of the values in that order, of the type that pandas gives it."""
    one_each = {type(value): value for value in values}
    if len(one_each) < 2:
        column = pd.Series(values)
    else:  # such as numbers beside None: as if frames with one of them each were put together
        frames = [
            pd.DataFrame({0: [v]} if v is not _ABSENT else {"": [0]}) for v in one_each.values()
        ]
        found = [np.nan if value is _ABSENT else value for value in values]
        column = pd.Series(found, dtype=pd.concat(frames)[0].dtype)
    return column.take(order).reset_index(drop=True)


def _scalar(value: Any) -> Any:
    return json.dumps(value, sort_keys=True) if isinstance(value, list | dict) else value
