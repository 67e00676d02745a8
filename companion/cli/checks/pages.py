"""Checks of notebooks and pages: parameters, alternative text, whether the book is fresh."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from companion.book.notebook import parameters_of
from companion.cli.checks.markdown import (
    NotebookError,
    Page,
    blocks,
    notebook_files,
    pages,
    without_code,
)
from companion.runs import registry
from companion.runs.config import PROFILES, ParameterError
from companion.runs.experiment import Experiment
from companion.runs.store import Store
from mixflow.files import parse_json

# Parameters that a page has besides those of its experiment. A name that begins with
# "show_" sets what the page draws, not what is computed.
PAGE_PARAMETERS = {"experiment", "profile", "device"}
_SHOWN = "show_"

_IMAGE = re.compile(r"!\[(?P<alt>[^\]]*)\]\((?P<target>[^)]*)\)")
_IMG = re.compile(r"<img\b[^>]*>", re.IGNORECASE | re.DOTALL)
_IMG_ALT = re.compile(r"""\balt\s*=\s*(?:"\s*[^"\s][^"]*"|'\s*[^'\s][^']*')""", re.IGNORECASE)
_DIRECTIVE = re.compile(r"\{(figure|image)\}")


def check_notebooks(root: Path, store: Store) -> list[str]:
    """Check that every notebook's parameters are ones its experiment accepts."""
    problems = []
    for path in notebook_files(root):
        try:
            literals = parameters_of(path)
            if literals.get("experiment") is not None:
                found = registry.find(literals["experiment"])
                problems += [
                    f"{path.name}: {text}" for text in _parameter_problems(found, literals)
                ]
        except (NotebookError, ParameterError) as error:
            problems.append(f"{path.name}: {error}")
    return problems


def _parameter_problems(experiment: Experiment, literals: Mapping[str, Any]) -> Iterator[str]:
    profile = literals.get("profile", PROFILES[0])
    if profile not in (*PROFILES, "stored"):  # "stored": the page takes what there is
        yield f"profile={profile!r} is unknown; expected stored or one of {PROFILES}"
    for name, value in literals.items():
        if name in PAGE_PARAMETERS or name.startswith(_SHOWN):
            continue
        field = "seed" if name == "seeds" else name
        try:
            _configure_each(experiment, field, value)
        except ParameterError as error:
            yield str(error)


def _configure_each(experiment: Experiment, name: str, value: Any) -> None:
    """Validate a value, or, where the page makes an axis of it, each item of the list."""
    try:
        experiment.configure(**{name: value})
    except ParameterError:
        if not isinstance(value, list | tuple) or not value:
            raise
        for item in value:
            experiment.configure(**{name: item})


def check_figures(root: Path, store: Store) -> list[str]:
    """Check that every figure of the pages and of executed notebooks has alternative text."""
    problems = []
    try:
        for page in pages(root):
            problems += [f"{page.name}: {text}" for text in _figures_without_alt(page)]
    except NotebookError as error:
        problems.append(str(error))
    for path in sorted((root / "book").rglob("*.ipynb")):
        if "_build" not in path.parts and ".ipynb_checkpoints" not in path.parts:
            name = path.relative_to(root).as_posix()
            problems += [f"{name}: {text}" for text in _outputs_without_alt(path)]
    return problems


def _figures_without_alt(page: Page) -> Iterator[str]:
    text = without_code(page.text)
    for match in _IMAGE.finditer(text):
        if not match["alt"].strip():
            yield f"image {match['target']} has no alternative text: ![what it shows](...)"
    yield from _images_without_alt(text)
    for block in blocks(page.text):
        has_alt = any(re.match(r"\s*:alt:\s*\S", line) for line in block.lines)
        if _DIRECTIVE.match(block.info) and not has_alt:
            yield f"{block.info} has no :alt:"


def _images_without_alt(html: str) -> Iterator[str]:
    for tag in _IMG.findall(html):
        if not _IMG_ALT.search(tag):
            yield f"{tag[:60]} has no alt"


def _outputs_without_alt(path: Path) -> Iterator[str]:
    try:
        cells = parse_json(path.read_bytes())["cells"]
        yield from [
            f"cell {number}: {problem}"
            for number, cell in enumerate(cells, 1)
            for problem in _cell_without_alt(cell)
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        yield f"is no notebook: {type(error).__name__}: {error}"


def _cell_without_alt(cell: Mapping[str, Any]) -> Iterator[str]:
    named = cell["metadata"].get("mystnb", {}).get("image", {}).get("alt")
    for output in cell.get("outputs", ()):
        data = output.get("data", {})
        html = "".join(data.get("text/html", ""))
        yield from _images_without_alt(html)
        pictures = [kind for kind in data if kind.startswith("image/")]
        if pictures and not named and "<img" not in html:
            yield f"{pictures[0]} has no alternative text; use display.show"


def check_built_book(root: Path, store: Store) -> list[str]:
    """Check that every page of the built book, if there is one, is newer than its source."""
    problems: list[str] = []
    for html in (root / "book" / "_build" / "html", root / "_build" / "html"):
        built = {path.relative_to(html).as_posix(): path for path in html.rglob("*.html")}
        problems += _stale_pages(root, built)
    return problems


def _stale_pages(root: Path, built: Mapping[str, Path]) -> Iterator[str]:
    sources = [p for kind in ("*.md", "*.ipynb") for p in (root / "book").rglob(kind)]
    for source in sources:
        for base in (root, root / "book"):
            page = built.get(source.relative_to(base).with_suffix(".html").as_posix())
            if page and _time(page) < _time(source):
                yield f"{source.relative_to(root)} changed after its page was built; make book"


def _time(path: Path) -> float:
    return path.stat().st_mtime
