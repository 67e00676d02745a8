"""The two houses: arrows go down only, from the companion to the library, and in no circle."""

import ast
from functools import cache
from graphlib import TopologicalSorter
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOUSES = ("mixflow", "companion")
PAPERS = {"em_gm", "vmonf", "gmm_basis"}
# From the ground up; folders of one floor know nothing of each other.
LIBRARY = [
    {"files", "modes"},
    {"flows", "basis", "datasets"},
    {"mixtures", "metrics"},
    {"training"},
    {"estimators"},
    {"mixflow", "__main__"},
]
COMPANION = [{"runs"}, {"evidence"}, PAPERS, {"figures", "book"}, {"cli"}]
NOT_OF_THE_LIBRARY = {"pandas", "pydantic", "typer", "matplotlib", "papermill", "seaborn"}


@cache
def modules():
    """Return name -> file."""
    files = chain.from_iterable((ROOT / house).rglob("*.py") for house in HOUSES)
    return {".".join(f.relative_to(ROOT).with_suffix("").parts): f for f in files}


def tree(name):
    return ast.parse(modules()[name].read_text(encoding="utf-8"))


def imported(name):
    """Return the modules of both houses that a module imports, wherever in its text."""
    wanted = set()
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Import):
            wanted |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            below = {f"{node.module}.{alias.name}" for alias in node.names}
            found = {b for b in below if {b, f"{b}.__init__"} & set(modules())}
            wanted |= found or {node.module}
    return {n for w in wanted for n in (w, f"{w}.__init__") if n in modules()} - {name}


def part(name):
    """Return the folder or file of a house that a module is of."""
    house, *rest = name.removesuffix(".__init__").split(".")
    return rest[0] if rest else house


def arrows(house):
    """Return the pairs of a house's parts of which one imports the other."""
    pairs = {
        (part(name), part(other))
        for name in modules()
        if name.startswith(f"{house}.")
        for other in imported(name)
        if other.startswith(f"{house}.")
    }
    return {(one, other) for one, other in pairs if one != other}


def test_the_library_knows_nothing_of_the_companion():
    of_library = [name for name in modules() if name.startswith("mixflow.")]
    assert len(of_library) > 80
    assert not [n for n in of_library if any(m.startswith("companion.") for m in imported(n))]


def test_no_module_imports_itself_by_others():
    graph = {name: imported(name) for name in modules()}
    assert len(list(TopologicalSorter(graph).static_order())) == len(modules())


@pytest.mark.parametrize(("house", "floors"), [("mixflow", LIBRARY), ("companion", COMPANION)])
def test_arrows_go_down_only(house, floors):
    level = {name: number for number, names in enumerate(floors) for name in names}
    level |= {"companion": -1}  # its __init__ is empty
    assert {part(n) for n in modules() if n.startswith(f"{house}.")} <= set(level)
    assert not [(one, other) for one, other in arrows(house) if level[one] <= level[other]]


def test_at_most_four_parts_of_the_companion_stand_above_one_another():
    graph = {}
    for one, other in arrows("companion"):
        if other == "companion":  # its __init__ is empty
            continue
        graph.setdefault(one, set()).add(other)
    heights = {}
    for name in TopologicalSorter(graph).static_order():
        heights[name] = 1 + max((heights[other] for other in graph.get(name, ())), default=0)
    assert max(heights.values()) == 4


def test_the_library_imports_none_of_the_companions_packages():
    for name in modules():
        if name.startswith("mixflow."):
            nodes = list(ast.walk(tree(name)))
            names = {a.name for node in nodes if isinstance(node, ast.Import) for a in node.names}
            names |= {n.module for n in nodes if isinstance(n, ast.ImportFrom) and n.module}
            assert not {n.partition(".")[0] for n in names} & NOT_OF_THE_LIBRARY, name
