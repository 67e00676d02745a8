"""What an installation rests on: pins that fit every Python, the conda file, newer syntax."""

import os
import re
import shlex
import socket
import subprocess
import sys
import tomllib
from pathlib import Path
from shutil import copy, which

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PYTHONS = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
DEBIAN_12 = "3.11.2"
COMPANION = tomllib.loads((ROOT / "companion" / "pyproject.toml").read_text())["project"]
FILES = ("pyproject.toml", "companion/pyproject.toml")
PINS = (ROOT / "constraints.txt").read_text()
INSTALLED = re.search(r"-e 'companion\[([\w,]+)\]'", (ROOT / "Makefile").read_text())[1].split(",")

# On PyPI as source only: pure Python, and, for the newest Python, C that snakemake needs.
SOURCES = {python: {"connection-pool"} for python in [DEBIAN_12, *PYTHONS]}
SOURCES["3.14"] |= {"immutables"}


@pytest.fixture(scope="module")
def network():
    try:
        socket.create_connection(("pypi.org", 443), timeout=5).close()
    except OSError:
        pytest.skip("pypi.org cannot be reached, and resolving needs it")


def resolve(*options, folder):
    environment = os.environ | {"UV_PYTHON": sys.executable, "UV_PYTHON_DOWNLOADS": "never"}
    command = [sys.executable, "-m", "uv", "pip", "compile", *FILES, *options]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{shlex.join(command[2:])}\n{done.stderr}"


def copied(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        copy(ROOT / name, folder / name)


def pinned_names():
    return set(re.findall(r"^([\w-]+)==", PINS, flags=re.MULTILINE))


def test_pins_are_what_the_extras_need_and_no_more(network, tmp_path):
    """The command in the file's first lines makes the same file anew."""
    copied(tmp_path, *FILES, "constraints.txt")
    command = shlex.split(PINS.splitlines()[1].removeprefix("#"))
    assert command[:5] == ["uv", "pip", "compile", *FILES]
    resolve(*command[5:], folder=tmp_path)
    assert (tmp_path / "constraints.txt").read_text() == PINS


@pytest.mark.parametrize("python", [DEBIAN_12, *PYTHONS])
def test_pins_have_wheels_for_every_python(network, tmp_path, python):
    copied(tmp_path, *FILES)
    options = [f"--only-binary={name}" for name in pinned_names() - SOURCES[python]]
    options += [f"--extra={extra}" for extra in INSTALLED]
    options += ["-c", str(ROOT / "constraints.txt"), "-o", "resolved.txt", "--no-annotate"]
    options += ["--no-emit-package", "mixflow"]
    system = ["--python-version", python, "--python-platform", "x86_64-manylinux_2_28"]
    resolve(*options, *system, folder=tmp_path)
    resolved = (tmp_path / "resolved.txt").read_text().splitlines()
    lines = {line for line in resolved if not line.startswith("#")}
    unpinned = lines - {line.split(" ;")[0] for line in PINS.splitlines()}
    assert not unpinned


def test_conda_installs_what_make_installs():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    python, *_, pip = conda
    assert pip == {"pip": ["-c constraints.txt", "-e .", f"-e companion[{','.join(INSTALLED)}]"]}
    assert python.removeprefix("python=") in PYTHONS
    assert {"pip", "make"} <= set(conda[1:-1])


def test_every_extra_but_that_of_the_benchmarks_is_installed():
    assert {*INSTALLED, "bench"} == set(COMPANION["optional-dependencies"])


def test_the_oldest_python_is_the_same_everywhere():
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    oldest = PROJECT["requires-python"].removeprefix(">=")
    assert COMPANION["requires-python"] == PROJECT["requires-python"]
    assert oldest == PYTHONS[0] == tools["mypy"]["python_version"]
    assert tools["ruff"]["target-version"] == f"py{oldest.replace('.', '')}"
    assert f"Python {oldest} or newer" in (ROOT / "README.md").read_text()


def interpreter(python):
    """Return an interpreter of that version on this machine, or skip."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [which(f"python{python}"), *pyenv.glob(f"{python}.*/bin/python")]
    for path in filter(None, found):
        # What pyenv puts on the path may answer that the version is not chosen.
        if subprocess.run([path, "-c", ""], capture_output=True).returncode == 0:
            return path
    pytest.skip(f"no Python {python} on this machine")


@pytest.mark.parametrize("python", PYTHONS)
def test_sources_compile_without_warnings(python, tmp_path):
    folders = [ROOT / name for name in ("mixflow", "companion", "notebooks", "tests", "benchmarks")]
    command = [interpreter(python), "-W", "error", "-m", "compileall", "-q", *folders]
    environment = os.environ | {"PYTHONPYCACHEPREFIX": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
