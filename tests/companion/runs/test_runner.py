import errno
import fcntl
from dataclasses import replace

import pytest

from companion.runs.config import ParameterError
from companion.runs.runner import BusyError, execute
from companion.runs.store import Store
from companion.runs.stored import DONE, FILES, LOCK, StoreError


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


def test_computes_once(toy, store):
    config = toy.config()
    run = execute(toy.experiment, config, store)
    again = execute(toy.experiment, config, store)
    assert toy.calls == 1
    assert run.path == again.path
    assert run.provenance["costs"] == {"resumed_at": 0.0}
    assert run.provenance["resumed"] is False
    assert {path.name for path in run.path.iterdir()} == {
        *("config.json", "rows.csv", "arrays.npz", "provenance.json", "DONE")
    }


def test_force_gives_equal_rows(toy, store):
    run = execute(toy.experiment, toy.config(), store)
    before = (run.path / "rows.csv").read_bytes(), (run.path / "arrays.npz").read_bytes()
    execute(toy.experiment, toy.config(), store, force=True)
    assert toy.calls == 2
    assert before == ((run.path / "rows.csv").read_bytes(), (run.path / "arrays.npz").read_bytes())


def test_truncated_rows_are_recomputed(toy, store):
    run = execute(toy.experiment, toy.config(), store)
    whole = (run.path / "rows.csv").read_bytes()
    (run.path / "rows.csv").write_bytes(whole[:-5])
    with pytest.warns(UserWarning, match="rows.csv has sha256"):
        execute(toy.experiment, toy.config(), store)
    assert toy.calls == 2
    assert (run.path / "rows.csv").read_bytes() == whole


@pytest.mark.parametrize(("resume", "steps"), [(True, 5), (False, 0)])
def test_interrupt_keeps_the_checkpoint(toy, store, resume, steps):
    toy.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        execute(toy.experiment, toy.config(), store)
    directory = store.directory(toy.name, toy.config())
    assert [path.name for path in directory.iterdir()] == ["checkpoint"]
    assert list(store.runs()) == []
    toy.error = None
    run = execute(toy.experiment, toy.config(), store, resume=resume)
    assert run.provenance["costs"] == {"resumed_at": steps}
    assert run.provenance["resumed"] is resume
    assert not (directory / "checkpoint").exists()


def test_a_run_that_fails_at_once_leaves_nothing(toy, store, monkeypatch):
    def fail(config, context):
        raise RuntimeError("no")

    experiment = toy.experiment.__class__(**{**vars(toy.experiment), "run": fail})
    with pytest.raises(RuntimeError, match="no"):
        execute(experiment, toy.config(), store)
    assert not store.root.exists()


def test_two_processes_do_not_compute_the_same_run(toy, store):
    directory = store.directory(toy.name, toy.config())
    directory.mkdir(parents=True)
    with (directory / LOCK).open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        other.write("1234\n")
        other.flush()
        with pytest.raises(BusyError, match="process 1234 is computing"):
            execute(toy.experiment, toy.config(), store)
    # The other process died: its lock file is still there, its lock is not.
    execute(toy.experiment, toy.config(), store)
    assert toy.calls == 1
    assert not (directory / LOCK).exists()


def test_absent_gpu(toy, store, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    with pytest.raises(ParameterError, match="use --device cpu"):
        execute(toy.experiment, toy.config(), store, device="cuda")
    with pytest.raises(ParameterError, match="is unknown"):
        execute(toy.experiment, toy.config(), store, device="gpu7")
    assert toy.calls == 0


def leave(directory, *names):
    """Leave what a kill leaves, as nobody has it locked."""
    for name in names:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text("left")


LEFT = (LOCK, "checkpoint/fit.safetensors", ".rows.csv.a1b2.partial", "checkpoint/.x.c3.partial")


def test_leftovers_beside_a_finished_run_are_swept(toy, store):
    run = execute(toy.experiment, toy.config(), store)
    leave(run.path, *LEFT)
    execute(toy.experiment, toy.config(), store)
    assert sorted(path.name for path in run.path.iterdir()) == sorted([*FILES, DONE])
    assert toy.calls == 1


def test_leftovers_of_a_killed_run_are_swept_by_the_one_that_goes_on(toy, store):
    directory = store.directory(toy.name, toy.config())
    leave(directory, LOCK, ".rows.csv.a1b2.partial", "checkpoint/.x.c3.partial", "rows.csv")
    run = execute(toy.experiment, toy.config(), store)
    assert sorted(path.name for path in directory.iterdir()) == sorted([*FILES, DONE])
    assert run.provenance["resumed"] is False  # a temporary file is no checkpoint


def test_a_published_run_is_not_computed_again(toy, tmp_path):
    execute(toy.experiment, toy.config(), Store(tmp_path / "published"))
    store = Store(tmp_path / "results", tmp_path / "published")
    run = execute(toy.experiment, toy.config(), store)
    assert (toy.calls, run.path.is_relative_to(store.published)) == (1, True)
    assert not store.root.exists()
    execute(toy.experiment, toy.config(), store, force=True)
    # Which of the two is shown: two of the same second are one result, the published one.
    assert (toy.calls, (store.root / run.experiment / run.digest / "DONE").is_file()) == (2, True)


def chained():
    try:
        raise OSError(errno.ENOSPC, "No space left on device")
    except OSError as error:
        raise RuntimeError("the checkpoint was not written") from error


def foreign():
    raise RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)")


@pytest.mark.parametrize("fail", [chained, foreign])
def test_a_disk_that_becomes_full_while_a_run_computes(toy, store, fail):
    experiment = replace(toy.experiment, run=lambda config, context: fail())
    with pytest.raises(StoreError, match="no space left on the disk; free some.*--results"):
        execute(experiment, toy.config(), store)
    assert not store.root.exists()


def test_a_folder_that_cannot_be_written(toy, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="--results"):
        execute(toy.experiment, toy.config(), Store(tmp_path / "file"))
