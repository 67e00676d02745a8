import multiprocessing
import os
import signal
import threading

import pytest

from mixflow import files


def test_new_content_replaces_old_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "a.json"
    for content in (b"old", b"new"):
        files.write_atomically(path, content)
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    files.write_atomically(path, b"old")

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        files.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.json"]


def write_and_die(path):
    files.os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)
    files.write_atomically(path, b"lost")


def test_what_a_killed_writer_left_is_swept_by_the_next(tmp_path):
    path = tmp_path / "a.json"
    process = multiprocessing.get_context("fork").Process(target=write_and_die, args=(path,))
    process.start()
    process.join()
    assert len(list(tmp_path.glob(".a.json.*.partial"))) == 1
    files.write_atomically(path, b"kept")
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_living_writer_is_not_swept(tmp_path, monkeypatch):
    path, sync = tmp_path / "a.json", os.fsync
    monkeypatch.setattr(files.os, "fsync", lambda handle: (files.sweep(tmp_path), sync(handle)))
    files.write_atomically(path, b"kept")
    assert path.read_bytes() == b"kept"


def test_threads_that_write_one_path_do_not_disturb_each_other(tmp_path):
    path, failed = tmp_path / "a.bin", []

    def write(number):
        try:
            for _ in range(20):
                files.write_atomically(path, bytes([number]) * 1000)
        except OSError as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len(set(path.read_bytes())) == 1
    assert os.listdir(tmp_path) == ["a.bin"]
