"""What may be published, and that it is published whole or not at all."""

import json
import os
import shutil
import subprocess

import pytest
from typer.testing import CliRunner

from companion.cli import app
from companion.runs import publishing
from companion.runs.result import Result
from companion.runs.store import Store
from companion.runs.stored import DONE, FILES, StoreError, read_run


def git(folder, *arguments):
    names = ["-c", "user.name=a", "-c", "user.email=a@b"]
    done = subprocess.run(
        ["git", "-C", folder, *names, *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path, monkeypatch, toy):
    """A checkout with one commit, and in it a working store."""
    for folder in ("book", "companion"):
        (tmp_path / folder).mkdir()
    (tmp_path / "companion" / "__init__.py").touch()
    (tmp_path / "_config.yml").touch()
    (tmp_path / ".gitignore").write_text("/results/\n*.partial\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MIXFLOW_RESULTS", raising=False)
    publishing.planned.cache_clear()
    return tmp_path


@pytest.fixture
def finished(checkout, toy):
    """Return a function that stores a run, made by the checkout's commit unless said otherwise."""

    def save(code=None, seconds=1.0, **values):
        config = toy.config(**{"profile": "laptop", **values})
        code = code or {"commit": git(checkout, "rev-parse", "HEAD"), "dirty": False}
        record = {"code": code, "seconds": seconds}
        store = Store(checkout / "results")
        return store.save(toy.name, config, Result(toy.rows(config)), record)

    return save


def call(*arguments, code=0):
    result = CliRunner().invoke(app, ["publish", *arguments])
    assert result.exit_code == code, result.output
    return result


def published(checkout):
    return sorted((checkout / "book").rglob("DONE"))


def test_a_finished_run_is_copied_whole(checkout, finished):
    run = finished()
    output = call("toy/table-1").output
    assert f"{run.digest}  toy/table-1  publish" in output
    assert "1 to publish, 0 refused, 0 published before\npublished; 'git add" in output
    (there,) = (path.parent for path in published(checkout))
    assert there == checkout / "book" / "results" / "toy" / "table-1" / run.digest
    assert {path.name: path.read_bytes() for path in there.iterdir()} == {
        name: (run.path / name).read_bytes() for name in (*FILES, DONE)
    }
    assert oct(there.stat().st_mode & 0o777) == "0o755"
    assert git(checkout, "status", "--porcelain", "-uall").count("\n") == len(FILES)
    assert "1 published before" in call().output
    assert sorted(path.name for path in (checkout / "book" / "results").iterdir()) == ["toy"]


def test_a_dry_run_says_and_does_nothing(checkout, finished):
    finished()
    finished(profile="smoke")
    assert "1 to publish, 1 refused" in call("--dry-run").output
    assert not (checkout / "book" / "results").exists()


def unknown(checkout):
    return {"commit": "1" * 40, "dirty": False}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"profile": "smoke"}, "a smoke run reproduces nothing"),
        ({"n_components": 3}, "no point of the experiment's plan; name it with --only"),
        ({"code": {"commit": None, "dirty": None}}, "code of no known commit"),
        ({"code": {"commit": "1" * 40, "dirty": False}}, "which this repository does not have"),
        ({"code": {"commit": "--help", "dirty": False}}, "which this repository does not have"),
        ({"code": ["HEAD"]}, "code of no known commit"),
    ],
)
def test_what_is_refused(checkout, finished, values, words):
    finished(**values)
    finished(seed=1)
    output = call(code=1).output
    assert f"refused: {words}" in " ".join(output.split()) or words in output
    assert "1 to publish, 1 refused" in output
    assert len(published(checkout)) == 1


@pytest.mark.parametrize("dirty", [True, None, "no"])
def test_runs_of_changed_code_are_refused(checkout, finished, dirty):
    finished(code={"commit": git(checkout, "rev-parse", "HEAD"), "dirty": dirty})
    assert "code with changes after the commit" in call(code=1).output
    assert not published(checkout)


def test_damaged_and_unfinished_runs_are_refused(checkout, finished):
    (finished().path / "rows.csv").write_text("cut")
    (finished(seed=1).path / DONE).unlink()
    (finished(seed=2).path / DONE).write_text("[]")
    shutil.rmtree(finished(seed=3).path)
    (checkout / "results" / "toy" / "table-1" / ("0" * 12) / "checkpoint").mkdir(parents=True)
    output = call(code=1).output
    assert output.count("refused: damaged") == 3
    assert "refused: not finished: being computed, or interrupted" in output
    assert "0 to publish, 4 refused, 0 published before\n" in output
    assert "git add" not in output
    assert not published(checkout)


def test_a_run_that_is_named_need_be_no_point_of_a_plan(checkout, finished):
    run, smoke = finished(n_components=3), finished(profile="smoke")
    assert "\npublished; " in call("--only", run.digest).output
    assert "a smoke run" in call("--only", smoke.digest, code=1).output
    assert "no run '000'" in call("--only", "000", code=2).output
    assert len(published(checkout)) == 1


def test_a_dirty_checkout_publishes_nothing(checkout, finished):
    finished()
    (checkout / "companion" / "__init__.py").write_text("changed")
    result = call(code=1)
    assert "first commit or stash" in result.stderr
    assert not published(checkout)
    git(checkout, "stash")
    call()
    assert len(published(checkout)) == 1


def test_a_checkout_without_a_commit(checkout, finished):
    finished()
    shutil.rmtree(checkout / ".git")
    assert "has no commit" in call(code=1).output
    assert not published(checkout)


def test_another_result_takes_the_place_only_if_asked(checkout, finished):
    finished()
    call()
    run = finished(seconds=2.0)
    assert "--replace puts this one in its place" in call(code=1).output
    (there,) = (path.parent for path in published(checkout))
    assert read_run("toy/table-1", there).provenance["seconds"] == 1.0
    assert f"{run.digest}  toy/table-1  replace" in call("--replace").output
    assert read_run("toy/table-1", there).provenance["seconds"] == 2.0
    assert [path.name for path in there.parent.iterdir()] == [run.digest]


def test_what_is_published_is_no_working_store(checkout, finished):
    finished()
    call()
    assert "holds what is published" in call("--results", "book/results", code=2).output
    assert "holds what is published" in run_into("book/results", code=2)


def run_into(folder, code):
    result = CliRunner().invoke(app, ["run", "toy/table-1", "--results", folder])
    assert result.exit_code == code
    return result.output


def test_nothing_to_publish_and_nowhere(checkout, tmp_path_factory, monkeypatch):
    assert "no runs in results; make some with 'mixflow run'" in call().output
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert "go to a checkout of mixflow" in call(code=2).output


class Killed(BaseException):
    pass


@pytest.mark.parametrize("step", range(8))
@pytest.mark.parametrize("before", [False, True])
def test_a_kill_at_any_step_leaves_the_old_result_or_the_new(
    checkout, finished, monkeypatch, step, before
):
    """After the next call nothing else is there; and no reader ever sees a part of a run."""
    if before:
        finished()
        call()
    run, steps = finished(seconds=2.0), iter(range(100))

    def dying(real):
        def act(*arguments, **options):
            if next(steps) >= step:
                raise Killed  # and nothing that follows is done either
            return real(*arguments, **options)

        return act

    with monkeypatch.context() as patch:
        patch.setattr(publishing, "write_atomically", dying(publishing.write_atomically))
        patch.setattr(publishing.Path, "rename", dying(publishing.Path.rename))
        patch.setattr(publishing.shutil, "rmtree", dying(shutil.rmtree))
        rules = publishing.Rules(checkout / "book" / "results", lambda _: True, (), replace=True)
        (candidate,) = publishing.candidates(checkout / "results", rules)
        try:
            publishing.publish([candidate], rules.published)
        except Killed:
            pass
        else:
            assert step >= 6
    runs = list(Store(rules.published).runs())
    assert [found.provenance["seconds"] for found in runs] in ([], [1.0], [2.0])
    call("--replace")
    (there,) = (path.parent for path in published(checkout))
    assert read_run("toy/table-1", there).provenance["seconds"] == 2.0
    assert [path.name for path in there.parent.iterdir()] == [run.digest]


def test_a_full_disk_leaves_nothing(checkout, finished, monkeypatch):
    finished()

    def full(handle):
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        rules = publishing.Rules(checkout / "book" / "results", lambda _: True)
        (candidate,) = publishing.candidates(checkout / "results", rules)
        with pytest.raises(StoreError, match="no space left"):
            publishing.publish([candidate], rules.published)
    assert not list((checkout / "book" / "results").rglob("*.*"))
    assert not published(checkout)


def test_status_and_list_say_what_is_unpublished(checkout, finished, monkeypatch):
    finished()
    call()
    finished(seed=1)
    output = CliRunner().invoke(app, ["list"]).output
    assert "toy/table-1  0/4    2/4     -" in output
    assert "results in results on top of book/results" in output
    assert "1 of the 2 runs shown is unpublished, from results" in output
    call()
    assert "unpublished" not in CliRunner().invoke(app, ["list"]).output


def test_status_says_so_on_stderr(checkout, finished, monkeypatch, toy):
    frame = publishing_frame(finished().digest)
    monkeypatch.setattr("companion.evidence.status.status_table", lambda *_: frame)
    result = CliRunner().invoke(app, ["status", "--format", "json"])
    assert result.stderr == "1 of the 1 runs shown is unpublished, from results\n"
    assert json.loads(result.stdout)


def publishing_frame(digest):
    import pandas as pd

    from companion.evidence.status import STATUS_COLUMNS

    return pd.DataFrame([dict.fromkeys(STATUS_COLUMNS, "") | {"runs": digest}])
