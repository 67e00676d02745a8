"""A fit that was cut after any of its checkpoints, the last included, ends with the same bits."""

import shutil

import kills
import pytest

from mixflow.training import resume

KINDS = {
    "vectors": (kills.vectors, 5),
    "stopped early": (kills.stopped_early, 4),
    "images": (kills.images, 3),
    "vi": (kills.vi, 3),
    "classifier": (kills.classifier, 3),
    "stochastic EM": (kills.stochastic, 3),
}


@pytest.fixture
def saves(monkeypatch, tmp_path):
    """Keep a copy of every checkpoint; return the list that they go to."""
    kept, plain = [], resume.save_checkpoint

    def save(path, checkpoint):
        plain(path, checkpoint)
        folder = tmp_path / f"{len(kept)}"
        folder.mkdir()
        shutil.copy(path, folder)
        kept.append((folder, checkpoint.record["epoch"], checkpoint.record["step"]))

    monkeypatch.setattr(resume, "save_checkpoint", save)
    yield kept
    monkeypatch.undo()


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.filterwarnings("error:ignoring")
def test_cut_at_every_save(name, saves, tmp_path, monkeypatch):
    kind, epochs = KINDS[name]
    expected = kind(None, epochs, 0)
    assert kind(tmp_path / "whole", epochs, 0) == expected
    monkeypatch.undo()
    # After every step, after every epoch, and at the end.
    assert len({(epoch, step) for _, epoch, step in saves}) >= 2 * epochs
    assert saves[-1][1:] == saves[-2][1:] == (saves[-1][1], 0)
    ends = {(epoch, step): kind(folder, epochs, 1e9) for folder, epoch, step in saves}
    assert [place for place, end in ends.items() if end != expected] == []


def test_the_early_end_is_early(tmp_path):
    kills.stopped_early(tmp_path, 4, 0)
    checkpoint = resume.load_checkpoint(tmp_path / resume.CHECKPOINT)
    assert checkpoint.record["misses"] == 2
    assert checkpoint.record["epoch"] < 12
