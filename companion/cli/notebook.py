"""``mixflow notebook``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from companion.cli.options import Parameters, Results, examples, open_store

EXAMPLES = examples(
    "mixflow notebook em_gm_letter",
    "mixflow notebook em_gm_letter -p profile=smoke",
    "mixflow notebook notebooks/five_lines.py -p n_components=4 --out /tmp/pages",
)


def notebook(
    name: Annotated[str, typer.Argument(help="Path, or name in the folder notebooks/.")],
    parameter: Parameters = None,
    profile: Annotated[str | None, typer.Option(help="Short for -p profile=PROFILE.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            show_default=False,
            help="Folder for the executed notebook [default: pages, below your runs]. The book's "
            "own, book/executed, takes pages as they are written and shows published runs alone.",
        ),
    ] = None,
    results: Results = None,
) -> None:
    """Execute a notebook of the book, with other parameters if you like.

    It shows your runs on top of the published ones, and says how many are unpublished.
    """
    from companion.book.executed import NotebookError, find_notebook, is_book
    from companion.book.notebook import check, run_notebook
    from companion.cli.values import parse_parameters
    from companion.runs.config import ParameterError

    values = parse_parameters(parameter or (), axes=False)
    if profile is not None:
        values["profile"] = profile
    store = open_store(results)
    out = out or store.root / "pages"
    try:
        source = find_notebook(name)
        check(source, out, values)
    except NotebookError as error:
        raise ParameterError(str(error)) from None
    show = sys.stderr.isatty()  # a page takes longer than five seconds
    page = run_notebook(source, out=out, parameters=values, results=store.root, progress=show)
    typer.echo(page)
    if not is_book(out, source):
        quoted = shlex.quote(str(page))
        typer.echo(f"made of the runs in {store.where()}")
        typer.echo(f"open it: jupyter lab {quoted}")
        typer.echo(f"or make a web page of it: jupyter nbconvert --to html {quoted}")
