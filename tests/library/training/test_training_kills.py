"""A few of the kills that ``python -m tests.library.training.kills`` does by the hundred."""

import os
import subprocess
import sys

import kills
import pytest


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes")
def test_killed_fits_end_as_those_that_were_not():
    arguments = [sys.executable, kills.__file__, "--kills", "5", "--seed", "1"]
    done = subprocess.run(arguments, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("1 kills, 0 different, 0 files left over") == 5


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes")
def test_another_end_and_leftovers_are_noticed(monkeypatch):
    """The harness can fail: a fit that depends on its process, and leaves a file."""

    def bad(folder, epochs, seconds):
        if folder is not None:
            folder.mkdir()
            (folder / "left").touch()
        return str(os.getpid())

    monkeypatch.setitem(kills.KINDS, "bad", (bad, 1))
    found = kills.kill("bad", 0, 0.1, None, None)
    assert found["fits"] == 0
    with monkeypatch.context() as patch:
        ends = iter(["same", None, "other"])
        patch.setattr(kills, "in_a_process", lambda kind, folder, *a: _ended(folder, next(ends)))
        found = kills.kill("bad", 1, 0.1, kills.random.Random(0), kills.tqdm(disable=True))
    assert found == {"fits": 1, "kills": 1, "different": 1, "files left over": 1}


def _ended(folder, digest):
    if folder is not None:
        folder.mkdir(exist_ok=True)
        (folder / "left").touch()
    return digest
