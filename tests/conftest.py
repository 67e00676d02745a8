"""Fixtures: real files where they are at hand, empty folders where not."""

from pathlib import Path

import pooch
import pytest

from mixflow.datasets import verify


@pytest.fixture(scope="session")
def real():
    """Return a function that skips the test unless all files of a data set are at hand."""

    def need(name: str) -> str:
        bad = [state for state in verify(name) if state.status == "missing"]
        if bad:
            pytest.skip(f"{bad[0].file} is in neither MIXFLOW_DATA nor the cache")
        return name

    return need


@pytest.fixture
def folders(tmp_path, monkeypatch) -> dict[str, Path]:
    """Point data folder and cache to empty temporary folders."""
    found = {name: tmp_path / name for name in ("data", "cache", "served")}
    for folder in found.values():
        folder.mkdir()
    monkeypatch.setenv("MIXFLOW_DATA", str(found["data"]))
    monkeypatch.setattr(pooch, "os_cache", lambda name: found["cache"])
    return found
