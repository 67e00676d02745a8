"""Where results lie: those that are published with the book, and those of whoever works here."""

from __future__ import annotations

import os
from pathlib import Path

RESULTS_VARIABLE = "MIXFLOW_RESULTS"
PUBLISHED = Path("book", "results")  # below a checkout; kept by git
WORKING = Path("results")  # below a checkout; ignored by git


def find_checkout(start: Path | None = None) -> Path | None:
    """Return the nearest folder upwards that holds ``_config.yml`` and ``book/``, if any."""
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if (folder / "_config.yml").is_file() and (folder / "book").is_dir():
            return folder
    return None


def working_root() -> Path:
    """Return where runs are written: ``$MIXFLOW_RESULTS``, else ``results`` of the checkout.

    Outside a checkout it is ``./results``.
    """
    if named := os.environ.get(RESULTS_VARIABLE, "").strip():
        return Path(os.path.expanduser(named))
    checkout = find_checkout()
    return checkout / WORKING if checkout else WORKING


def published_root() -> Path | None:
    """Return ``book/results`` of the checkout; None outside one."""
    checkout = find_checkout()
    return checkout / PUBLISHED if checkout else None


def shown(path: Path) -> str:
    """Return a path for people: relative to the checkout where it is inside."""
    checkout, absolute = find_checkout(), path.absolute()
    inside = checkout is not None and absolute.is_relative_to(checkout)
    return absolute.relative_to(checkout).as_posix() if inside and checkout else str(path)
