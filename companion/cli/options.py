"""Options that several commands share, and what they stand for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from companion.runs.store import Store

Results = Annotated[
    Path | None,
    typer.Option(
        "--results",
        metavar="DIR",
        help="Folder of your runs, on top of the published ones in book/results [default: "
        "$MIXFLOW_RESULTS, else results in the checkout, else ./results].",
    ),
]
Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "--parameter",
        "-p",
        metavar="NAME=VALUE",
        show_default=False,
        help="Set a parameter; repeatable. In 'run', commas make an axis: -p n_components=1,2.",
    ),
]
Profile = Annotated[str, typer.Option("--profile", help="smoke, laptop or paper.")]


def examples(*lines: str) -> str:
    """Return the epilog of a command's help."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def open_store(results: Path | None) -> Store:
    """Return the store of --results, on top of what is published."""
    from companion.runs.places import published_root
    from companion.runs.store import Store

    return Store() if results is None else Store(results, published_root())
