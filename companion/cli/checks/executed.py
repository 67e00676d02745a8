"""Check that the executed notebooks of the book are what their sources give as they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from companion.book.dependencies import dependencies
from companion.book.executed import BOOK, SOURCES, page_problems
from companion.runs.places import PUBLISHED
from companion.runs.store import Store


def check_executed(root: Path, store: Store) -> list[str]:
    """Check that the book's pages were made from what is there now, with the parameters in it."""
    return [
        f"{page.relative_to(root)} {problem}; make book"
        for page in sorted((root / BOOK).glob("*.ipynb"))
        if not page.name.endswith(".partial.ipynb")
        for source in [root / SOURCES / f"{page.stem}.py"]
        for problem in (*page_problems(page, source), *_newer(page, source, root))
    ]


def _newer(page: Path, source: Path, root: Path) -> Iterator[str]:
    """Say what a page shows that changed after it was made; Snakemake goes by time, too."""
    if not source.is_file():
        return
    made = page.stat().st_mtime
    shown = dependencies(source, root / PUBLISHED, root)
    newer = [path.relative_to(root) for path in shown if path.stat().st_mtime > made]
    if newer:
        more = f" and {len(newer) - 1} more" if len(newer) > 1 else ""
        yield f"is older than {newer[0]}{more}"
