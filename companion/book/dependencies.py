"""What a page of the book is made from: its notebook, modules of both houses, stored results.

Nothing is executed: imports are read off the source files, wherever they stand in these. A page
shows the experiments whose names are strings in its notebook. If it shows verdicts, it shows
those, too, whose rows stand for the items of the target table that are strings in it; if it
shows those of any targets, all of the papers that it names, or of every paper.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]  # the folder with the packages
PACKAGES = ("mixflow", "companion")
REGISTRY = "companion/runs/registry.py"
# What executes every page.
RUNNER = tuple(f"companion/book/{name}.py" for name in ("notebook", "missing", "executed"))
# What shows verdicts: of items of the page's own paper, and of any targets.
VERDICTS = "verdicts"
ANY_VERDICTS = {"verdict_table", "verdict_counts", "status_table"}


def dependencies(source: Path, results: Path, root: Path = ROOT) -> list[Path]:
    """Return the files that decide what a notebook shows, itself first.

    Parameters
    ----------
    source
        The ``.py`` notebook.
    results
        Folder of the stored runs, of which the ``DONE`` files count: they hold the checksums.
    root
        Folder of the packages.
    """
    shown = experiments_of(source, root)
    runner = {root / name for name in RUNNER if (root / name).is_file()}
    files = modules_of(source, root) | runner
    beside = {data for path in files for data in path.parent.glob("*.csv")}
    runs = {done for name in shown for done in results.glob(f"{name}/*/DONE")}
    return [source, *sorted(files | beside), *sorted(runs)]


def modules_of(source: Path, root: Path = ROOT) -> set[Path]:
    """Return the files of both houses that a notebook imports, and those that these import."""
    registry = _registry(root)
    named = {registry[name] for name in experiments_of(source, root)}
    waiting = {*_imported(source, root)}.union(*(_files(name, root) for name in named))
    found: set[Path] = set()
    while waiting:
        path = waiting.pop()
        found.add(path)
        waiting |= _imported(path, root) - found
    return found


def experiments_of(source: Path, root: Path = ROOT) -> set[str]:
    """Return the names of the experiments whose results a notebook shows."""
    nodes = list(ast.walk(_parsed(source)))
    strings = {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    named = strings & set(_registry(root))
    return named.union(*(_answering()[family] for family in _judged(nodes, strings, named)))


def _judged(
    nodes: Iterable[ast.AST], strings: set[str], named: set[str]
) -> Iterator[tuple[str, str]]:
    """Yield paper and item of the target table wherever a notebook shows their verdicts."""
    called = {getattr(node, "attr", None) or getattr(node, "id", None) for node in nodes}
    papers = {name.split("/")[0] for name in named}
    every = {paper for paper, _ in _answering()}
    for paper, item in _answering():
        if called & ANY_VERDICTS and paper in (strings & every or every):
            yield paper, item
        elif VERDICTS in called and paper in papers and item in strings:
            yield paper, item


@cache
def _answering() -> Mapping[tuple[str, str], set[str]]:
    """Return paper and item of the target table -> the experiments whose rows answer it."""
    from companion.evidence.catalogue import INPUT
    from companion.evidence.questions import load_questions
    from companion.runs.stale import DERIVED

    found: dict[tuple[str, str], set[str]] = {}
    for question in load_questions():
        named = {
            experiment
            for rows in (*question.answer.as_published, *question.answer.our_recipe)
            for experiment in (rows.experiment, *rows.beside)
        }
        read = {INPUT} if named & set(DERIVED) else set()
        found.setdefault(question.family, set()).update(named | read)
    return found


@cache
def _registry(root: Path) -> Mapping[str, str]:
    """Return experiment -> module."""
    for node in _parsed(root / REGISTRY).body:
        match node:
            case ast.Assign(targets=[ast.Name(id="_MODULES")], value=value):
                registry: dict[str, str] = ast.literal_eval(value)
                return registry
    return {}


# Imports ------------------------------------------------------------------------------------------


@cache
def _imported(path: Path, root: Path) -> frozenset[Path]:
    """Return the files of mixflow and companion that a file's own imports execute."""
    found: set[Path] = set()
    for node in _at_run_time(_parsed(path)):
        match node:
            case ast.Import(names=names):
                found.update(*(_files(alias.name, root) for alias in names))
            case ast.ImportFrom(module=str(module), names=names, level=0):
                lazy = _lazy(root) if module == "mixflow" else {}
                for alias in names:
                    found |= _files(f"{module}.{alias.name}", root)
                    found |= _files(lazy.get(alias.name, module), root)
            case ast.ImportFrom():
                raise ValueError(f"{path}: relative imports are not followed; write the whole name")
    return frozenset(found)


@cache
def _lazy(root: Path) -> Mapping[str, str]:
    """Return name -> module of what mixflow's own ``__init__`` imports when it is first used."""
    tree = _parsed(root / "mixflow" / "__init__.py")
    seen_by_type_checkers = set(ast.walk(tree)).difference(_at_run_time(tree))
    return {
        alias.name: node.module
        for node in seen_by_type_checkers
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }


def _at_run_time(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and those below it, but for what only type checkers see."""
    yield node
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=others):
                for other in others:
                    yield from _at_run_time(other)
            case _:
                yield from _at_run_time(child)


def _files(module: str, root: Path) -> set[Path]:
    """Return the files that importing a module executes: its own and its packages'."""
    parts = module.split(".")
    if parts[0] not in PACKAGES:
        return set()
    folder, found = root, set()
    for part in parts:
        folder = folder / part
        found |= {f for f in (folder / "__init__.py", folder.with_suffix(".py")) if f.is_file()}
    return found


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8") if path.is_file() else "", str(path))
