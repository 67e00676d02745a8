"""Checks of a checkout: each is a function that returns its problems as lines of text."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from mixflow.checks.commands import check_commands
from mixflow.checks.executed import check_executed
from mixflow.checks.pages import check_built_book, check_figures, check_notebooks
from mixflow.checks.stored import check_results, check_targets
from mixflow.results.store import Store

__all__ = ["ANYWHERE", "CHECKS", "run_checks"]

CHECKS: dict[str, Callable[[Path, Store], list[str]]] = {
    "results": check_results,
    "targets": check_targets,
    "commands": check_commands,
    "notebooks": check_notebooks,
    "figures": check_figures,
    "executed": check_executed,
    "built-book": check_built_book,
}
ANYWHERE = ("results", "targets")  # the others read files of a checkout


def run_checks(
    root: Path, store: Store, names: Iterable[str] = tuple(CHECKS)
) -> dict[str, list[str]]:
    """Run the named checks on a checkout.

    Parameters
    ----------
    root
        Folder of the checkout.
    store
        The stored results to check.
    names
        Keys of ``CHECKS``; all by default.

    Returns
    -------
    dict
        Check -> problems, empty where there is none.
    """
    return {name: CHECKS[name](root, store) for name in names}
