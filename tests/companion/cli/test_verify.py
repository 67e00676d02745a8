"""``mixflow verify``: which runs are made again, and what is said of them."""

import pytest
from typer.testing import CliRunner

from companion.cli import app
from companion.evidence import verification
from companion.runs.result import Result
from companion.runs.store import Store


@pytest.fixture
def stored(toy, tmp_path):
    """Return a function that stores a run of the toy as if it had taken some seconds."""
    store = Store(tmp_path / "results")

    def save(change=lambda rows: rows, seconds=1.0, **values):
        config = toy.config(**{"profile": "laptop", **values})
        record = {"seconds": seconds, "training_version": 1}
        return store.save(toy.name, config, Result(change(toy.rows(config))), record)

    return save


@pytest.fixture
def call(tmp_path):
    def verify(*options, code=0):
        done = CliRunner().invoke(app, ["verify", "--results", tmp_path / "results", *options])
        assert done.exit_code == code, done.output
        return done.stdout

    return lambda *options, **how: verify(*map(str, options), **how)


def off(by):
    return lambda rows: rows.assign(value=rows["value"] * (1 + by))


@pytest.mark.parametrize(
    ("by", "verdict", "code"), [(0, "equal", 0), (1e-3, "within tolerance", 0), (0.1, "differs", 1)]
)
def test_values_are_compared(stored, call, by, verdict, code):
    stored(off(by))
    output = call(code=code)
    assert output.splitlines()[-1] == f"1 {verdict}"
    assert ("off in accuracy" in output) == (by > 0)


def test_a_row_that_is_not_made_again_differs(stored, call):
    stored(lambda rows: rows.assign(metric=rows["metric"].replace("accuracy", "precision")))
    assert "2 rows in one alone" in call(code=1)


def test_retired_rows_do_not_count(stored, call):
    """The toy's second row is a claim, as runs of old wrote them."""
    run = stored(lambda rows: rows.assign(value=rows["value"].where(rows["metric"] != "claim", 5)))
    assert set(run.rows["metric"]) == {"accuracy", "claim"}
    assert "(1 of 1 rows equal)" in call()


def test_runs_that_are_left_out(stored, call, toy):
    stored(seconds=121.0)
    stored(profile="smoke", seed=1)
    assert call().startswith("0 runs")
    assert toy.calls == 0
    assert call("--minutes", 3).endswith("1 equal\n")


def test_the_draw_is_of_the_seed_alone(stored, tmp_path, toy):
    for seed in range(8):
        stored(seed=seed)
    store = Store(tmp_path / "results")
    draws = [
        [run.digest for run in verification.chosen(store, [toy.name], 4, 9.0, seed)]
        for seed in (0, 0, 1)
    ]
    assert draws[0] == draws[1] != draws[2]
    assert len(set(draws[0])) == 4
