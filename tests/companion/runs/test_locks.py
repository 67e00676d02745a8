"""Locks between processes, with processes."""

import multiprocessing
import os
import signal

import pytest

from companion.runs.locks import BusyError, held

fork = multiprocessing.get_context("fork")


def hold(path, ours):
    with held(path, "at it"):
        ours.send("held")
        ours.recv()


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock, and a function that makes it let go."""
    here, there = fork.Pipe()
    process = fork.Process(target=hold, args=(tmp_path / "deep" / "lock", there))
    process.start()
    assert here.recv() == "held"

    def let_go():
        here.send("enough")
        process.join()

    yield process, let_go
    process.kill()
    process.join()


def test_whoever_comes_second_hears_who_is_first(holder, tmp_path):
    process, let_go = holder
    for _ in range(2):  # asking does not wipe the answer
        with (
            pytest.raises(BusyError, match=f"process {process.pid} is at it; wait"),
            held(tmp_path / "deep" / "lock", "at it"),
        ):
            pass
    let_go()
    assert os.listdir(tmp_path / "deep") == []


def test_a_killed_holder_is_followed_by_the_next(holder, tmp_path):
    process, _ = holder
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert os.listdir(tmp_path / "deep") == ["lock"]
    with held(tmp_path / "deep" / "lock", "at it"):
        assert (tmp_path / "deep" / "lock").read_text() == f"{os.getpid()}\n"
    assert os.listdir(tmp_path / "deep") == []


def test_one_process_does_not_hold_it_twice(tmp_path):
    path, me = tmp_path / "lock", f"process {os.getpid()} is"
    with held(path, "at it"):
        with pytest.raises(BusyError, match=me), held(path, "at it"):
            pass
        assert path.exists()


def count(path, total, n):
    for _ in range(n):
        while True:
            try:
                with held(path, "counting"):
                    total.value += 1  # lost where two are inside
                break
            except BusyError:
                pass


def test_no_two_are_inside_though_the_file_comes_and_goes(tmp_path):
    total = fork.RawValue("i", 0)
    processes = [fork.Process(target=count, args=(tmp_path / "lock", total, 50)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert total.value == 200
    assert os.listdir(tmp_path) == []


def test_a_folder_that_is_none(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="exists|directory"), held(tmp_path / "file" / "lock", ""):
        pass
