"""CONTRIBUTING.md is followed to the letter, in a copy of the checkout."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from shutil import copyfile, copytree, ignore_patterns
from textwrap import dedent

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
FOLDERS = ("mixflow", "companion", "tests", "notebooks", "workflow")
FILES = ("pyproject.toml", "_config.yml", "Makefile", "book/_toc.yml", "book/references.bib")
RECIPES = {
    title: section
    for title, section in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", TEXT, flags=re.M | re.S)
    if title.startswith("Add a")
}


def blocks(section, kind):
    """Return the fenced blocks of a kind, which stand in numbered lists."""
    found = re.findall(rf"^   ```{kind}\n(.*?)^   ```$", section, flags=re.M | re.S)
    return [dedent(block) for block in found]


def write(folder, block):
    """Write the file that a block is, named in its first line; return its name."""
    first, _, content = block.partition("\n")
    name = first.removeprefix("# ")
    path = folder / name
    assert not path.exists(), f"{name} is there already: choose another example"
    path.write_text(content, encoding="utf-8")
    return name


def change(folder, block):
    """Change the files that a block names after +++; return their names."""
    _, *files = re.split(r"^\+\+\+ (.+)\n", block, flags=re.M)
    for name, hunks in zip(files[::2], files[1::2], strict=True):
        text = (folder / name).read_text(encoding="utf-8")
        for hunk in hunks.split("@@\n"):
            lines = hunk.splitlines(keepends=True)
            old, new = ("".join(ln[1:] for ln in lines if ln[0] in kept) for kept in (" -", " +"))
            assert f"\n{text}".count(f"\n{old}") == 1, f"once in {name} there must be:\n{old}"
            text = f"\n{text}".replace(f"\n{old}", f"\n{new}")[1:]
        (folder / name).write_text(text, encoding="utf-8")
    return files[::2]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy in which every recipe was followed, and the names of the files that they touch."""
    folder = tmp_path_factory.mktemp("copy")
    for name in FOLDERS:
        copytree(ROOT / name, folder / name, ignore=ignore_patterns("__pycache__"))
    (folder / "book").mkdir()
    for name in FILES:
        copyfile(ROOT / name, folder / name)
    names = []
    for section in RECIPES.values():
        names += [write(folder, block) for block in blocks(section, "python")]
        names += [name for block in blocks(section, "diff") for name in change(folder, block)]
    return folder, names


def call(folder, *words):
    """Run a program of the environment in the copy, whose modules come first."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MIXFLOW_")}
    environment = kept | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_there_is_a_recipe_for_everything():
    assert list(RECIPES) == [
        f"Add a{what}" for what in (" flow", " mixture", " metric", "n experiment", " page")
    ]


@pytest.mark.parametrize(
    "command", [line for section in RECIPES.values() for line in blocks(section, "text")[-1:]]
)
def test_the_commands_of_a_recipe_pass(copy, command):
    folder, _ = copy
    for line in command.replace("\\\n", " ").splitlines():
        done = call(folder, *shlex.split(line))
        assert done.returncode == 0, f"{line}\n{done.stdout[-4000:]}{done.stderr[-2000:]}"
        if line.startswith("pytest"):
            assert re.search(r"\d+ passed", done.stdout), done.stdout


@pytest.mark.parametrize("command", ["ruff check", "ruff format --check"])
def test_what_the_recipes_write_has_the_style(copy, command):
    folder, names = copy
    python = [name for name in names if name.endswith(".py")]
    done = call(folder, *command.split(), *python)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_mistake_in_a_recipes_flow_is_found(copy):
    """What the commands rest on: a wrong log determinant fails the contract."""
    folder, _ = copy
    path = folder / "mixflow" / "flows" / "stretch.py"
    right = path.read_text()
    try:
        path.write_text(right.replace("-self._log_det(z)", "self._log_det(z)"))
        done = call(folder, "pytest", "tests/library/flows", "-k", "Stretch and inverse")
    finally:
        path.write_text(right)
    assert "test_inverse_undoes_forward[Stretch]" in done.stdout
    assert done.returncode == 1


def test_words_of_the_table_are_in_the_code():
    table = re.findall(r"^\| \w+ \| .* \| (.*) \|$", TEXT, flags=re.M)
    names = {name for line in table for name in re.findall(r"`(\w+)`", line)}
    code = "\n".join(path.read_text() for path in (ROOT / "mixflow").rglob("*.py"))
    assert len(names) > 10
    assert not {name for name in names if not re.search(rf"\b{name}\b", code)}
