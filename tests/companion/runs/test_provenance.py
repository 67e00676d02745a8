import getpass
import json
import os
import platform
import subprocess
from pathlib import Path

import pytest

import companion
from companion.em_gm.table_2.config import Table2
from companion.em_gm.table_2.context import Context
from companion.runs import provenance
from companion.runs.config import Config


def test_collect_is_complete_and_names_no_host(toy):
    start = provenance.Start()
    record = provenance.collect(toy.config(seed=4), start, costs={"parameters": 3})
    assert record["seeds"] == [4]
    assert record["costs"] == {"parameters": 3.0}
    assert record["packages"]["numpy"]
    assert record["device"]["torch"] == "cpu"
    assert record["started"] <= record["finished"]
    assert record["started"].endswith("+00:00")
    text = json.dumps(record)
    assert os.path.expanduser("~") not in text
    assert platform.node() not in text or len(platform.node()) < 4
    assert f'"{getpass.getuser()}"' not in text


def test_data_checksums_come_from_the_registry(monkeypatch, toy, tmp_path):
    monkeypatch.setenv("MIXFLOW_DATA", str(tmp_path))

    class Two(Config):
        dataset: tuple[str, ...] = ("letter", "toy")

    assert list(provenance.data_checksums(Two())) == ["letter/letter-recognition.data"]
    norb = Table2(dataset="norb-8x16-normalised")  # made of Norb's pixels when it is loaded
    assert list(provenance.data_checksums(norb)) == ["norb/smallnorb-2x32x32.npz"]
    others = Context(dataset="norb-8x16-normalised")
    assert provenance.data_checksums(others) == provenance.data_checksums(norb)
    assert provenance.data_checksums(toy.config()) == {}


@pytest.fixture
def repository(tmp_path, monkeypatch):
    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", "-C", tmp_path, *identity, *arguments], check=True)

    package, results = tmp_path / "companion", tmp_path / "book" / "results"
    package.mkdir()
    results.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (results / "rows.csv").write_text("")
    monkeypatch.setattr(companion, "__file__", str(package / "__init__.py"))
    git("init", "-q")
    assert provenance.code_state() == {"commit": None, "dirty": None}
    git("add", ".")
    git("commit", "-q", "-m", "first")
    return tmp_path


def test_code_state(repository: Path):
    state = provenance.code_state()
    assert len(state["commit"]) == 40
    assert state["dirty"] is False
    (repository / "book" / "results" / "rows.csv").write_text("more")
    (repository / "untracked").write_text("")
    assert provenance.code_state()["dirty"] is False
    (repository / "companion" / "__init__.py").write_text("changed = 1")
    assert provenance.code_state()["dirty"] is True


def test_code_state_without_git(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert provenance.code_state() == {"commit": None, "dirty": None}
