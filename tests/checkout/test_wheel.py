"""The wheel, without extras and far from a checkout: every command works or says what it needs."""

import ast
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import only_required
import pytest
import typer
from only_required import Refusing, required
from packaging.requirements import Requirement

from companion.cli import app

ROOT = Path(__file__).parents[2]

# Every command: its arguments, the exit code, and what it prints, on stderr if it fails.
COMMANDS = {
    "list": ("", 0, "em-gm/table-2"),
    "status": ("", 0, "not run"),
    "run": ("gmm-basis/figures-1-7", 0, "total"),
    "check": ("", 2, "go to a checkout of mixflow"),
    "publish": ("", 2, "go to a checkout of mixflow"),
    "notebook": ("02_em_gm_letter", 2, "go to a checkout of mixflow"),
    "data list": ("", 0, "letter"),
    "data verify": ("letter", 1, "found missing"),
    "data fetch": ("letter", 3, "MIXFLOW_DATA"),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the wheel and unpack it, as pip does."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder / "built"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = (folder / "built").iterdir()
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


@pytest.fixture
def mixflow(site, tmp_path):
    """Call the command line of the wheel in an empty folder without a network."""
    home, here = tmp_path / "home", tmp_path / "here"
    here.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MIXFLOW_")}
    nowhere = {"HOME": str(home), "XDG_CACHE_HOME": str(home), "HTTPS_PROXY": "127.0.0.1:9"}

    def call(*arguments):
        command = [sys.executable, only_required.__file__, site, *arguments]
        return subprocess.run(
            command, cwd=here, env=kept | nowhere, capture_output=True, text=True, timeout=120
        )

    return call


def commands(group, *above):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *above, name)
        else:
            yield " ".join([*above, name])


def test_every_command_is_tried():
    assert set(commands(typer.main.get_command(app))) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_command_works_or_says_what_it_needs(mixflow, name):
    arguments, code, words = COMMANDS[name]
    done = mixflow(*name.split(), *arguments.split())
    assert done.returncode == code, done.stderr
    assert words in (done.stderr if code else done.stdout)
    assert "Traceback" not in done.stderr


def test_extras_are_refused_and_what_is_required_is_not():
    refused = Refusing(required(Requirement("mixflow"))).refused
    assert {"PIL", "matplotlib", "IPython", "nbformat", "nbclient", "snakemake"} <= refused
    assert not {"mixflow", "torch", "numpy", "jinja2", "requests"} & refused


def test_what_the_package_imports_is_required_or_of_the_extra_book():
    """As the command line says of any module that is missing."""
    trees = [ast.parse(path.read_text()) for path in (ROOT / "mixflow").rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    modules = {name.partition(".")[0] for name in names}
    assert "matplotlib" in modules
    assert not modules & Refusing(required(Requirement("mixflow[book]"))).refused
