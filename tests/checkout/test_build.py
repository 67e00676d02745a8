"""What `make book` says, and that its offline build has no network."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from companion.book.notebook import run_notebook

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def book():
    spec = importlib.util.spec_from_file_location("book_build", ROOT / "workflow" / "book.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def progress(book, tmp_path, monkeypatch):
    monkeypatch.setattr(book, "ROOT", tmp_path)
    found = book.Progress()
    for line in (
        "job         count",
        "notebook       20",
        "Finished jobid: 3 (Rule: notebook)",
        "RuleException:",
        "Command 'set -euo pipefail;  python -m mixflow notebook notebooks/a_page_3.py --out pages "
        " > _build/logs/a_page_3.log 2>&1' returned non-zero exit status 1.",
    ):
        found.read(line)
    return found


def test_progress_is_read_off_snakemake(progress, tmp_path):
    assert (progress.planned, progress.made) == (20, 1)
    assert progress.failed == [tmp_path / "_build/logs/a_page_3.log"]


def test_a_failure_names_its_reason_last(book, progress, tmp_path):
    log = tmp_path / "_build/logs/a_page_3.log"
    log.parent.mkdir(parents=True)
    log.write_text("a bar\nerror: a_page_3.py: cell 4 failed: KeyError: 'x'\n")
    lines = book.why_not(progress)
    assert lines[0] == (
        "The book was not built. Made anew and kept: 1 page. Mend what the last lines name, then "
        "make book again."
    )
    assert lines[-1] == "error: a_page_3.py: cell 4 failed: KeyError: 'x'"
    assert len(lines) <= 6


def test_the_summary_fits_ten_lines(book, progress):
    lines = book.summary(progress.made, [f"page, cell {n}: note" for n in range(50)], 75.0)
    assert len(lines) <= 10
    assert lines[0] == "1 page made anew in 1.2 min."
    assert lines[-1].startswith("The book: file://")


def test_of_jupyter_book_the_warnings_are_the_reason(book):
    log = "reading sources... 3\n/x/03.ipynb:1: WARNING: no target: 'y'\nbuild finished\n"
    assert book.reason(log) == ["/x/03.ipynb:1: WARNING: no target: 'y'"]
    assert book.reason("a\n\nb\n") == ["a", "b"]


def test_notes_and_warnings_are_found_in_pages(book, tmp_path):
    warning = {"output_type": "stream", "name": "stderr", "text": "careful"}
    lacking = {"output_type": "display_data", "metadata": {"mixflow_lacks": "fetch it"}}
    cells = [
        {"metadata": {}, "outputs": [lacking]},
        {"metadata": {}, "outputs": [warning]},
        {"metadata": {"tags": ["remove-stderr"]}, "outputs": [warning]},
    ]
    for name in ("a_page_1.ipynb", "a_page_2.partial.ipynb"):
        (tmp_path / name).write_text(json.dumps({"cells": cells}))
    found = book.looked_through(tmp_path)
    assert found == (["a_page_1, cell 1: fetch it"], ["a_page_1, cell 2"])


NETWORK = """\
# %% tags=["parameters"]
n = 1
# %%
import socket
for ask in (lambda: socket.create_connection(("192.0.2.1", 80)),
            lambda: socket.getaddrinfo("example.org", 80)):
    try:
        ask()
    except OSError as error:
        print(error.strerror)
"""


def test_offline_means_no_network_in_a_kernel_either(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{ROOT / 'workflow' / 'offline'}{os.pathsep}{ROOT}")
    monkeypatch.setenv("MIXFLOW_REFUSED", str(tmp_path / "refused"))
    (tmp_path / "page.py").write_text(NETWORK)
    page = json.loads(run_notebook(tmp_path / "page.py", out=tmp_path / "out").read_text())
    said = "".join(page["cells"][1]["outputs"][0]["text"])
    assert said.count("the network is refused here") == 2
    assert (tmp_path / "refused").read_text().split() == ["192.0.2.1", "example.org"]


def test_offline_means_no_network_in_any_python_process(tmp_path):
    log = tmp_path / "refused"
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "workflow" / "offline"),
        "MIXFLOW_REFUSED": str(log),
    }
    code = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert "the network is refused here; 192.0.2.1 was asked for" in done.stderr
    assert log.read_text() == "192.0.2.1\n"
