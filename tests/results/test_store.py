import errno
import os

import numpy as np
import pandas as pd
import pytest

from mixflow.experiments.base import Result
from mixflow.results import Store, StoreError, files, find_checkout
from mixflow.results.store import DONE, FILES, LOCK, default_root


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


def save(store, toy, **values):
    config = toy.config(**values)
    result = Result(toy.rows(config), {"b": np.arange(3), "a": np.eye(2)})
    return config, store.save(toy.name, config, result, {"seconds": 1.0})


def test_round_trip(store, toy):
    config, run = save(store, toy, seed=3)
    loaded = store.load(toy.name, config)
    assert loaded.path == run.path == store.root / "toy" / "table-1" / config.digest()
    assert loaded.config == config.model_dump()
    assert loaded.provenance == {"seconds": 1.0}
    pd.testing.assert_frame_equal(loaded.rows, toy.rows(config), check_dtype=False)
    np.testing.assert_array_equal(loaded.arrays["a"], np.eye(2))
    assert sorted(path.name for path in run.path.iterdir()) == sorted([*FILES, DONE])


def test_digest_does_not_depend_on_the_process(toy):
    assert toy.config(seed=1).digest() == "c98e5ee8fdd9"


def test_equal_results_have_equal_bytes(store, toy, monkeypatch):
    _, run = save(store, toy)
    before = {path.name: path.read_bytes() for path in run.path.iterdir()}
    monkeypatch.setattr("time.time", lambda: 4e9)
    save(store, toy)
    assert before == {path.name: path.read_bytes() for path in run.path.iterdir()}


def test_rows_keep_awkward_cells():
    rows = pd.DataFrame(
        [
            ("None", "NA", "a,b", 0, "é", np.float32(0.1)),
            (None, "", '"', np.int64(7), "nan", float("nan")),
            ("x", "y", "z", 1, "m", float("-inf")),
        ],
        columns=["dataset", "model", "setting", "seed", "metric", "value"],
    )
    content = files.rows_bytes(rows)
    back = files.parse_rows(content)
    assert back["dataset"].tolist() == ["None", "", "x"]
    assert back["metric"].tolist() == ["é", "nan", "m"]
    assert back["value"][0] == float(np.float32(0.1))
    assert np.isnan(back["value"][1])
    assert back["value"][2] == -np.inf
    assert files.rows_bytes(back) == content


@pytest.mark.parametrize(("column", "value"), [("seed", 0.5), ("value", "much"), ("seed", True)])
def test_rows_refuse_what_is_no_number(toy, column, value):
    rows = toy.rows(toy.config()).astype(object)
    rows.loc[0, column] = value
    with pytest.raises(ValueError, match="integer seeds and numeric values"):
        files.rows_bytes(rows)


def test_object_arrays_are_refused_before_anything_is_written(store, toy):
    config = toy.config()
    result = Result(toy.rows(config), {"bad": np.array([{}], dtype=object)})
    with pytest.raises(ValueError, match="'bad' has dtype object"):
        store.save(toy.name, config, result, {})
    assert not store.root.exists()


@pytest.mark.parametrize("name", FILES)
def test_truncated_files_count_as_not_there(store, toy, name):
    config, run = save(store, toy)
    (run.path / name).write_bytes((run.path / name).read_bytes()[:-3])
    with pytest.warns(UserWarning, match=f"{name} has sha256"):
        assert not store.is_done(toy.name, config)
    with (
        pytest.warns(UserWarning, match="damaged"),
        pytest.raises(FileNotFoundError, match="mixflow run"),
    ):
        store.load(toy.name, config)
    with pytest.warns(UserWarning, match="damaged"):
        assert list(store.runs()) == []


@pytest.mark.parametrize("written", range(1, 5))
def test_a_kill_between_files_leaves_no_run(store, toy, monkeypatch, written):
    config, real, count = toy.config(), files.write_atomically, 0

    def kill(path, content):
        nonlocal count
        count += 1
        if count > written:
            raise KeyboardInterrupt
        real(path, content)

    monkeypatch.setattr(files, "write_atomically", kill)
    with pytest.raises(KeyboardInterrupt):
        save(store, toy)
    with pytest.warns(UserWarning, match="is missing"):
        assert not store.is_done(toy.name, config)
    monkeypatch.undo()
    save(store, toy)
    assert store.is_done(toy.name, config)


@pytest.mark.parametrize("failing", range(1, 6))
def test_full_disk_leaves_nothing(store, toy, monkeypatch, failing):
    count, real = 0, os.fsync

    def fsync(handle):
        nonlocal count
        count += 1
        if count == failing:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(StoreError, match="no space left on the disk"):
        save(store, toy)
    assert list(store.directory(toy.name, toy.config()).iterdir()) == []
    assert not store.is_done(toy.name, toy.config())


def test_root_that_is_a_file(tmp_path, toy):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="--results"):
        save(Store(tmp_path / "file"), toy)


def test_damaged_done(store, toy):
    config, run = save(store, toy)
    (run.path / DONE).write_text("[]")
    with pytest.warns(UserWarning, match="unreadable"):
        assert not store.is_done(toy.name, config)


def test_a_lone_checkpoint_is_silent(store, toy):
    (store.directory(toy.name, toy.config()) / "checkpoint").mkdir(parents=True)
    assert not store.is_done(toy.name, toy.config())
    assert list(store.runs()) == []


def test_a_run_that_another_process_saves_is_silent(store, toy):
    config, run = save(store, toy)
    (run.path / LOCK).touch()
    assert store.is_done(toy.name, config)
    (run.path / DONE).unlink()
    assert not store.is_done(toy.name, config)


def test_rows_of_all_runs(store, toy):
    for seed in (0, 1):
        save(store, toy, seed=seed)
    rows = store.rows(toy.name)
    assert len(rows) == 4
    assert set(rows["config_seed"]) == {0, 1}
    assert set(rows["config_sizes"]) == {"[1, 2]"}
    assert rows["run"].nunique() == 2
    assert store.rows("toy/table-9").empty


def test_names_cannot_leave_the_root(store, toy):
    with pytest.raises(ValueError, match="paper/item"):
        store.directory("../x", toy.config())


def test_default_root(tmp_path, monkeypatch):
    monkeypatch.delenv("MIXFLOW_RESULTS", raising=False)
    monkeypatch.chdir(tmp_path)
    if find_checkout() is None:
        assert default_root().as_posix() == "mixflow-results"
    (tmp_path / "_config.yml").touch()
    (tmp_path / "book" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "book" / "deep")
    assert default_root() == tmp_path.resolve() / "book" / "results"
    monkeypatch.setenv("MIXFLOW_RESULTS", "elsewhere")
    assert default_root().as_posix() == "elsewhere"
