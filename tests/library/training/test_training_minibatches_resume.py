"""A fit by minibatches that was cut, amid an epoch or between two, ends as one that was not."""

import subprocess
import sys

import killed_vi
import pandas as pd
import pytest
import torch

METHODS = ("vi", "em")


def assert_same(first, second):
    theirs = second[0].module.state_dict()
    for name, tensor in first[0].module.state_dict().items():
        assert torch.equal(tensor, theirs[name]), name
    pd.testing.assert_frame_equal(
        pd.DataFrame(first[1].history), pd.DataFrame(second[1].history), check_exact=True
    )
    assert torch.equal(first[0].weights, second[0].weights)
    assert first[1].best_epoch == second[1].best_epoch


@pytest.fixture(scope="module")
def uncut():
    return {method: killed_vi.run(method, None) for method in METHODS}


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Kill fits with SIGKILL: amid the start, between epochs, amid the ELBO, while writing."""
    folders = {name: tmp_path_factory.mktemp(name) for name in (*METHODS, "early")}
    arguments = []
    for method in METHODS:
        moments = ["step,3,0", "epoch,1,0", "step,7,0", "save,0,0"]
        arguments += [f"{method},{folders[method]},{moment}" for moment in moments]
    arguments += [f"vi,{folders['early']},step,2,1e9"]
    subprocess.run([sys.executable, killed_vi.__file__, *arguments], check=True)
    return folders


@pytest.mark.parametrize("method", METHODS)
def test_killed_fits_end_as_one_that_was_not(killed, uncut, method):
    folder = killed[method]
    assert len(list(folder.iterdir())) == 2  # the good checkpoint, and half of another
    resumed = killed_vi.run(method, folder)
    assert resumed[1].resumed_from == 3
    assert_same(resumed, uncut[method])


def test_killed_before_the_first_checkpoint_starts_anew(killed, uncut):
    resumed = killed_vi.run("vi", killed["early"])
    assert resumed[1].resumed_from is None
    assert_same(resumed, uncut["vi"])


@pytest.mark.parametrize("step", [1, 2, 4, 5, 6, 9, 15, 22])
def test_stopped_after_any_step(tmp_path, uncut, monkeypatch, step):
    class CutError(Exception):
        pass

    def stop():
        raise CutError

    monkeypatch.setattr(killed_vi, "kill", stop)
    with pytest.raises(CutError):
        killed_vi.run("vi", tmp_path, "step", step)
    assert_same(killed_vi.run("vi", tmp_path), uncut["vi"])


def test_a_finished_fit_is_not_repeated(tmp_path, uncut):
    assert_same(killed_vi.run("vi", tmp_path), uncut["vi"])
    again = killed_vi.run("vi", tmp_path)
    assert again[1].resumed_from == killed_vi.EPOCHS
    assert_same(again, uncut["vi"])


def test_the_checkpoint_of_another_method_is_left_alone(tmp_path, uncut):
    killed_vi.run("em", tmp_path)
    with pytest.warns(UserWarning, match="of a fit with other .*method"):
        other = killed_vi.run("vi", tmp_path)
    assert other[1].resumed_from is None
    assert_same(other, uncut["vi"])
