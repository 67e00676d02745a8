"""Markdown of the checkout: its files, the cells of its notebooks, its code blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from companion.book.notebook import NotebookError, read_notebook

_FENCE = re.compile(r"^\s*(?P<fence>`{3,}|~{3,}|:{3,})\s*(?P<info>.*?)\s*$")
_BUILT = {"_build", "executed", "results", ".ipynb_checkpoints"}


@dataclass(frozen=True)
class Page:
    """Markdown text and the name of the file it is in, relative to the checkout."""

    name: str
    text: str


@dataclass(frozen=True)
class Block:
    """A fenced block: the language or ``{directive}`` after the fence, and its lines."""

    line: int
    info: str
    lines: tuple[str, ...]


def pages(root: Path) -> Iterator[Page]:
    """Yield README.md, the book's pages and the markdown of the notebooks.

    Raises
    ------
    NotebookError
        If a notebook cannot be read.
    """
    sources = [*sorted(root.glob("*.md")), *sorted((root / "book").rglob("*.md"))]
    for path in sources:
        if not _BUILT & set(path.relative_to(root).parts):
            yield Page(path.relative_to(root).as_posix(), path.read_text(encoding="utf-8"))
    for path in notebook_files(root):
        cells = read_notebook(path).cells
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        yield Page(path.relative_to(root).as_posix(), text)


def notebook_files(root: Path) -> list[Path]:
    """Return the notebooks' sources, sorted."""
    return sorted((root / "notebooks").glob("*.py"))


def blocks(text: str) -> list[Block]:
    """Return the outermost fenced blocks of a page."""
    found: list[Block] = []
    fence, info, start, inside = "", "", 0, list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        match = _FENCE.match(line)
        if not fence:
            if match:
                fence, info, start, inside = match["fence"], match["info"], number, []
        elif match and not match["info"] and _closes(match["fence"], fence):
            found.append(Block(start, info, tuple(inside)))
            fence = ""
        else:
            inside.append(line)
    return found


def without_code(text: str) -> str:
    """Return the page without the content of code blocks and code spans.

    Directives in fences, such as ``{figure}``, keep their text.
    """
    lines = text.splitlines()
    for block in blocks(text):
        if not block.info.startswith("{") or block.info.startswith("{code"):
            lines[block.line : block.line + len(block.lines)] = [""] * len(block.lines)
    return re.sub(r"(`+)[^`].*?\1", "", "\n".join(lines))


def _closes(candidate: str, fence: str) -> bool:
    return candidate[0] == fence[0] and len(candidate) >= len(fence)


__all__ = ["Block", "NotebookError", "Page", "blocks", "notebook_files", "pages", "without_code"]
