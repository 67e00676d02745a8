"""Check that the executed notebooks of the book are what their sources give as they are."""

from __future__ import annotations

from pathlib import Path

from mixflow.executed import BOOK, SOURCES, page_problems
from mixflow.results.store import Store


def check_executed(root: Path, store: Store) -> list[str]:
    """Check that the book's pages were made from today's sources, with the parameters in them."""
    return [
        f"{page.relative_to(root)} {problem}; make book"
        for page in sorted((root / BOOK).glob("*.ipynb"))
        if not page.name.endswith(".partial.ipynb")
        for problem in page_problems(page, root / SOURCES / f"{page.stem}.py")
    ]
