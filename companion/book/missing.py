"""Cells that need a data file which cannot be had show a note; the rest of the page stands.

A cell that uses a name which such a cell would have defined shows the note, too; any other error
ends the execution.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Any

_NOTE = "mixflow_lacks"  # in the metadata of an output that stands for a file
_UNDEFINED = re.compile(r"name '(\w+)' is not defined")


class CellError(RuntimeError):
    """A cell failed, and not for want of a data file."""


def notes(notebook: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    """Yield the number and the note of each cell, from 1, that shows one instead of a result."""
    for number, cell in enumerate(notebook["cells"], 1):
        for output in cell.get("outputs", ()):
            if text := output.get("metadata", {}).get(_NOTE):
                yield number, text


class Missing:
    """What cells have not defined because a data file is missing."""

    def __init__(self) -> None:
        self.why: dict[str, str] = {}  # name -> remedy

    def note_or_fail(self, cell: Any, cell_index: int, execute_reply: Mapping[str, Any]) -> None:
        """Put a note into the cell, or raise ``CellError``."""
        name, text = (execute_reply["content"].get(key, "") for key in ("ename", "evalue"))
        undefined = _UNDEFINED.match(text) if name == "NameError" else None
        if name == "DatasetError":
            remedy = " ".join(text.splitlines()[:2])  # what is missing, and the remedy
        elif undefined and undefined[1] in self.why:
            remedy = self.why[undefined[1]]
        else:
            first_line = (cell.source.strip() or "(empty)").splitlines()[0]
            raise CellError(f"cell {cell_index + 1} ({first_line!r}) failed: {name}: {text}")
        self.why |= dict.fromkeys(_defined(cell.source), remedy)
        # Nor does it show how the download failed.
        kept = [o for o in cell.outputs if o.output_type != "error" and o.get("name") != "stderr"]
        cell.outputs = [*kept, _note(remedy)]


def _note(remedy: str) -> Any:
    from nbformat.v4 import new_output

    text = f"> **Not shown here:** {remedy}"
    data = {"text/markdown": text, "text/plain": text}
    return new_output("display_data", data, metadata={_NOTE: remedy})


def _defined(source: str) -> Iterator[str]:
    """Yield the names that a cell defines."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.alias(name=name, asname=alias):
                yield alias or name.partition(".")[0]
