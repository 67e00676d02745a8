import hashlib
import os
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mixflow.datasets import (
    Dataset,
    DatasetError,
    DatasetFile,
    data_folder,
    download,
    fetch,
    locate,
    verify,
)
from mixflow.datasets.download import pooch as the_pooch
from mixflow.datasets.registry import REGISTRY

CONTENT = b"1 2 3\n4 5 6\n"
FLIPPED = bytes([CONTENT[0] ^ 1]) + CONTENT[1:]
NOWHERE = "http://127.0.0.1:9/toy.txt"


@pytest.fixture
def server(folders, monkeypatch) -> Iterator[str]:
    """Serve the folder ``served`` on this machine and give its address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folders["served"]))
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture
def register(monkeypatch):
    """Return a function that registers a data set ``toy`` with one file, ``toy/toy.txt``."""

    def add(*urls: str, rebuildable: bool = False) -> DatasetFile:
        digest = hashlib.sha256(CONTENT).hexdigest()
        item = DatasetFile("toy/toy.txt", len(CONTENT), digest, urls, rebuildable=rebuildable)
        record = Dataset("toy", "files", "a toy", "MIT", "nobody", "made up", files=(item,))
        monkeypatch.setitem(REGISTRY, "toy", record)
        return item

    return add


@pytest.fixture
def put(folders):
    """Return a function that writes a file into one of the temporary folders."""

    def write(folder: str, content: bytes = CONTENT, name: str = "toy/toy.txt") -> Path:
        path = folders[folder] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return write


def test_data_folder_comes_before_the_cache(register, put):
    register()
    in_cache = put("cache")
    assert locate("toy", "toy.txt") == in_cache
    in_data = put("data")
    assert locate("toy", "toy/toy.txt") == in_data
    assert fetch("toy") == [in_data]


def test_relative_data_folder_is_resolved(register, put, folders, monkeypatch):
    register()
    path = put("data")
    monkeypatch.chdir(folders["cache"])
    monkeypatch.setenv("MIXFLOW_DATA", "../data")
    assert locate("toy", "toy.txt").is_absolute()
    assert locate("toy", "toy.txt").samefile(path)


@pytest.mark.parametrize("value", ["", "  "])
def test_empty_variable_means_none(value, monkeypatch):
    monkeypatch.setenv("MIXFLOW_DATA", value)
    assert data_folder() is None


def test_missing_file_without_url(register, folders):
    item = register()
    with pytest.raises(DatasetError) as caught:
        locate("toy", "toy.txt")
    message = str(caught.value)
    assert "'toy': the file toy/toy.txt is missing" in message
    assert all(str(folders[name] / "toy" / "toy.txt") in message for name in ("data", "cache"))
    assert item.sha256 in message
    assert "found:     missing" in message
    assert "made up" in message
    assert "MIXFLOW_DATA" in message


def test_missing_norb_says_how_to_make_it(folders):
    with pytest.raises(DatasetError, match=r"mixflow\.datasets\.make_norb\(folder\)"):
        locate("norb", "smallnorb-2x32x32.npz")


@pytest.mark.parametrize("content", [FLIPPED, CONTENT[:-1], b""])
def test_corrupt_file_in_data_folder_is_an_error(register, put, server, content):
    item = register(f"{server}/toy.txt")
    path = put("data", content)
    put("cache")
    put("served", name="toy.txt")
    with pytest.raises(DatasetError) as caught:
        locate("toy", "toy.txt")
    message = str(caught.value)
    (state,) = verify("toy")
    assert "is corrupt" in message
    assert all(part in message for part in (str(path), item.sha256, state.found, *item.urls))
    assert path.read_bytes() == content


def test_every_load_checks_again(register, put):
    register()
    path = put("data")
    locate("toy", "toy.txt")
    path.write_bytes(FLIPPED)
    os.utime(path, ns=(1, 1))
    with pytest.raises(DatasetError, match="corrupt"):
        locate("toy", "toy.txt")


def test_verify_reports_and_does_not_download(register, put, server, folders):
    item = register(f"{server}/toy.txt")
    put("served", name="toy.txt")
    (state,) = verify("toy")
    assert (state.file, state.status, state.found) == ("toy/toy.txt", "missing", "missing")
    assert state.path == folders["data"] / "toy/toy.txt"
    put("cache", FLIPPED)
    (state,) = verify("toy")
    assert state.status == "corrupt"
    assert state.found != state.expected == item.sha256
    put("data")
    (state,) = verify("toy")
    assert (state.status, state.found) == ("ok", item.sha256)


def test_verify_survives_what_cannot_be_read(register, folders):
    register()
    (folders["data"] / "toy/toy.txt").mkdir(parents=True)
    (state,) = verify("toy")
    assert state.status == "corrupt"
    assert state.found.startswith("unreadable: ")
    with pytest.raises(DatasetError, match="unreadable"):
        locate("toy", "toy.txt")


def test_dangling_link_is_reported(register, folders):
    register()
    (folders["data"] / "toy").mkdir()
    (folders["data"] / "toy/toy.txt").symlink_to("nowhere")
    assert verify("toy")[0].status == "corrupt"


def test_data_without_files():
    assert verify("pinwheel") == fetch("digits") == []
    with pytest.raises(ValueError, match="did you mean 'pinwheel'"):
        verify("pinwheal")


def test_download_into_the_cache(register, put, server, folders):
    register(f"{server}/toy.txt")
    put("served", name="toy.txt")
    path = locate("toy", "toy.txt")
    assert path == folders["cache"] / "toy/toy.txt"
    assert path.read_bytes() == CONTENT
    assert os.listdir(path.parent) == ["toy.txt"]
    assert not os.listdir(folders["data"])


def test_no_download_when_told(register, put, server):
    register(f"{server}/toy.txt")
    put("served", name="toy.txt")
    with pytest.raises(DatasetError, match="missing"):
        locate("toy", "toy.txt", download=False)


def test_next_url_is_tried(register, put, server):
    register(NOWHERE, f"{server}/absent.txt", f"{server}/toy.txt")
    put("served", name="toy.txt")
    assert fetch("toy")[0].read_bytes() == CONTENT


def test_corrupt_download_leaves_nothing(register, put, server, folders):
    item = register(f"{server}/toy.txt", f"{server}/absent.txt")
    put("served", FLIPPED, name="toy.txt")
    with pytest.raises(DatasetError) as caught:
        locate("toy", "toy.txt")
    message = str(caught.value)
    assert message.count("download failed: ") == 2
    assert "404" in message
    assert all(part in message for part in (item.sha256, *item.urls))
    assert not [path for path in folders["cache"].rglob("*") if path.is_file()]


def test_corrupt_cache_is_downloaded_again(register, put, server):
    register(f"{server}/toy.txt")
    path = put("cache", FLIPPED)
    put("served", name="toy.txt")
    assert locate("toy", "toy.txt") == path
    assert path.read_bytes() == CONTENT


def test_corrupt_cache_without_connection(register, put):
    register(NOWHERE)
    path = put("cache", FLIPPED)
    with pytest.raises(DatasetError, match="is corrupt[^$]*download failed: "):
        locate("toy", "toy.txt")
    assert path.read_bytes() == FLIPPED


def test_member_of_an_archive(register, server, folders):
    register(f"{server}/toy.zip#toy.txt")
    with zipfile.ZipFile(folders["served"] / "toy.zip", "w") as archive:
        archive.writestr("toy.txt", CONTENT)
    assert locate("toy", "toy.txt").read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["toy.zip", "broken.zip"])
def test_archive_without_the_member_or_broken(register, put, server, folders, name):
    register(f"{server}/{name}#toy.txt")
    with zipfile.ZipFile(folders["served"] / "toy.zip", "w") as archive:
        archive.writestr("other.txt", CONTENT)
    put("served", b"not an archive", name="broken.zip")
    with pytest.raises(DatasetError, match="serves (no zip archive|an archive without that mem)"):
        locate("toy", "toy.txt")
    assert not [path for path in folders["cache"].rglob("*") if path.is_file()]


def test_cache_that_cannot_be_written(register, put, server, folders):
    register(f"{server}/toy.txt")
    put("served", name="toy.txt")
    (folders["cache"] / "toy").write_text("a file where the folder should be")
    with pytest.raises(DatasetError, match="was not saved: .*/toy cannot be written"):
        locate("toy", "toy.txt")


@pytest.fixture
def faulty(monkeypatch):
    """Return a function that serves ``toy.txt`` after some faults, and counts the requests."""
    monkeypatch.setattr(download, "WAIT_SECONDS", 0.01)
    monkeypatch.setattr(download, "READ_SECONDS", 0.3)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running = []

    def serve(*faults):
        asked, left = [], list(faults)

        class Faulty(BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                (left.pop(0) if left else good)(self)

            def log_message(self, *args):
                pass

        http = ThreadingHTTPServer(("127.0.0.1", 0), Faulty)
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        running.append((http, thread))
        return f"http://127.0.0.1:{http.server_port}/toy.txt", asked

    yield serve
    for http, thread in running:
        http.shutdown()
        thread.join()
        http.server_close()


def answer(request, code=200, content=CONTENT, length=None):
    request.send_response(code)
    request.send_header("Content-Length", str(len(content) if length is None else length))
    request.end_headers()
    request.wfile.write(content)


def good(request):
    answer(request)


def busy(request):
    answer(request, 503, b"")


def cut(request):
    answer(request, content=CONTENT[:4], length=len(CONTENT))
    request.close_connection = True


def short(request):
    answer(request, content=CONTENT[:4])


def silent(request):
    time.sleep(0.6)


def hung_up(request):
    request.connection.close()


@pytest.mark.parametrize("fault", [busy, cut, short, silent, hung_up])
def test_a_fault_that_passes_is_followed_by_further_tries(register, folders, faulty, fault, capsys):
    url, asked = faulty(fault, fault)
    register(url)
    path = locate("toy", "toy.txt")
    assert path.read_bytes() == CONTENT
    assert len(asked) == 3
    assert os.listdir(path.parent) == ["toy.txt"]
    assert "the next try is in 0.02 s" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (busy, "answered 503 Service Unavailable"),
        (silent, "did not answer in time"),
        (hung_up, "broke off"),
        (cut, "broke off"),
    ],
)
def test_a_fault_that_does_not_pass_is_told_in_words(register, folders, faulty, fault, words):
    url, asked = faulty(*[fault] * 9)
    item = register(url)
    with pytest.raises(DatasetError) as caught:
        locate("toy", "toy.txt")
    message = str(caught.value)
    assert message.endswith(f"  download failed: {url} {words} (tried 3 times)")
    assert len(asked) == 3
    second = message.splitlines()[1]
    assert second.startswith("Put a copy where it is looked for, or run `mixflow data fetch toy`")
    assert "MIXFLOW_DATA" in second
    assert item.sha256 in message
    assert str(folders["data"] / "toy" / "toy.txt") in message
    assert "HTTPConnection" not in message
    assert not [path for path in folders["cache"].rglob("*") if path.is_file()]


def missing(request):
    answer(request, 404, b"")


def other(request):
    answer(request, content=FLIPPED)


@pytest.mark.parametrize(("fault", "words"), [(missing, "answered 404"), (other, "another file")])
def test_what_no_further_try_mends_is_asked_once(register, folders, faulty, fault, words):
    url, asked = faulty(fault)
    register(url)
    with pytest.raises(DatasetError, match=words):
        locate("toy", "toy.txt")
    assert len(asked) == 1


def test_no_network_is_told_in_words(register, folders):
    register(NOWHERE, "http://no.such.host.invalid/toy.txt")
    began = time.monotonic()
    with pytest.raises(DatasetError) as caught:
        locate("toy", "toy.txt")
    assert str(caught.value).count("could not be reached (no network?)") == 2
    assert time.monotonic() - began < 10


def test_a_full_disk_is_told_in_words(register, put, server, monkeypatch):
    register(f"{server}/toy.txt")
    put("served", name="toy.txt")

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DatasetError, match="no space left for .*toy"):
        locate("toy", "toy.txt")


def test_what_killed_downloads_left_is_swept(register, put, server, folders):
    register(f"{server}/toy.txt")
    put("served", name="toy.txt")
    for left in ("tmp1a2b_3c4", ".toy.txt.a1b2.partial"):
        put("cache", b"left", f"toy/{left}")
    assert os.listdir(locate("toy", "toy.txt").parent) == ["toy.txt"]


def test_sidecar_counts_for_rebuildable_files_only(register, put):
    item = register()
    path = put("data", FLIPPED)
    found = verify("toy")[0].found
    path.with_name("toy.txt.sha256").write_text(found + "\n")
    assert verify("toy")[0].status == "corrupt"
    register(rebuildable=True)
    (state,) = verify("toy")
    assert (state.status, state.expected) == ("ok", found)
    path.write_bytes(CONTENT[:3])
    assert verify("toy")[0].status == "corrupt"
    put("data")
    assert verify("toy")[0].expected == item.sha256


def test_pooch_does_not_ask_for_widgets(tmp_path, monkeypatch, recwarn):
    """Its progress bar does, when it is first imported in a notebook without them."""
    (tmp_path / "pooch.py").write_text(
        "import warnings\nwarnings.warn('IProgress not found. Please update jupyter')\n"
        "warnings.warn('another')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "pooch")
    assert the_pooch().__file__ == str(tmp_path / "pooch.py")
    assert [str(warning.message) for warning in recwarn] == ["another"]
    del sys.modules["pooch"]
