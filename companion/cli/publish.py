"""``mixflow publish``."""

from __future__ import annotations

from typing import Annotated

import typer

from companion.cli.errors import FAILED
from companion.cli.options import Results, examples

EXAMPLES = examples(
    "mixflow publish --dry-run",
    "mixflow publish em-gm/table-2",
    "mixflow publish em-gm/table-2 --only 0123456789ab --replace",
)


def publish(
    experiment: Annotated[
        list[str] | None,
        typer.Argument(metavar="[EXPERIMENT]...", help="Such as em-gm/table-2; else all."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="DIGEST",
            show_default=False,
            help="Only this run, be it a point of a plan or not; repeatable.",
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Put it in the place of another published result.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be done.")] = False,
    results: Results = None,
) -> None:
    """Copy your finished runs into book/results, which the book shows.

    Refused are: smoke runs, damaged or unfinished ones, runs of no plan, and runs of code that
    was changed after its commit or whose commit is not known here. The checkout itself must
    have no changes. Exit code 1 if a run was refused.
    """
    from companion.cli.publishing import publish_all

    if not publish_all(experiment or (), only or (), results, replace=replace, dry_run=dry_run):
        raise typer.Exit(FAILED)
