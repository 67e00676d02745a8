"""Checkpoints: whole or not at all, and a fit that was cut ends as one that was not."""

import errno
import subprocess
import sys
import warnings

import killed_fit
import pandas as pd
import pytest
import torch
from torch import nn

from mixflow.training.checkpoints import (
    Checkpoint,
    load_checkpoint,
    load_optimizer_tensors,
    optimizer_tensors,
    save_checkpoint,
)


def assert_same(first, second):
    for name, tensor in first[0].state_dict().items():
        assert torch.equal(tensor, second[0].state_dict()[name]), name
    pd.testing.assert_frame_equal(
        pd.DataFrame(first[1].history), pd.DataFrame(second[1].history), check_exact=True
    )
    assert first[1].best_epoch == second[1].best_epoch


@pytest.fixture(scope="module")
def uncut():
    return killed_fit.run(None)


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Kill fits with SIGKILL: in the first epoch, between epochs, while writing, later."""
    folder, early = tmp_path_factory.mktemp("killed"), tmp_path_factory.mktemp("early")
    moments = [f"{folder},step,3,0", f"{folder},epoch,1,0", f"{folder},step,9,0"]
    moments += [f"{folder},save,0,0", f"{early},step,2,1e9"]
    subprocess.run([sys.executable, killed_fit.__file__, *moments], check=True)
    return folder, early


def test_killed_fits_end_as_one_that_was_not(killed, uncut):
    folder = killed[0]
    assert len(list(folder.iterdir())) == 2  # the good checkpoint, and half of another
    resumed = killed_fit.run(folder)
    assert resumed[1].resumed_from == 4
    assert_same(resumed, uncut)
    assert [path.name for path in folder.iterdir()] == ["fit.safetensors"]


def test_killed_before_the_first_checkpoint_starts_anew(killed, uncut):
    folder = killed[1]
    assert list(folder.iterdir()) == []
    resumed = killed_fit.run(folder)
    assert resumed[1].resumed_from is None
    assert_same(resumed, uncut)


def test_checkpoints_change_nothing_and_a_finished_fit_is_not_repeated(tmp_path, uncut):
    assert_same(killed_fit.run(tmp_path), uncut)
    again = killed_fit.run(tmp_path)
    assert again[1].resumed_from == killed_fit.EPOCHS
    assert_same(again, uncut)


@pytest.mark.parametrize("step", range(1, 10))
def test_stopped_after_any_step(tmp_path, uncut, monkeypatch, step):
    """As a kill, but in this process: whatever comes after step n + 1 began is lost."""

    class CutError(Exception):
        pass

    def stop():
        raise CutError

    monkeypatch.setattr(killed_fit, "kill", stop)
    with pytest.raises(CutError):
        killed_fit.run(tmp_path, "step", step)
    assert_same(killed_fit.run(tmp_path), uncut)


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "fit.safetensors"
    tensors = {"a": torch.randn(5, 3), "b/c": torch.zeros(2, dtype=torch.bool), "d": torch.ones(())}
    save_checkpoint(path, Checkpoint(tensors, {"epoch": 3, "best": float("-inf")}))
    return path, tensors


def test_a_checkpoint_reads_as_written(saved):
    path, tensors = saved
    checkpoint = load_checkpoint(path)
    assert checkpoint.record == {"epoch": 3, "best": float("-inf")}
    assert checkpoint.tensors.keys() == tensors.keys()
    assert all(torch.equal(tensors[name], checkpoint.tensors[name]) for name in tensors)
    assert list(checkpoint.part("b")) == ["c"]


def test_no_checkpoint_is_none(tmp_path):
    assert load_checkpoint(tmp_path / "none") is None


def test_truncated_files_are_ignored_with_a_warning(saved):
    path = saved[0]
    content = path.read_bytes()
    for size in range(0, len(content), 29):
        path.write_bytes(content[:size])
        with pytest.warns(UserWarning, match="ignoring the damaged checkpoint"):
            assert load_checkpoint(path) is None


def test_a_flipped_bit_anywhere_is_noticed(saved):
    path = saved[0]
    content = path.read_bytes()
    for position in range(0, len(content), 3):
        damaged = bytearray(content)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        with pytest.warns(UserWarning, match="ignoring the damaged checkpoint"):
            assert load_checkpoint(path) is None, position


def test_a_damaged_checkpoint_restarts_the_fit(tmp_path, uncut):
    killed_fit.run(tmp_path)
    path = tmp_path / "fit.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.warns(UserWarning, match="damaged checkpoint"):
        again = killed_fit.run(tmp_path)
    assert again[1].resumed_from is None
    assert_same(again, uncut)


def test_a_write_that_fails_leaves_the_old_file(saved, monkeypatch):
    path = saved[0]
    before = path.read_bytes()

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("mixflow.files.os.fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        save_checkpoint(path, Checkpoint({"a": torch.ones(300_000)}))
    message = str(caught.value)
    assert caught.value.errno == errno.ENOSPC
    assert f"make room in {path.parent}, or" in message
    assert "it needs 1.20 MB, and " in message
    assert message.endswith("The same call then goes on from the last good checkpoint")
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_first_checkpoint_that_fails_says_so(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"make room in .*file, or .*then starts anew"):
        save_checkpoint(tmp_path / "file" / "fit.safetensors", Checkpoint({"a": torch.ones(3)}))


def test_loading_executes_nothing(tmp_path):
    """A pickle is no checkpoint."""
    path = tmp_path / "fit.safetensors"
    torch.save({"a": torch.ones(3)}, path)
    with pytest.warns(UserWarning, match="damaged"):
        assert load_checkpoint(path) is None


def test_optimizer_state_goes_there_and_back():
    def train(module, optimizer, steps):
        for _ in range(steps):
            optimizer.zero_grad()
            module(torch.ones(1, 2)).square().sum().backward()
            optimizer.step()

    torch.manual_seed(0)
    one = nn.Linear(2, 2)
    first = torch.optim.AdamW(one.parameters(), lr=0.1, fused=True)
    train(one, first, 3)
    two = nn.Linear(2, 2)
    two.load_state_dict(one.state_dict())
    second = torch.optim.AdamW(two.parameters(), lr=0.1, fused=True)
    load_optimizer_tensors(second, {n: t.clone() for n, t in optimizer_tensors(first).items()})
    train(one, first, 2)
    train(two, second, 2)
    assert torch.equal(one.weight, two.weight)


def test_no_warning_without_damage(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        killed_fit.run(tmp_path)
        killed_fit.run(tmp_path)
