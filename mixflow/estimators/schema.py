"""What a saved model must be: its names, shapes and sizes, and finite numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

# What building a module may need beside the tensors in its file: numbers at once, operations each.
SLACK, OPERATIONS = 10**6, 200


def check_names(what: str, found: Iterable[str], expected: Iterable[str]) -> None:
    """Raise ``ValueError`` with the names that are missing, or unknown.

    Examples
    --------
    >>> check_names("parameter", ["a", "c"], ["a", "b"])
    Traceback (most recent call last):
    ValueError: it lacks the parameter 'b'
    """
    found, expected = set(found), set(expected)
    for names, verdict in ((expected - found, "lacks"), (found - expected, "has an unknown")):
        if names:
            first, article = sorted(names)[0], "the " if verdict == "lacks" else ""
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise ValueError(f"it {verdict} {article}{what} {first!r}{more}")


def check_axes(arrays: Mapping[str, Any], axes: Mapping[str, str], sizes: dict[str, int]) -> None:
    """Check the shapes of arrays, named such as "C D", and that their numbers are finite.

    Parameters
    ----------
    arrays
        Arrays or tensors by name.
    axes
        The letters of each one's axes; a digit is itself.
    sizes
        Lengths that are known; those of other letters follow from the first array that has them.

    Raises
    ------
    ValueError
        Another shape than the letters say, NaN or infinity.
    """
    for name, letters in axes.items():
        check_names("array", set(arrays) & {name}, [name])
        shape = tuple(arrays[name].shape)
        named = letters.split()
        if len(shape) == len(named):
            for letter, length in zip(named, shape, strict=True):
                sizes.setdefault(letter, int(letter) if letter.isdigit() else length)
        expected = tuple(sizes.get(letter, letter) for letter in named)
        if shape != expected:
            raise ValueError(f"{name} has shape {shape} where the rest asks for {expected}")
        check_finite(name, arrays[name])


def check_finite(name: str, values: Any) -> None:
    """Raise ``ValueError`` unless all numbers are finite; text passes."""
    if isinstance(values, Tensor):
        finite = bool(values.isfinite().all())
    else:
        finite = values.dtype.kind not in "fc" or bool(np.isfinite(values).all())
    if not finite:
        raise ValueError(f"{name} has NaN or infinity")


def fill(module: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Load tensors into a module that has just such ones.

    Raises
    ------
    ValueError
        Other names or shapes, NaN or infinity.
    """
    state = module.state_dict()
    check_names("tensor", tensors, state)
    for name, tensor in tensors.items():
        if tensor.shape != state[name].shape:
            raise ValueError(
                f"the tensor {name!r} has shape {tuple(tensor.shape)} where the parameters ask "
                f"for {tuple(state[name].shape)}"
            )
        check_finite(f"the tensor {name!r}", tensor)
    module.load_state_dict(tensors)


class Budget(TorchDispatchMode):
    """Let nothing larger be built than the tensors that are there to fill it.

    Parameters
    ----------
    tensors
        What a file holds. Parameters that ask for far more, in one tensor or in many, raise
        ``ValueError`` before memory is touched.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.numbers = SLACK + sum(t.numel() for t in tensors.values())
        self.operations = OPERATIONS * (10 + len(tensors))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Look at the sizes that an operation is given, and run it."""
        self.operations -= 1
        shapes = [a for a in args if isinstance(a, list | tuple)]
        asked = max((_numbers(shape) for shape in shapes), default=0)
        if asked > self.numbers or self.operations < 0:
            raise ValueError("its parameters ask for a larger model than its tensors can fill")
        return func(*args, **(kwargs or {}))


def _numbers(shape: Any) -> int:
    return math.prod(shape) if all(type(n) is int for n in shape) else 0
