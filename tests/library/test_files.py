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


def test_a_file_is_written_in_pieces_and_read_back_before_it_has_its_name(tmp_path):
    path = tmp_path / "a[1].bin"
    with files.open_atomically(path) as stream:
        stream.write(b"old ")
        stream.write(b"news")
        stream.seek(0)
        assert stream.read() == b"old news"
        assert not path.exists()
    with pytest.raises(TypeError), files.open_atomically(path) as stream:
        stream.write("no bytes")
    assert path.read_bytes() == b"old news"
    assert os.listdir(tmp_path) == ["a[1].bin"]


@pytest.mark.parametrize("text", ["[" * 50_000, "[" * 41 + "]" * 41, '{"a":' * 41 + "1" + "}" * 41])
def test_json_that_is_nested_too_deep(text):
    with pytest.raises(ValueError, match="nested more than 40 levels deep|Expecting value"):
        files.parse_json(text)


def test_json():
    assert files.parse_json("[" * 40 + "]" * 40)
    assert files.parse_json(b'{"a": [1, {"b": null}]}') == {"a": [1, {"b": None}]}
    for text in (b"\xff", "", "9" * 5000, "{"):
        with pytest.raises(ValueError):  # noqa: PT011
            files.parse_json(text)


def test_a_full_disk_is_recognised_however_it_is_told():
    full = OSError(28, "No space left on device")
    wrapped = RuntimeError("writing failed")
    wrapped.__cause__ = full
    assert files.out_of_space(full)
    assert files.out_of_space(wrapped)
    assert files.out_of_space(ValueError("I/O error: No space left on device (os error 28)"))
    assert not files.out_of_space(OSError(13, "Permission denied"))
    assert not files.out_of_space(None)
