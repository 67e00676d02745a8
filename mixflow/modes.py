"""What a caller and other threads have set, and what is computed: neither disturbs the other."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

INSIDE = ("mixflow", "sklearn", "contextlib")
_FILTERS = threading.Lock()


@contextmanager
def own_modes(*, grad: bool) -> Iterator[None]:
    """Compute as outside of all of torch's modes: no inference mode, no autocast.

    Also a decorator. The modes are those of this thread, and they are as before afterwards. The
    default dtype belongs to all threads and the default device slows every call: neither is
    touched, and nothing in the library relies on them.

    Parameters
    ----------
    grad
        Whether gradients are recorded.
    """
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.set_grad_enabled(grad))
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield


def warn_caller(message: str) -> None:
    """Warn at the line, outside of the library and of scikit-learn, that led here."""
    level, frame = 2, sys._getframe(1)  # 1 is this function
    while frame.f_back and frame.f_globals.get("__name__", "").split(".")[0] in INSIDE:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, stacklevel=level)


@contextmanager
def without(category: type[Warning]) -> Iterator[None]:
    """Ignore warnings of a category.

    Filters belong to all threads, and who restores them last decides how they stay: one thread at a
    time.
    """
    with _FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore", category)
        yield
