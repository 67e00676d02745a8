"""The hooks of pre-commit: the tools of `make lint`, at the versions of constraints.txt."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
PINS = (ROOT / "constraints.txt").read_text().splitlines()
HOOKS = [
    hook
    for repository in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    for hook in repository["hooks"]
]


def test_hooks_have_the_versions_of_make_lint():
    needed = {pin for hook in HOOKS for pin in hook["additional_dependencies"]}
    assert {pin.partition("==")[0] for pin in needed - {*PINS}} == {"nbstripout"}


def test_hooks_check_what_make_lint_checks():
    rule = re.search(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), flags=re.M)[1]
    tools = set(re.findall(r"\$\(BIN\)/(\w+(?: (?:check|format))?)", rule))
    assert tools == {"ruff check", "ruff format", "codespell"}
    entries = [hook["entry"] for hook in HOOKS]
    assert all(any(entry.startswith(tool) for entry in entries) for tool in tools)


def test_outputs_stay_only_in_notebooks_that_a_test_compares():
    (stripped,) = [hook for hook in HOOKS if hook["id"] == "nbstripout"]
    kept = [path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("*.ipynb")]
    assert kept
    assert all(re.search(stripped["exclude"], name) for name in kept)
    assert not re.search(stripped["exclude"], "notebooks/stray.ipynb")
