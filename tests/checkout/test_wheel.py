"""The wheel: the library alone, which works without the companion and what that needs."""

import ast
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import only_required
import pytest
from only_required import Refusing, required
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
COMMAND = ROOT / "mixflow" / "__main__.py"


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
def run(site, tmp_path):
    """Run a script with the wheel in an empty folder without a network."""
    home, here = tmp_path / "home", tmp_path / "here"
    here.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MIXFLOW_")}
    nowhere = {"HOME": str(home), "XDG_CACHE_HOME": str(home), "HTTPS_PROXY": "127.0.0.1:9"}

    def call(script, *arguments):
        command = [sys.executable, only_required.__file__, site, script, *arguments]
        return subprocess.run(
            command, cwd=here, env=kept | nowhere, capture_output=True, text=True, timeout=120
        )

    return call


def test_the_wheel_is_the_library_alone(site):
    assert {path.name.partition("-")[0] for path in site.iterdir()} == {"mixflow"}
    assert not list((site / "mixflow").rglob("pyproject.toml"))


@pytest.mark.parametrize("arguments", ["", "--help", "run em-gm/table-2", "data fetch letter"])
def test_a_command_says_in_one_line_what_it_needs(run, arguments):
    done = run(COMMAND, *arguments.split())
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "error: in a checkout of mixflow, make env: the companion is not installed here\n"
    )


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_of_the_readme_run(run, tmp_path, example):
    (tmp_path / "example.py").write_text(example)
    done = run(tmp_path / "example.py")
    assert done.returncode == 0, done.stderr


def test_what_only_the_companion_needs_is_refused():
    refused = Refusing(required(Requirement("mixflow"))).refused
    of_the_companion = {"PIL", "pandas", "pydantic", "typer", "matplotlib", "nbclient", "snakemake"}
    assert of_the_companion <= refused
    assert not {"mixflow", "torch", "numpy", "sklearn", "requests"} & refused


@pytest.mark.parametrize(
    ("house", "installed"), [("mixflow", "mixflow"), ("companion", "mixflow-companion[book]")]
)
def test_what_a_house_imports_is_required(house, installed):
    trees = [ast.parse(path.read_text()) for path in (ROOT / house).rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    modules = {name.partition(".")[0] for name in names}
    assert "numpy" in modules
    assert not modules & Refusing(required(Requirement(installed))).refused
