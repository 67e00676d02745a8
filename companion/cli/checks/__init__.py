"""Checks of a checkout: each is a function that returns its problems as lines of text."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from companion.cli.checks.commands import check_commands
from companion.cli.checks.executed import check_executed
from companion.cli.checks.pages import check_built_book, check_figures, check_notebooks
from companion.cli.checks.stored import check_results, check_targets
from companion.runs.store import Store

if TYPE_CHECKING:
    from typer import Typer

__all__ = ["ANYWHERE", "CHECKS", "run_checks"]

_CHECKS: dict[str, Callable[[Path, Store], list[str]]] = {
    "results": check_results,
    "targets": check_targets,
    "notebooks": check_notebooks,
    "figures": check_figures,
    "executed": check_executed,
    "built-book": check_built_book,
}
CHECKS = ("commands", *_CHECKS)
ANYWHERE = ("results", "targets")  # the others read files of a checkout


def run_checks(
    root: Path, store: Store, app: Typer, names: Iterable[str] = CHECKS
) -> dict[str, list[str]]:
    """Run the named checks on a checkout.

    Parameters
    ----------
    root
        Folder of the checkout.
    store
        The stored results to check.
    app
        The command line, which parses the commands that pages print.
    names
        Of ``CHECKS``; all by default.

    Returns
    -------
    dict
        Check -> problems, empty where there is none.
    """
    checks = {**_CHECKS, "commands": lambda root, store: check_commands(root, app)}
    return {name: checks[name](root, store) for name in names}
