"""The sub-commands of ``mixflow data``."""

from __future__ import annotations

from typing import Annotated

import typer

from companion.cli.errors import FAILED

data_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Else all.")]


@data_app.command("list", epilog="\b\nExamples:\n  mixflow data list")
def data_list() -> None:
    """List the data sets: kind, licence, what each holds."""
    import pandas as pd

    from companion.cli.values import table
    from mixflow.datasets import names, registry

    found = [registry.get(name) for name in names()]
    columns = ("name", "kind", "licence", "description")
    lines = [{column: getattr(dataset, column) for column in columns} for dataset in found]
    typer.echo(table(pd.DataFrame(lines)))


@data_app.command(
    "verify", epilog="\b\nExamples:\n  mixflow data verify\n  mixflow data verify letter"
)
def data_verify(names: Names = None) -> None:
    """Check the files of data sets by their checksums; exit 1 if one is missing or corrupt."""
    from companion.cli.values import require
    from mixflow import datasets

    bad = False
    for name in names or datasets.names("files"):
        require("data set", name, datasets.names())
        for state in datasets.verify(name):
            typer.echo(f"{state.status:8}{name}: {state.file}")
            if state.status != "ok":
                bad = True
                typer.echo(
                    f"{state.path}: expected sha256 {state.expected}, found {state.found}", err=True
                )
    if bad:
        raise typer.Exit(FAILED)


@data_app.command(
    "fetch", epilog="\b\nExamples:\n  mixflow data fetch\n  mixflow data fetch mnist letter"
)
def data_fetch(names: Names = None) -> None:
    """Download the files of data sets that are not there yet, and check them."""
    from companion.cli.values import require
    from mixflow import datasets

    for name in names or datasets.names("files"):
        require("data set", name, datasets.names())
        files = datasets.fetch(name)
        typer.echo(f"{name}: {len(files)} files ok")
