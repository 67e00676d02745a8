"""Every command of the README works as it stands, and leaves a clone as it was."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from companion.cli.checks.commands import shell_commands

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
IN_BLOCKS = [words for _, words in shell_commands(README)]
IN_TEXT = map(shlex.split, re.findall(r"(?<!`)`((?:conda|make|mixflow|source) [^`]+)`", README))


def test_readme_has_commands():
    assert {words[0] for words in IN_BLOCKS} == {"make", "mixflow", "pip"}


def affordable(words):
    """Return the command without what takes minutes or a network, or None."""
    match words:
        case ["make", *rest]:
            return ["make", "-n", f"VENV={sys.prefix}", *rest]
        case ["pip", "install", *rest]:
            # An editable install would need one more package of the build.
            here = ["--dry-run", "--no-index", "--no-build-isolation"]
            return ["pip", "install", *here, *(word for word in rest if word != "-e")]
        case ["mixflow", "run", *_] if "laptop" in words:
            return [*words, "--dry-run"]
        case ["mixflow", "publish", *rest] if "--dry-run" not in rest:
            # It would change the book, and refuses the smoke runs made here.
            return [*words, "--dry-run"]
        case ["conda" | "source", *_]:  # no conda here; no environment in the clone
            return None
    return words


def git(*words, folder):
    command = ["git", "-C", folder, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    """Run every command, one after the other, in a clone without data sets."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone of the repository, so that none can be made of it")
    clone = tmp_path_factory.mktemp("readme") / "clone"
    git("clone", "--quiet", ROOT, clone, folder=ROOT)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MIXFLOW_")}
    environment["PYTHONPATH"] = str(clone)
    environment["PATH"] = f"{Path(sys.prefix, 'bin')}{os.pathsep}{environment['PATH']}"
    commands = map(affordable, [*IN_BLOCKS, *IN_TEXT])
    failed = []
    for words in dict.fromkeys(tuple(words) for words in commands if words):
        done = subprocess.run(words, cwd=clone, env=environment, capture_output=True, text=True)
        if done.returncode:
            failed.append(f"{shlex.join(words)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return clone, failed


def test_every_command_works(tried):
    assert not tried[1], "\n\n".join(tried[1])


def test_commands_leave_nothing_that_git_would_add(tried):
    assert not git("status", "--porcelain", folder=tried[0])


def test_commands_leave_the_book_alone(tried):
    """Nothing in its folder is new or other, what git ignores included."""
    assert not git("status", "--porcelain", "--ignored", "--", "book", folder=tried[0])
