import errno
import json
import os
import warnings

import numpy as np
import pandas as pd
import pytest

from companion.runs import formats
from companion.runs import store as store_module
from companion.runs.places import find_checkout, working_root
from companion.runs.result import Result
from companion.runs.store import Store
from companion.runs.stored import DONE, FILES, LOCK, DamagedRunError, StoreError


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
    content = formats.rows_bytes(rows)
    back = formats.parse_rows(content)
    assert back["dataset"].tolist() == ["None", "", "x"]
    assert back["metric"].tolist() == ["é", "nan", "m"]
    assert back["value"][0] == float(np.float32(0.1))
    assert np.isnan(back["value"][1])
    assert back["value"][2] == -np.inf
    assert formats.rows_bytes(back) == content


@pytest.mark.parametrize(("column", "value"), [("seed", 0.5), ("value", "much"), ("seed", True)])
def test_rows_refuse_what_is_no_number(toy, column, value):
    rows = toy.rows(toy.config()).astype(object)
    rows.loc[0, column] = value
    with pytest.raises(ValueError, match="integer seeds and numeric values"):
        formats.rows_bytes(rows)


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
    config, real, count = toy.config(), store_module.write_atomically, 0

    def kill(path, content):
        nonlocal count
        count += 1
        if count > written:
            raise KeyboardInterrupt
        real(path, content)

    monkeypatch.setattr(store_module, "write_atomically", kill)
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


def checkout(folder):
    """Make a folder look like a checkout, and return its folder of published results."""
    (folder / "_config.yml").touch()
    (folder / "book" / "deep").mkdir(parents=True)
    return folder / "book" / "results"


def test_working_root(tmp_path, monkeypatch):
    monkeypatch.delenv("MIXFLOW_RESULTS", raising=False)
    monkeypatch.chdir(tmp_path)
    if find_checkout() is None:
        assert working_root().as_posix() == "results"
        assert Store().published is None
    published = checkout(tmp_path)
    monkeypatch.chdir(tmp_path / "book" / "deep")
    assert (Store().root, Store().published) == (tmp_path.resolve() / "results", published)
    monkeypatch.setenv("MIXFLOW_RESULTS", "elsewhere")
    assert Store().root.as_posix() == "elsewhere"
    monkeypatch.setenv("MIXFLOW_RESULTS", str(published))
    assert (Store().root, Store().published) == (published, None)


@pytest.fixture
def layers(tmp_path, toy):
    """A store on top of one published run, seed 0."""
    save(Store(tmp_path / "published"), toy)
    return Store(tmp_path / "results", tmp_path / "published")


def test_a_published_run_counts_as_done(layers, toy):
    assert layers.is_done(toy.name, toy.config())
    assert layers.is_published(layers.load(toy.name, toy.config()))
    assert not layers.is_done(toy.name, toy.config(seed=1))
    assert not layers.root.exists()


def test_runs_of_both_layers(layers, toy):
    save(layers, toy, seed=1)
    assert [layers.is_published(run) for run in layers.runs(toy.name)].count(False) == 1
    assert set(layers.rows(toy.name)["seed"]) == {0, 1}
    assert [path.parents[2] for _, path in layers.directories()] == [layers.root, layers.published]
    assert len(list(Store(layers.root).runs())) == 1


def test_the_note_counts_what_is_shown(layers, toy):
    published = toy.config().digest()
    (other, _), (third, _) = (save(layers, toy, seed=seed) for seed in (1, 2))
    assert layers.unpublished_note([published]) == ""
    note = layers.unpublished_note([published, other.digest(), other.digest()])
    assert note == f"1 of the 2 runs shown is unpublished, from {layers.root}"
    assert "2 of the 2 runs shown are" in layers.unpublished_note([other.digest(), third.digest()])
    assert Store(layers.root).unpublished_note([other.digest()]) == ""


def test_a_run_of_ones_own_is_on_top_unless_it_is_the_published_one(layers, toy):
    config, run = save(layers, toy)  # the same result
    assert layers.is_published(layers.load(toy.name, config))
    layers.save(toy.name, config, Result(toy.rows(config)), {"seconds": 2.0})
    found = layers.load(toy.name, config)
    assert (found.path, found.provenance) == (run.path, {"seconds": 2.0})
    assert not layers.is_published(found)
    assert len(list(layers.runs())) == 1
    (run.path / "rows.csv").write_text("cut")
    with pytest.warns(UserWarning, match="damaged"):
        assert layers.is_published(layers.load(toy.name, config))


def nested(levels):
    return b'{"a":' + b"[" * levels + b"]" * levels + b"}"


ODD = {
    "list": b"[]",
    "null": b"null",
    "deep": nested(100_000),
    "nested": nested(60),
    "not UTF-8": b"\xff\xfe{",
    "long number": b"9" * 10_000,
    "empty": b"",
    "NUL": b"\0",
}


@pytest.mark.parametrize("content", ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize("name", [*FILES, DONE])
@pytest.mark.parametrize("signed", [False, True])
def test_one_odd_file_spoils_no_other_run(store, toy, name, content, signed):
    save(store, toy)
    _, run = save(store, toy, seed=1)
    (run.path / name).write_bytes(content)
    if signed and name != DONE:
        hashes = json.loads((run.path / DONE).read_bytes())
        hashes["sha256"][name] = formats.sha256(content)
        (run.path / DONE).write_text(json.dumps(hashes))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        intact = [run.config["seed"] for run in store.runs()]
        assert len(store.rows(toy.name))
    if name == "arrays.npz" and signed:  # read when first asked for
        with pytest.raises(DamagedRunError, match="arrays.npz"):
            run.__class__(run.experiment, run.path, {}, run.rows, {}).arrays  # noqa: B018
    else:
        assert intact == [0]
        assert all(str(run.path) in str(warning.message) for warning in caught)
        assert caught


def test_a_root_that_is_a_file_has_no_runs(tmp_path, toy, recwarn):
    (tmp_path / "file").write_text("")
    store = Store(tmp_path / "file")
    assert not store.is_done(toy.name, toy.config())
    assert not list(store.runs())
    assert not recwarn.list


def test_odd_things_where_runs_should_be(store, toy):
    save(store, toy)
    _, run = save(store, toy, seed=1)
    folder = run.path.parent
    (run.path / "rows.csv").unlink()
    (run.path / "rows.csv").mkdir()
    (folder / ("0" * 12)).symlink_to(folder / ("0" * 12))
    (folder / ("1" * 12)).write_text("a file")
    (folder / ("2" * 12)).mkdir()
    (folder / ("2" * 12) / DONE).mkdir()
    (folder / "notes.txt").write_text("not named as a run is")
    (store.root / "loop").symlink_to(store.root)
    os.mkdir(os.fsencode(store.root) + b"/\xff")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert [run.config["seed"] for run in store.runs()] == [0]
    assert len({str(warning.message) for warning in caught}) == 4
