"""The files that a host of repositories reads: whole, and true where they name our names."""

import re
from pathlib import Path

import pytest
import yaml

import mixflow
from companion.runs.registry import find

ROOT = Path(__file__).parents[2]
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
KINDS = {"markdown", "input", "textarea", "dropdown", "checkboxes"}


@pytest.mark.parametrize("path", [p for p in FORMS if p.stem != "config"], ids=lambda p: p.stem)
def test_forms_for_issues_have_what_github_asks_for(path):
    form = yaml.safe_load(path.read_text())
    assert {"name", "description", "body"} <= set(form)
    assert {field["type"] for field in form["body"]} <= KINDS
    ids = [field["id"] for field in form["body"]]
    assert len(ids) == len({*ids})
    assert all(field["attributes"]["label"] for field in form["body"])
    for name in re.findall(r"mixflow run (\S+)", path.read_text()):
        find(name)


@pytest.mark.parametrize("name", ["CODE_OF_CONDUCT.md", "SECURITY.md"])
def test_a_report_goes_to_someone_in_private(name):
    text = (ROOT / name).read_text()
    assert "in private, never in a public issue" in re.sub(r"\s+", " ", text)
    for thing in re.findall(r"`mixflow\.(\w+)`", text):
        assert hasattr(mixflow, thing)
