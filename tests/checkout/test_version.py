"""The version is one number, and the changelog knows it."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
# Heading -> text below it.
SECTIONS = dict(re.findall(r"^## \[(.+?)\].*\n((?:(?!## ).*\n)*)", CHANGELOG, flags=re.M))
KINDS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")


def version(name):
    return tomllib.loads((ROOT / name).read_text())["project"]["version"]


def test_library_companion_and_citation_have_one_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"]
    assert version("pyproject.toml") == version("companion/pyproject.toml") == citation


def test_the_changelog_has_this_version_and_what_comes_after():
    newest, *others = (name for name in SECTIONS if name != "Unreleased")
    assert newest == version("pyproject.toml")
    assert [*SECTIONS] in ([newest, *others], ["Unreleased", newest, *others])


def test_the_changelog_is_sorted_by_kinds():
    for name, text in SECTIONS.items():
        kinds = re.findall(r"^### (.+)$", text, flags=re.M)
        assert kinds == [kind for kind in KINDS if kind in kinds], name
        assert text.strip() or name == "Unreleased", name
