"""What callers give, checked in one place: an error names the argument, and says where.

Lists, tuples, data frames, series and tensors, on any device and with a gradient, are taken as
the arrays that they hold. scikit-learn's ``check_array`` is not used: it keeps the values of a
masked array without its mask, reads numbers out of text, and does not say which value is NaN.
"""

from __future__ import annotations

import datetime
import math
import numbers
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Real = NDArray[np.float64]
# By how much probabilities may sum to something else than 1: they often come in single precision.
TOLERANCE = 1e-4
TO_PROBABILITIES = "softmax of logits or exp of log probabilities"
DATES = (datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64)
TO_LOG_PROBABILITIES = "log_softmax of logits or log of probabilities"


# Arrays ------------------------------------------------------------------------------------------


def as_array(values: Any, name: str) -> NDArray:
    """Return any array-like as an array, its values as they are.

    Raises
    ------
    ValueError
        Masked values, sparse or ragged arrays, and what is no array at all.
    """
    refuse_masks(values, name)
    try:
        array = np.asarray(unwrapped(values))
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{name} cannot be read as an array: {error}") from error
    if array.dtype == object and array.ndim == 0:
        raise ValueError(f"{name} must be an array, got {type(values).__name__}")
    return array


def refuse_masks(values: Any, name: str) -> None:
    """Raise ``ValueError`` for arrays with masked values, also where a list holds them."""
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise ValueError(
            f"{name} has masked values, which would be read as if they were not masked; leave "
            "those samples out first"
        )
    if _holds_arrays(values):
        for value in values:
            refuse_masks(value, name)


def unwrapped(values: Any) -> Any:
    """Return tensors, and lists of them, as arrays; other values as they are."""
    if hasattr(values, "detach"):  # a tensor; numpy knows no bfloat16
        values = values.detach().cpu()
        return (values.double() if values.is_floating_point() else values).numpy()
    return list(map(unwrapped, values)) if _holds_arrays(values) else values


def refuse_dates(values: Any, name: str) -> None:
    """Raise ``ValueError`` for dates and times: an array of them, or a data frame's column."""
    if isinstance(values, list | tuple):
        row = isinstance(next(iter(values), None), list | tuple)
        for value in values[0] if row else values[:1]:
            refuse_dates(value, name)
    columns = getattr(values, "columns", None)
    kinds: list[Any] = [getattr(values, "dtype", None)]
    if columns is not None:
        kinds = list(getattr(values, "dtypes", ()))
    dated = [i for i, kind in enumerate(kinds) if _is_date(kind)]
    if dated or isinstance(values, DATES):
        where = "" if columns is None else f" in column {columns[dated[0]]!r}"
        raise ValueError(
            f"{name} holds dates or times{where}, whose numbers depend on their unit; turn them "
            "into numbers first, such as days since the first"
        )


def _is_date(dtype: Any) -> bool:
    # Of polars' types only the names say it.
    named = str(dtype).startswith(("Date", "Time", "Duration"))
    return named or getattr(dtype, "kind", "") in ("M", "m")


def _holds_arrays(values: Any) -> bool:
    """Say whether values are a list of lists, of tensors or of masked arrays."""
    return isinstance(values, list | tuple) and any(
        issubclass(kind, list | tuple | np.ma.MaskedArray) or hasattr(kind, "detach")
        for kind in set(map(type, values))
    )


def as_floats(values: ArrayLike, name: str) -> Real:
    """Return real numbers of any shape as float64, without a copy of what is float64 already.

    Raises
    ------
    ValueError
        Text, complex numbers, dates, missing values that are not NaN, and as :func:`as_array`.
    """
    array = as_array(values, name)
    text = array.dtype == object and any(isinstance(value, str | bytes) for value in array.flat)
    if text or array.dtype.kind not in "biufO":
        raise ValueError(f"{name} must hold real numbers, got {'text' if text else array.dtype}")
    try:
        return array.astype(np.float64, copy=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must hold real numbers only: {error}") from error


def check_shape(array: NDArray, name: str, axes: str, at_least: int = 1) -> None:
    """Raise ``ValueError`` unless the array has such axes, for instance "N C".

    None may be empty, and the first needs ``at_least`` entries.
    """
    letters = axes.split()
    wanted = f"({', '.join(letters)}{',' if len(letters) == 1 else ''})"
    if array.ndim != len(letters):
        raise ValueError(f"{name} must have shape {wanted}, got {array.shape}")
    if len(array) < at_least or array.size == 0:
        raise ValueError(
            f"{name} must have shape {wanted} with {letters[0]} >= {at_least}, got {array.shape}"
        )


def check_finite(array: Real, name: str) -> None:
    """Raise ``ValueError`` for NaN or infinity, in one pass where there is none."""
    with np.errstate(over="ignore", invalid="ignore"):
        total = array.sum()
    if not math.isfinite(total):  # or finite values whose sum is not
        refuse(~np.isfinite(array), name, "NaN or infinity")


def refuse(bad: Any, name: str, what: str) -> None:
    """Raise ``ValueError`` with the number of bad entries and the index of the first, if any."""
    if bad.any():
        first = ", ".join(map(str, np.argwhere(bad)[0]))
        raise ValueError(
            f"{name} holds {what} in {bad.sum()} of {bad.size} entries, the first at [{first}]"
        )


def as_real(values: ArrayLike, name: str, axes: str, at_least: int = 1) -> Real:
    """Return finite real numbers with such axes as float64.

    Raises
    ------
    ValueError
        As :func:`as_floats`, :func:`check_shape` and :func:`check_finite`.
    """
    array = as_floats(values, name)
    check_shape(array, name, axes, at_least)
    check_finite(array, name)
    return array


def as_log_densities(values: ArrayLike, name: str, axes: str | None = None) -> Real:
    """Return numbers below infinity, -inf among them, as float64; any shape unless given.

    Raises
    ------
    ValueError
        NaN or +inf, no number at all, and as :func:`as_real`.
    """
    array = as_floats(values, name)
    if axes is not None:
        check_shape(array, name, axes)
    elif array.size == 0:
        raise ValueError(f"{name} is empty")
    if not array.max() < math.inf:  # NaN is the largest there is
        refuse(~(array < math.inf), name, "NaN or +infinity")
    return array


# Samples of a kind -------------------------------------------------------------------------------


def as_features(values: ArrayLike, name: str) -> Real:
    """Return features of two samples or more, (N, F), finite.

    Raises
    ------
    ValueError
        As :func:`as_real`.
    """
    return as_real(values, name, "N F", at_least=2)


def pair(real: ArrayLike, generated: ArrayLike) -> tuple[Real, Real]:
    """Return features of real and generated samples, (N, F) and (M, F).

    Raises
    ------
    ValueError
        As :func:`as_features`, and for widths that differ.
    """
    x, y = as_features(real, "real"), as_features(generated, "generated")
    if x.shape[1] != y.shape[1]:
        raise ValueError(
            f"real and generated need equally many features, got {x.shape} and {y.shape}; take "
            "them from the same network"
        )
    return x, y


def as_probabilities(values: ArrayLike, name: str, axes: str = "N C", at_least: int = 1) -> Real:
    """Return lines of probabilities, each of which sums to 1 within ``TOLERANCE``.

    Raises
    ------
    ValueError
        NaN, a negative number, a line with another sum, and as :func:`as_real`.
    """
    p = as_floats(values, name)
    check_shape(p, name, axes, at_least)
    with np.errstate(invalid="ignore"):
        off = np.abs(np.einsum("...j->...", p) - 1)
    if not (off.max() <= TOLERANCE and p.min() >= 0):  # so too with NaN and infinity
        check_finite(p, name)
        refuse(p < 0, name, f"negative numbers, which need the {TO_PROBABILITIES},")
        n, worst = int((off > TOLERANCE).sum()), float(off.flat[off.argmax()])
        raise ValueError(
            f"{name} must sum to 1 in every line, and {n} of {off.size} do not, by up to "
            f"{worst:.3g}; take the {TO_PROBABILITIES}"
        )
    return p


def as_log_probabilities(values: ArrayLike, name: str) -> Real:
    """Return logs of class probabilities, (N, C), none above 0; -inf is a probability of 0.

    Raises
    ------
    ValueError
        NaN, a logarithm above 0, a line of nothing but -inf, and as :func:`as_log_densities`.
    """
    log_p = as_log_densities(values, name, "N C")
    if log_p.max() > TOLERANCE:
        refuse(log_p > TOLERANCE, name, f"numbers above 0, which need {TO_LOG_PROBABILITIES},")
    if log_p.min() == -math.inf:
        refuse(np.isneginf(log_p).all(axis=1), name, "no possible class")
    return log_p


# Labels ------------------------------------------------------------------------------------------


def as_labels(values: ArrayLike, name: str, n: int | None = None) -> NDArray:
    """Return labels (N,): numbers, text or truth values, all of a kind and none missing.

    Raises
    ------
    ValueError
        Anything else, and other than n labels where n is given.
    """
    array = as_array(values, name)
    check_shape(array, name, "N")
    check_length(array, name, n)
    if array.dtype == object:
        array = _of_one_kind(array, name)
    if array.dtype.kind not in "biufUS":
        raise ValueError(f"{name} must hold numbers or text, got {array.dtype}")
    if array.dtype.kind == "f":
        refuse(~np.isfinite(array), name, "NaN or infinity")
    return array


def _of_one_kind(array: NDArray, name: str) -> NDArray:
    """Return an array of Python objects, (N,), as one of text or of numbers."""
    kinds = set(map(type, array))
    if all(issubclass(kind, str) for kind in kinds):
        return array.astype(str)
    if all(issubclass(kind, numbers.Real | np.bool_) for kind in kinds):
        return np.array(array.tolist())
    found = ", ".join(sorted(kind.__name__ for kind in kinds))
    raise ValueError(f"{name} must hold labels of one kind, none missing, got {found}")


def check_length(array: NDArray, name: str, n: int | None) -> None:
    """Raise ``ValueError`` unless there are n entries, where n is given."""
    if n is not None and len(array) != n:
        raise ValueError(f"{name} must have one entry for each of {n} samples, got {len(array)}")


def as_whole_numbers(
    values: ArrayLike, name: str, n: int | None, low: int, high: float = math.inf
) -> NDArray[np.integer]:
    """Return whole numbers (N,) from low to high; truth values are 0 and 1.

    Raises
    ------
    ValueError
        Other numbers, text, and as :func:`as_labels`.
    """
    array = as_labels(values, name, n)
    if array.dtype.kind not in "biu":
        raise ValueError(f"{name} must hold whole numbers, got {array.dtype}")
    array = array.astype(np.int64) if array.dtype.kind == "b" else array
    if array.min() < low or array.max() > high:
        refuse((array < low) | (array > high), name, f"numbers outside {low} ... {high}")
    return array


# Settings ----------------------------------------------------------------------------------------


def check_whole(name: str, value: Any, low: int, high: float = math.inf) -> None:
    """Raise ``ValueError`` unless the value is a whole number in low ... high."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise ValueError(f"{name} must be a whole number, got {value!r}")
    if not low <= int(value) <= high:
        wanted = f"be at least {low}" if high == math.inf else f"lie in {low} ... {high} here"
        raise ValueError(f"{name} must {wanted}, got {value!r}")


def check_between(name: str, value: Any, low: float, high: float) -> None:
    """Raise ``ValueError`` unless the value is a number greater than low and less than high."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise ValueError(f"{name} must be a number, got {value!r}")
    if not low < float(value) < high:
        raise ValueError(f"{name} must lie between {low:g} and {high:g}, got {value!r}")
