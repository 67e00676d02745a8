"""Published tables: what goes in comes out, in bytes that depend on nothing else."""

import itertools
import json
import shlex
import warnings
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from companion.cli import app
from companion.cli.checks.stored import check_results
from companion.runs import compaction, registry
from companion.runs.compaction import compact, put
from companion.runs.published_arrays import command_of
from companion.runs.result import Result
from companion.runs.store import Store
from companion.runs.stored import DamagedRunError
from companion.runs.tables import ARRAYS, ROWS, RUNS, WEIGHTS, entry_line_of, read_table
from mixflow.datasets import DatasetError

ROOT = Path(__file__).parents[3]
MODEL = np.arange(200, dtype=np.uint8)


@pytest.fixture
def working(tmp_path, toy):
    """Three runs, and arrays of which some are published."""
    store = Store(tmp_path / "working")
    for seed, k in ((0, 1), (1, 1), (0, 2)):
        config = toy.config(profile="laptop", seed=seed, n_components=k)
        arrays = {"steps": np.arange(3) + seed, "curve 1/2": np.eye(2), "spare": np.ones(1)}
        result = Result(toy.rows(config), {**arrays, "model": MODEL})
        store.save(toy.name, config, result, {"seconds": 0.1 + seed, "code": {"commit": "é"}})
    return list(store.runs())


@pytest.fixture
def folder(tmp_path, toy):
    return tmp_path / "published" / "toy" / "table-1"


@pytest.fixture
def published(working, folder, toy):
    """The store of these runs, published."""
    publish(working, folder, toy)
    return Store(folder.parents[1])


def publish(runs, folder, toy):
    put(folder, toy.name, [compact(run.place, toy.experiment) for run in runs])


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_what_goes_in_comes_out(published, working):
    found = list(published.runs())
    for run, there in zip(working, found, strict=True):
        assert there.place.record() == run.place.record()
        assert (there.experiment, there.digest) == (run.experiment, run.digest)
        layers = Store(run.path.parents[2], published.root)
        assert layers.is_published(run)
        for name in there.arrays:
            np.testing.assert_array_equal(there.arrays[name], run.arrays[name])
            assert there.arrays[name].dtype == run.arrays[name].dtype
    assert [sorted(run.arrays) for run in found if run.config["n_components"] == 2] == [
        ["curve 1/2", "steps"]
    ]
    before = Store(working[0].path.parents[2]).rows("toy/table-1")
    pd.testing.assert_frame_equal(published.rows("toy/table-1"), before, check_exact=True)


def test_the_order_of_publishing_changes_no_byte(working, folder, toy, published):
    once = contents(folder)
    for number, order in enumerate(itertools.permutations(working)):
        anew = folder.with_name(f"anew-{number}")
        for run in order:
            publish([run], anew, toy)
        assert contents(anew) == once


def test_publishing_again_writes_nothing(working, folder, toy, published, monkeypatch):
    monkeypatch.setattr(compaction, "write_atomically", None)
    publish(working, folder, toy)


def test_a_run_takes_the_place_of_its_old_result(working, folder, toy, published):
    old = next(run for run in working if run.config["n_components"] == 1)
    store = Store(old.path.parents[2])
    store.save(toy.name, toy.experiment.configure(**old.config), Result(old.rows), {"seconds": 9.0})
    publish([store.load(toy.name, toy.experiment.configure(**old.config))], folder, toy)
    found = {run.digest: run for run in published.runs()}
    assert len(found) == 3
    assert found[old.digest].provenance == {"seconds": 9.0}
    assert list(found[old.digest].arrays) == []
    assert not (folder / WEIGHTS / f"{old.digest}.safetensors").exists()


def test_tables_are_lines_that_git_can_compare(published, folder, working):
    rows = (folder / ROWS).read_text().splitlines()
    assert rows[0] == "digest,dataset,model,setting,seed,metric,value"
    assert rows[1:] == sorted(rows[1:], key=lambda line: line[:12])
    lines = [json.loads(line)["run"] for line in (folder / RUNS).read_text().splitlines()]
    assert [line["digest"] for line in lines] == sorted(run.digest for run in working)
    assert all(line["arrays"]["spare"] is None for line in lines)


@pytest.mark.parametrize("name", registry.names())
def test_what_an_experiment_publishes_is_in_its_table(name):
    """A misspelt name would leave an array out."""
    table = read_table(ROOT / "book" / "results" / name)
    assert table is not None
    found = registry.find(name)
    listed = [entry["arrays"] for entry in table.entries.values()]
    there = {array for arrays in listed for array, of in arrays.items() if of is not None}
    for pattern in found.published_arrays:
        assert any(fnmatchcase(array, pattern) for array in there), pattern
    wanted = found.published_weights
    models = {model for entry in table.entries.values() for model in entry["weights"]}
    assert models == (set() if wanted is None else {wanted.name})


# Weights ------------------------------------------------------------------------------------------


def test_weights_are_files_of_their_own(published, folder, working):
    wanted = [run.digest for run in working if run.config["n_components"] == 1]
    files = sorted(path.name for path in (folder / WEIGHTS).iterdir())
    assert files == sorted(f"{digest}.safetensors" for digest in wanted)
    run = next(run for run in published.runs() if run.digest in wanted)
    path = folder / WEIGHTS / f"{run.digest}.safetensors"
    assert path.read_bytes() == MODEL.tobytes()
    np.testing.assert_array_equal(run.arrays["model"], MODEL)
    path.write_bytes(b"cut")
    (again,) = (there for there in published.runs() if there.digest == run.digest)
    with pytest.raises(DamagedRunError, match="is not the file that was published"):
        again.arrays["model"]


def test_large_weights_are_listed_and_read_where_data_lie(
    working, folder, toy, monkeypatch, tmp_path
):
    monkeypatch.setattr(compaction, "LARGEST", 100)
    monkeypatch.setenv("MIXFLOW_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    publish(working, folder, toy)
    assert not (folder / WEIGHTS).exists()
    run = next(run for run in Store(folder.parents[1]).runs() if "model" in run.arrays)
    remedy = f"mixflow run toy/table-1 --profile laptop --only {run.digest} --force"
    with pytest.raises(DatasetError, match=remedy):
        run.arrays["model"]
    path = tmp_path / "data" / "weights" / "toy" / "table-1" / f"{run.digest}.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(MODEL.tobytes())
    np.testing.assert_array_equal(run.arrays["model"], MODEL)
    path.write_bytes(b"other")
    run = next(there for there in Store(folder.parents[1]).runs() if there.digest == run.digest)
    with pytest.raises(DatasetError, match="is corrupt"):
        run.arrays["model"]


def test_what_is_no_model_is_not_published_as_one(working, folder, toy):
    run = next(run for run in working if run.config["n_components"] == 1)
    store = Store(run.path.parents[2])
    config = toy.experiment.configure(**run.config)
    store.save(toy.name, config, Result(run.rows, {"model": np.arange(3.0)}), {})
    with pytest.raises(DamagedRunError, match="model is no packed model, but float64"):
        publish([store.load(toy.name, config)], folder, toy)


def test_an_array_that_was_left_out_has_a_remedy(published):
    run = next(iter(published.runs()))
    assert "spare" not in run.arrays
    with pytest.raises(DatasetError, match=f"without its array 'spare'.* --only {run.digest}"):
        run.arrays["spare"]
    with pytest.raises(KeyError):
        run.arrays["steep"]
    assert run.arrays.get("steep") is None


@pytest.mark.parametrize("name", ["em-gm/single-flow", "em-gm/table-1", "em-gm/table-2"])
def test_the_remedy_computes_that_very_run(name):
    table = read_table(ROOT / "book" / "results" / name)
    assert table is not None
    for digest, entry in itertools.islice(table.entries.items(), 15):
        words = shlex.split(command_of(name, entry["config"], digest))
        output = CliRunner().invoke(app, [*words[1:], "--dry-run"]).output
        assert f"  {digest}  " in output
        assert "\n1 runs of" in output


# Damage -------------------------------------------------------------------------------------------


def intact(store):
    """Return digests of the runs that are read, and the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = [run.digest for run in store.runs()]
        store.rows("toy/table-1")
    return found, [str(warning.message) for warning in caught]


ODD = {
    "cut": lambda line: line[:-9] + b"\n",
    "edited": lambda line: line.replace(b'"seconds": ', b'"seconds": 5'),
    "list": lambda _: b"[]\n",
    "not UTF-8": lambda _: b"\xff\xfe\n",
    "empty": lambda _: b"\n",
    "deep": lambda _: b"[" * 100_000 + b"\n",
    "signed list": lambda _: entry_line_of(b"[]"),
    "signed deep": lambda _: entry_line_of(b"[" * 100_000),
    "signed, no digest": lambda _: entry_line_of(b'{"digest": "../../x"}'),
    "signed, no config": lambda _: entry_line_of(b'{"digest": "0123456789ab", "config": 3}'),
}


@pytest.mark.parametrize("change", ODD.values(), ids=ODD.keys())
def test_one_odd_line_spoils_no_other_run(published, folder, working, change, toy):
    lines = (folder / RUNS).read_bytes().splitlines(keepends=True)
    digest = json.loads(lines[0])["run"]["digest"]
    (folder / RUNS).write_bytes(b"".join([change(lines[0]), *lines[1:]]))
    found, said = intact(published)
    assert found == sorted({run.digest for run in working} - {digest})
    assert any(f"{RUNS}, line 1" in text for text in said)
    assert any(f"rows of {digest}, which {RUNS} does not list" in text for text in said)
    with pytest.raises(DamagedRunError, match="restore it by 'git checkout'"):
        publish([run for run in working if run.digest != digest], folder, toy)


def test_a_line_twice_counts_once_and_is_reported(published, folder):
    lines = (folder / RUNS).read_bytes().splitlines(keepends=True)
    (folder / RUNS).write_bytes(b"".join([*lines, lines[0]]))
    found, said = intact(published)
    assert len(found) == 3
    assert any("line 4: a second line of" in text for text in said)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("accuracy", "precision", 1),
        lambda text: "".join(
            text.splitlines(keepends=True)[:1] + text.splitlines(keepends=True)[2:]
        ),
        lambda text: text[:-3],
        lambda text: text + text.splitlines(keepends=True)[-1],
        lambda text: text.rstrip("\n"),
    ],
)
def test_rows_that_are_not_those_of_the_runs_are_no_rows(published, folder, change):
    (folder / ROWS).write_text(change((folder / ROWS).read_text()))
    found, said = intact(published)
    assert len(found) == 2
    assert any("are not those that were published" in text for text in said)
    assert any("are not those" in text for text in check_results(folder, published))


@pytest.mark.parametrize("name", [RUNS, ROWS])
@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"a,b\n1,2\n"])
def test_a_whole_table_that_is_odd_spoils_no_other_experiment(
    published, folder, toy, name, content
):
    other = Store(folder.parents[1])
    config = toy.config(seed=1)
    other.save("toy/other", config, Result(toy.rows(config)), {})
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    found, said = intact(published)
    assert found == [config.digest()]
    assert said or (name == RUNS and content is None)


def test_odd_arrays_are_found_when_they_are_read(published, folder):
    (folder / ARRAYS).write_bytes(b"PK")
    found, _ = intact(published)
    assert len(found) == 3  # rows need no arrays
    run = next(iter(published.runs()))
    with pytest.raises(DamagedRunError, match=f"{ARRAYS}: steps of {run.digest}"):
        run.arrays["steps"]
    problems = check_results(folder, published)
    assert len(problems) == 3


def test_the_check_reads_all_that_is_published(published, folder, toy):
    assert check_results(folder, published) == []
    lines = (folder / RUNS).read_bytes().splitlines(keepends=True)
    body = json.loads(lines[0])["run"]
    body["provenance"]["seconds"] = 7.0  # by somebody who can compute a checksum
    lines[0] = entry_line_of(json.dumps(body, sort_keys=True).encode())
    (folder / RUNS).write_bytes(b"".join(lines))
    (problem,) = check_results(folder, published)
    assert f"{body['digest']}: its provenance was changed" in problem


def test_reading_changes_nothing_that_is_kept(published):
    run = next(iter(published.runs()))
    run.config["seed"] = 99
    assert next(iter(published.runs())).config["seed"] != 99
