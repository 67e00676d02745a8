"""Checks of numbers that callers give; each returns what it checked."""

from __future__ import annotations

import math
import numbers


def finite(name: str, value: float) -> float:
    """Return a finite number."""
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not number or not math.isfinite(value):
        raise ValueError(f"{name} must be a finite number, got {value!r}")
    return float(value)


def size(name: str, value: float) -> float:
    """Return a finite number that is not negative."""
    if finite(name, value) < 0:
        raise ValueError(f"{name} must not be negative, got {value!r}")
    return float(value)


def positive(name: str, value: float) -> float:
    """Return a finite number above 0."""
    if finite(name, value) <= 0:
        raise ValueError(f"{name} must be positive for a density, got {value!r}")
    return float(value)


def count(name: str, value: int) -> int:
    """Return a whole number of at least 1."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or value < 1:
        raise ValueError(f"{name} must be a whole number >= 1, got {value!r}")
    return int(value)
