"""The notebook runner: what it refuses, what it keeps, and that it repeats itself."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import nbformat
import pandas as pd
import pytest

from companion.book import notebook as notebooks
from companion.book.executed import NotebookError, clean
from companion.book.missing import notes
from companion.book.notebook import check_parameters, parameters_of, run_notebook
from companion.runs.store import Store

TINY = """\
# %% [markdown]
# # Tiny

# %% tags=["parameters"]
seed = 0  # a comment is fine
rate: float = 0.5
labels = ["a"]

# %%
import sys
print(seed, rate, labels)
print("executable", sys.executable == {executable!r})
seed * 2
"""


def write(folder: Path, text: str, name: str = "tiny") -> Path:
    path = folder / f"{name}.py"
    path.write_text(text)
    return path


@pytest.fixture
def no_kernel(monkeypatch):
    """Fail when a kernel would start."""

    def refuse(*args, **how):
        raise AssertionError("a kernel was about to start")

    monkeypatch.setattr(notebooks, "_execute", refuse)


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """One notebook executed twice with the same parameters."""
    folder = tmp_path_factory.mktemp("notebook")
    source = write(folder, TINY.format(executable=sys.executable))
    parameters = {"rate": 1, "seed": 7}
    return [run_notebook(source, out=folder / out, parameters=parameters) for out in ("a", "b")]


def test_unknown_parameter_is_refused_with_the_closest_name(tmp_path, no_kernel):
    with pytest.raises(NotebookError, match="did you mean 'seed'"):
        run_notebook(write(tmp_path, TINY), out=tmp_path / "out", parameters={"sed": 1})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [("seed", "1"), ("seed", True), ("seed", 1.5), ("labels", "a"), ("labels", [1]), ("rate", "x")],
)
def test_wrong_type_is_refused(tmp_path, no_kernel, name, value):
    with pytest.raises(NotebookError, match=f"{name}=.* wrong type"):
        run_notebook(write(tmp_path, TINY), out=tmp_path / "out", parameters={name: value})


def test_values_that_no_cell_can_hold_are_refused():
    with pytest.raises(NotebookError, match="wrong type"):
        check_parameters("page", {"rate": 1.0}, {"rate": float("nan")})
    with pytest.raises(NotebookError, match="wrong type"):
        check_parameters("page", {"anything": None}, {"anything": Path("x")})


@pytest.mark.parametrize(
    "statement", ["n = 2 * 3", "import os", "a, b = 1, 2", "print(1)", "n: int"]
)
def test_parameters_cell_holds_literals_only(tmp_path, statement):
    source = write(tmp_path, f'# %% tags=["parameters"]\n{statement}\n')
    with pytest.raises(NotebookError, match="only name = literal"):
        parameters_of(source)


def test_exactly_one_parameters_cell(tmp_path):
    with pytest.raises(NotebookError, match="0 cells tagged"):
        parameters_of(write(tmp_path, "# %%\nx = 1\n"))


def test_missing_and_foreign_files_are_refused(tmp_path):
    with pytest.raises(NotebookError, match="no notebook"):
        run_notebook(tmp_path / "none.py", out=tmp_path)
    with pytest.raises(NotebookError, match="py:percent"):
        run_notebook(tmp_path / "page.ipynb", out=tmp_path)


def test_experiment_judges_its_own_fields(monkeypatch):
    from companion.runs.config import Config
    from companion.runs.experiment import Experiment

    experiment = Experiment("p/i", "", Config, lambda *_: None, {}, lambda _: [])
    monkeypatch.setattr(notebooks, "find", lambda name: experiment)
    page = {"experiment": "p/i", "profile": "stored", "seed": 0}
    assert check_parameters("page", page, {"profile": "smoke"}) == {"profile": "smoke"}
    assert check_parameters("page", page, {"profile": "stored"}) == {"profile": "stored"}
    with pytest.raises(NotebookError, match="seed=-1"):
        check_parameters("page", page, {"seed": -1})
    with pytest.raises(NotebookError, match="profile 'big' is unknown"):
        check_parameters("page", page, {"profile": "big"})


def test_unknown_experiment_is_refused():
    with pytest.raises(NotebookError, match="no experiment 'em-gm/table-9'"):
        check_parameters("page", {"experiment": "x"}, {"experiment": "em-gm/table-9"})


def test_executed_notebook_has_the_given_values(executed):
    notebook = nbformat.read(executed[0], as_version=4)
    given = notebook.cells[2]
    assert given.source == "# Given for this run\nseed = 7\nrate = 1.0"
    assert given.metadata.tags == ["injected-parameters"]
    stream, result = notebook.cells[3].outputs
    assert stream.text == "7 1.0 ['a']\nexecutable True\n"
    assert result.data["text/plain"] == "14"


def test_metadata_is_clean(executed):
    notebook = json.loads(executed[0].read_text())
    assert set(notebook["metadata"]) == {"kernelspec", "mixflow"}
    assert notebook["metadata"]["mixflow"]["parameters"] == {"seed": "7", "rate": "1.0"}
    for position, cell in enumerate(notebook["cells"]):
        assert cell["id"] == f"cell-{position:03d}"
        assert set(cell["metadata"]) <= {"tags"}
        assert cell.get("execution_count") is None
    assert [path.name for path in executed[0].parent.iterdir()] == ["tiny.ipynb"]


def test_executing_twice_gives_equal_bytes(executed):
    first, second = executed
    assert first.read_bytes() == second.read_bytes()


def test_failing_cell_keeps_the_partial_notebook(tmp_path):
    text = (
        '# %% tags=["parameters"]\nn = 1\n# %%\nprint("before")\n# %%\nassert n > 1, "too small"\n'
    )
    out = tmp_path / "out"
    out.mkdir()
    (out / "tiny.ipynb").write_text("older")
    with pytest.raises(NotebookError, match=r"cell 3 .*AssertionError: too small") as caught:
        run_notebook(write(tmp_path, text), out=out)
    partial = out / "tiny.partial.ipynb"
    assert str(partial) in str(caught.value)
    assert "before" in partial.read_text()
    assert (out / "tiny.ipynb").read_text() == "older"


CELLS = """\
# %% tags=["parameters"]
n = 1
# %%
from companion.runs.store import Store
store = Store()
print(len(list(store.runs())), store.root.name, store.published.name)
(store.root / "made").mkdir(exist_ok=True)
"""


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout with two runs, one of them published, and a page that counts them."""
    from companion.runs.config import Config
    from companion.runs.result import ROW_COLUMNS, Result

    (tmp_path / "_config.yml").touch()
    (tmp_path / "pyproject.toml").touch()
    for folder in ("notebooks", "book"):
        (tmp_path / folder).mkdir()
    rows = pd.DataFrame([("d", "m", "s", 0, "x", 1.0)], columns=list(ROW_COLUMNS))
    for folder, seed in (("book/results", 0), ("mine", 1)):
        Store(tmp_path / folder).save("toy/one", Config(seed=seed), Result(rows), {})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    return tmp_path


def printed(page):
    return nbformat.read(page, as_version=4).cells[-1].outputs[0].text


def test_the_book_s_own_page_shows_what_is_published_alone(checkout, monkeypatch):
    monkeypatch.setenv("MIXFLOW_RESULTS", str(checkout / "mine"))
    source = write(checkout / "notebooks", CELLS)
    page = run_notebook(source, out=Path("book/executed"))
    assert printed(page) == "1 .tiny.runs.partial results\n"
    assert [path.name for path in page.parent.iterdir()] == ["tiny.ipynb"]
    assert printed(run_notebook(source, out=Path("elsewhere"))) == "2 mine results\n"


def test_any_other_page_shows_runs_of_ones_own_on_top(checkout):
    source = write(checkout / "notebooks", CELLS)
    page = run_notebook(source, out=Path("pages"), results=Path("mine"), parameters={"n": 2})
    assert printed(page) == "2 mine results\n"
    assert (checkout / "mine" / "made").is_dir()


def test_a_page_that_is_being_executed(tmp_path, no_kernel):
    from companion.runs.locks import BusyError, held

    source = write(tmp_path, TINY)
    with (
        held(tmp_path / "out" / ".tiny.lock.partial", "executing"),
        pytest.raises(BusyError, match="executing .*tiny.ipynb"),
    ):
        run_notebook(source, out=tmp_path / "out")


def test_what_a_killed_runner_left_is_swept(checkout):
    source = write(checkout / "notebooks", CELLS)
    out = checkout / "book" / "executed"
    (out / ".tiny.runs.partial" / "made").mkdir(parents=True)
    for name in ("tiny.partial.ipynb", ".tiny.lock.partial", ".tiny.ipynb.a1.partial"):
        (out / name).write_text("left")
    run_notebook(source, out=out)
    assert [path.name for path in out.iterdir()] == ["tiny.ipynb"]


def test_tags_in_sentences_are_shown_not_obeyed():
    from nbformat.v4 import new_code_cell, new_notebook, new_output

    text = (
        "**<script>alert(1)</script>** 1 < 2, $a<b$, <img src=x onerror=y> and </p>, "
        "<https://a.b/c>, <svg/onload=x>, <!-- <iframe"
    )
    outputs = [new_output("display_data", data={"text/markdown": text})]
    notebook = clean(new_notebook(cells=[new_code_cell("x", outputs=outputs)]))
    found = notebook.cells[0].outputs[0].data["text/markdown"]
    assert found == (
        "**&lt;script>alert(1)&lt;/script>** 1 < 2, $a<b$, &lt;img src=x onerror=y> and &lt;/p>, "
        "<https://a.b/c>, &lt;svg/onload=x>, &lt;!-- &lt;iframe"
    )


def test_streams_are_joined_and_cell_files_are_anonymous():
    from nbformat.v4 import new_code_cell, new_notebook, new_output

    outputs = [
        new_output("stream", name="stderr", text="/tmp/ipykernel_12/345.py:1: Warning\n"),
        new_output("stream", name="stderr", text="more\n"),
        new_output("stream", name="stdout", text="out\n"),
    ]
    notebook = new_notebook(cells=[new_code_cell("x", outputs=outputs)])
    cleaned = clean(notebook).cells[0].outputs
    assert [output.text for output in cleaned] == ["<cell>:1: Warning\nmore\n", "out\n"]


def test_styled_tables_are_numbered_and_objects_have_no_address():
    from nbformat.v4 import new_code_cell, new_notebook, new_output

    frame = pd.DataFrame({"a": [1]})
    data = [
        {"text/html": frame.style.to_html(), "text/plain": f"<Styler at {n:#x}>"} for n in (17, 42)
    ]
    outputs = [new_output("display_data", data=of) for of in data]
    cell = clean(new_notebook(cells=[new_code_cell("x", outputs=outputs)])).cells[0]
    first, second = (output.data for output in cell.outputs)
    assert first["text/plain"] == second["text/plain"] == "<Styler>"
    assert 'id="T_00000_row0_col0"' in first["text/html"]
    assert second["text/html"] == first["text/html"].replace("T_00000", "T_00001")


LACKING = """\
# %% tags=["parameters"]
n = 1
# %%
from mixflow.datasets import DatasetError, load_split
images = load_split("mnist")
# %%
print(len(images.x_train))
# %%
print("stands")
"""


@pytest.fixture
def no_data(monkeypatch, tmp_path):
    monkeypatch.setenv("MIXFLOW_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    # Refused at once: no server listens there.
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")


def test_a_cell_without_its_data_shows_a_note_and_the_rest_stands(tmp_path, no_data):
    page = nbformat.read(run_notebook(write(tmp_path, LACKING), out=tmp_path / "out"), as_version=4)
    found = list(notes(page))
    assert [number for number, _ in found] == [2, 3]
    assert found[0][1] == found[1][1]
    assert found[0][1].startswith("data set 'mnist': the file mnist/train-images")
    assert "run `mixflow data fetch mnist` when online" in found[0][1]
    assert found[0][1] in page.cells[1].outputs[0].data["text/markdown"]
    assert page.cells[3].outputs[0].text == "stands\n"


def test_a_name_that_nobody_defines_is_an_error_after_a_note_too(tmp_path, no_data):
    text = LACKING + "# %%\nprint(imaegs)\n"
    with pytest.raises(NotebookError, match="cell 5 .*name 'imaegs' is not defined"):
        run_notebook(write(tmp_path, text), out=tmp_path / "out")


GUARDED = sorted((Path(__file__).parent / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", GUARDED, ids=lambda path: path.stem)
def test_guarded_notebook_gives_its_committed_outputs(path, nb_regression):
    """Tiny notebooks with outputs in git; regenerate with ``pytest --nb-force-regen``."""
    nb_regression.diff_ignore = (
        "/metadata/papermill",
        "/metadata/jupytext",
        "/metadata/language_info",
        "/cells/*/execution_count",
        "/cells/*/outputs/*/execution_count",
        "/cells/*/metadata",
    )
    # Seconds and the drawing itself depend on the machine and on matplotlib's version.
    nb_regression.diff_replace = (
        ("/cells/*/outputs/*/text", r"\d+\.\d+ s\b", "T s"),
        ("/cells/*/outputs/*/data/text/html", r"base64,[^\"]+", "base64,SVG"),
    )
    nb_regression.check(path)
