"""NumPy arrays or torch tensors: what goes in comes out."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray | Tensor


def numpy_or_torch(function: Callable[..., Tensor]) -> Callable[..., Any]:
    """Let a function on tensors take NumPy arrays too.

    Arrays are wrapped without a copy. The result is a tensor when an argument was one, and
    arrays then follow it to its device; otherwise it is an array.
    """

    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        tensors = [a for a in (*args, *kwargs.values()) if isinstance(a, Tensor)]
        device = tensors[0].device if tensors else torch.device("cpu")
        result = function(
            *(_tensor(a, device) for a in args),
            **{name: _tensor(a, device) for name, a in kwargs.items()},
        )
        return result if tensors else result.numpy()

    return wrapper


def _tensor(value: Any, device: torch.device) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    value = np.ascontiguousarray(value)
    if not value.flags.writeable:
        value = value.copy()  # torch would warn of a tensor that must not be written to
    return torch.from_numpy(value).to(device)


def floating(x: Tensor) -> Tensor:
    """Return whole numbers as float64 and leave floating point alone."""
    return x if x.is_floating_point() else x.double()


def per_feature(value: Any, like: Tensor) -> Tensor:
    """Return a number or one per feature as a column, (1, 1) or (D, 1), like another tensor."""
    return torch.as_tensor(value, dtype=like.dtype, device=like.device).reshape(-1, 1)


def blocks(n_rows: int, numbers_per_row: int, at_most: int = 1 << 22) -> list[slice]:
    """Cut rows into slices of at most so many numbers (one row at least)."""
    size = max(1, at_most // max(1, numbers_per_row))
    return [slice(start, min(start + size, n_rows)) for start in range(0, n_rows, size)]
