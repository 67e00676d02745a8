"""Executed notebooks: where they lie, what they say of how they were made, what is kept."""

from __future__ import annotations

import difflib
import hashlib
import itertools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from companion.runs.places import find_checkout
from mixflow.files import parse_json

SOURCES = "notebooks"
BOOK = Path("book", "executed")  # the book's own pages, below a checkout
STAMP = "mixflow"  # in the metadata of an executed notebook
KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
# What changes from one execution to the next without the page changing.
_VOLATILE_NOTEBOOK = {"papermill", "jupytext", "language_info"}
_VOLATILE_CELL = {"papermill", "execution", "ExecuteTime", "lines_to_next_cell"}
_TAG = re.compile(r"<(?=/?[A-Za-z][\w-]*(?:[\s/>]|$)|[!?])")  # what Markdown takes for HTML
_ADDRESS = re.compile(r" at 0x[0-9a-f]+(?=>)")
_STYLED = re.compile(r'<table id="(T_[0-9a-f]{5})"')  # of pandas
_CELL_FILE = re.compile(r"\S*ipykernel_\d+[/\\]\d+\.py")


class NotebookError(ValueError):
    """A notebook cannot be run as asked, or a cell of it failed."""


def find_notebook(name: str) -> Path:
    """Return the source of a notebook by its path, or by its name with or without ending.

    The name may be written as an experiment's is: ``em-gm-table-1``.

    Raises
    ------
    NotebookError
        If there is none, with the closest name.
    """
    path, checkout = Path(name), find_checkout()
    if path.suffix == ".py" and path.is_file():
        return path
    stem = path.stem if path.suffix in (".py", ".ipynb") else path.name
    stem = stem.replace("-", "_")
    folder = checkout / SOURCES if checkout else path.parent
    # The name of a page of the book, or its path from somewhere in the checkout; no other path.
    if path.parent.name in ("", SOURCES) and (folder / f"{stem}.py").is_file():
        return folder / f"{stem}.py"
    known = sorted(source.stem for source in folder.glob("*.py"))
    close = difflib.get_close_matches(stem, known, n=1, cutoff=0.4)
    if close:
        hint = f"; did you mean {close[0]}?"
    else:
        hint = "" if checkout else "; go to a checkout of mixflow, where they are"
    raise NotebookError(f"no notebook {name!r} (see the folder {SOURCES}/){hint}")


def is_book(folder: Path, source: Path) -> bool:
    """Say whether a folder is the one of the book's own pages, of the source's checkout."""
    checkout = find_checkout(source.resolve().parent)
    return checkout is not None and folder.resolve() == checkout / BOOK


def stamp(source: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an executed notebook says of how it was made."""
    given = {name: repr(value) for name, value in values.items()}
    return {"source_sha256": _sha256(source), "parameters": given}


def page_problems(page: Path, source: Path) -> Iterator[str]:
    """Say where an executed notebook is not what its source, as it is now, would give."""
    try:
        made = parse_json(page.read_bytes())["metadata"][STAMP]
        sha256, given = made["source_sha256"], dict(made["parameters"])
    except (OSError, ValueError, KeyError, TypeError):
        yield "does not say how it was made"
        return
    if not source.is_file():
        yield f"has no source {source.name}"
    elif sha256 != _sha256(source):
        yield f"was made from another version of {source.name}"
    if given:
        values = ", ".join(f"{name}={value}" for name, value in given.items())
        yield f"was made with other parameters than are written in it: {values}"


def clean(notebook: Any) -> Any:
    """Strip from an executed notebook, in place, what differs between equal executions."""
    for key in _VOLATILE_NOTEBOOK & set(notebook.metadata):
        del notebook.metadata[key]
    notebook.metadata["kernelspec"] = dict(KERNELSPEC)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for position, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{position:03d}"
        for key in _VOLATILE_CELL & set(cell.metadata):
            del cell.metadata[key]
        if cell.metadata.get("tags") == []:
            del cell.metadata["tags"]
        if cell.cell_type == "code":
            cell["execution_count"] = None
            cell["outputs"] = _clean_outputs(cell.outputs)
    _name_by_order(notebook)
    return notebook


def _clean_outputs(outputs: list[Any]) -> list[Any]:
    """Join the pieces of a stream, whose borders depend on timing, and drop counters."""
    merged: list[Any] = []
    for output in outputs:
        if output.output_type == "stream":
            output["text"] = _CELL_FILE.sub("<cell>", output.text)
            if merged and merged[-1].get("name") == output.name:
                merged[-1]["text"] += output.text
                continue
        if "execution_count" in output:
            output["execution_count"] = None
        if "text/markdown" in output.get("data", {}):
            # Sentences quote stored files, which may hold anything; none of ours has a tag.
            output.data["text/markdown"] = _TAG.sub("&lt;", output.data["text/markdown"])
        merged.append(output)
    return merged


def _name_by_order(notebook: Any) -> None:
    """Replace the random names of styled tables, and drop the addresses of objects."""
    number = itertools.count()
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if "text/plain" in data:
                data["text/plain"] = _ADDRESS.sub("", data["text/plain"])
            if found := _STYLED.search(data.get("text/html", "")):
                name = f"T_{next(number):05d}"
                data["text/html"] = data["text/html"].replace(found[1], name)


def _sha256(source: Path) -> str:
    return hashlib.sha256(source.read_bytes()).hexdigest()
