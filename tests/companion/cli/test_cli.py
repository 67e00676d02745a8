import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import companion.cli.values as values
from companion.cli import app
from companion.evidence.questions import load_questions
from companion.runs.config import ParameterError
from companion.runs.store import Store
from mixflow.datasets import DatasetError, FileStatus


@pytest.fixture
def cli(tmp_path, monkeypatch, toy):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MIXFLOW_RESULTS", raising=False)
    monkeypatch.delenv("MIXFLOW_DEBUG", raising=False)

    def call(*arguments, code=0):
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert result.exit_code == code, result.output
        return result

    return call


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from typer.testing import CliRunner; from companion.cli import app\n"
        "assert CliRunner().invoke(app, ['run', '--help']).exit_code == 0\n"
        "heavy = {'torch', 'sklearn', 'pandas', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "command",
    ["list", "run", "status", "publish", "notebook", "check", "data list", "data verify"],
)
def test_every_help_has_examples(cli, command):
    output = cli(*command.split(), "--help").output
    assert f"Examples:\n    mixflow {command}" in output


def test_version(cli):
    assert cli("--version").output.startswith("mixflow ")


def test_list(cli, toy):
    assert "toy/table-1  0/4    0/4     -" in cli("list").output
    cli("run", toy.name, "--quiet", "--seeds", "0")
    assert "toy/table-1  2/4" in cli("list").output


def test_run_computes_the_plan_once(cli, toy, tmp_path):
    output = cli("run", toy.name).output
    assert "[1/4] toy/table-1 n_components=1 seed=0: " in output
    assert "ETA" in output
    assert "results/toy/table-1/" in output
    assert "accuracy" in output
    assert len(list(Store(tmp_path / "results").runs())) == 4
    assert "stored before" in cli("run", toy.name).output
    assert toy.calls == 4


def test_run_a_grid(cli, toy, tmp_path):
    options = ["-p", "n_components=3,4", "-p", "sizes=[5],[6,7]", "--seeds", "0-1,5"]
    assert "12 runs" in cli("run", toy.name, *options, "--dry-run").output
    assert toy.calls == 0
    output = cli("run", toy.name, *options, "--results", tmp_path / "there", "--quiet").output
    assert output == ""
    rows = Store(tmp_path / "there").rows(toy.name)
    assert set(rows["seed"]) == {0, 1, 5}
    assert set(rows["config_sizes"]) == {"[5]", "[6, 7]"}


def test_summary_keeps_configs_apart(cli, toy):
    output = cli("run", toy.name, "-p", "sizes=[1],[2]", "-p", "n_components=1").output
    lines = [line for line in output.splitlines() if " accuracy " in line]
    assert [line.split()[-1] for line in lines] == ["2", "2"]
    assert "[1]" in lines[0]
    assert "[2]" in lines[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "toy/table-1", "-p", "n_component=2"], "did you mean 'n_components'?"),
        (["run", "toy/table-1", "-p", "n_components=99"], "less than or equal to 9"),
        (["run", "toy/table-1", "-p", "n_components"], "not of the form name=value"),
        (["run", "toy/table-1", "-p", "seed=1", "--seeds", "2"], "give one of them"),
        (["run", "toy/table-1", "-p", "profile=laptop"], "use --profile"),
        (["run", "toy/table-1", "-p", "seed=1", "-p", "seed=2"], "given twice"),
        (["run", "toy/table-1", "--profile", "huge"], "'huge' is unknown"),
        (["run", "toy/table-1", "--profile", "paper"], "no points"),
        (["run", "toy/table-1", "--seeds", "4-"], "expected such as 0-4"),
        (["run", "toy/table-1", "--seeds", "0-999999999999"], "ask for at most 10000"),
        (["run", "toy/table-1", "--seeds", "9" * 5000], "expected such as 0-4"),
        (["run", "toy/table-1", "--seeds", "0-9999", "-p", "n_components=1,2"], "20000 points"),
        (["run", "toy/table-1", "--seeds", "3000000000"], "less than or equal to 2147483647"),
        (["run", "toy/table-1", "-p", "sizes=" + "[" * 50_000], "nested more than 40 levels"),
        (["run", "toy/table-1", "-p", "seed=" + "9" * 5000], "value 99999999999999999999..."),
        (["run", "toy/table-1", "-p", "seed=true"], "valid integer"),
        (["run", "toy/table-1", "-p", "n_components=true"], "valid integer"),
        (["run", "toy/table-1", "-p", "n_components=100000000"], "less than or equal to 9"),
        (["run", "toy/table-1", "-p", "sizes=[100000000]"], "less than or equal to 1000000"),
        (["run", "toy/table-1", "--profile", "lptop"], "did you mean 'laptop'?"),
        (["publish", "toy/tabel-1"], "did you mean 'toy/table-1'?"),
        (["run", "toy/table-1", "--device", "tpu9"], "use cpu or cuda"),
        (["run", "toy/tabel-1"], "did you mean 'toy/table-1'?"),
        (["run"], "Missing argument"),
        (["rnu"], "run"),
        (["status", "--paper", "em-mg"], "did you mean 'em-gm'?"),
        (["status", "--format", "xml"], "known: table, csv, json"),
        (["data", "verify", "mnits"], "did you mean 'mnist'?"),
        (["check", "result"], "did you mean 'results'?"),
        (["notebook", "missing"], "no notebook"),
    ],
)
def test_bad_usage_exits_with_2(cli, arguments, message):
    result = cli(*arguments, code=2)
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_a_failed_run_does_not_stop_the_others(cli, toy):
    toy.error = RuntimeError("loss is NaN in epoch 3")
    result = cli("run", toy.name, code=1)
    assert toy.calls == 4
    assert result.stderr.count("RuntimeError: loss is NaN in epoch 3") == 4


def test_missing_data_exits_with_3(cli, toy):
    toy.error = DatasetError("letter is missing")
    assert cli("run", toy.name, code=3).stderr == "error: letter is missing\n"
    assert toy.calls == 1


def test_interrupt_exits_with_130_and_resumes(cli, toy, tmp_path):
    toy.error = KeyboardInterrupt()
    result = cli("run", toy.name, "--seeds", "0", code=130)
    assert "the same command goes on" in result.stderr
    toy.error = None
    cli("run", toy.name, "--seeds", "0")
    resumed = [run.provenance["resumed"] for run in Store("results").runs()]
    assert sorted(resumed) == [False, True]


def test_damaged_results_are_a_plain_warning(cli, toy):
    cli("run", toy.name, "--seeds", "0", "-p", "n_components=1")
    (run,) = Store("results").runs()
    (run.path / "rows.csv").write_text("dataset")
    result = cli("run", toy.name, "--seeds", "0", "-p", "n_components=1")
    assert result.stderr.startswith("warning: ignored a damaged result")
    assert toy.calls == 2


def test_debug_shows_the_exception(cli, toy):
    result = CliRunner().invoke(app, ["--debug", "run", "nothing"])
    assert isinstance(result.exception, ParameterError)


def test_status(cli, toy):
    output = cli("status").output
    n = len(load_questions())
    assert f"as published: {n} not run\nour recipe: {n} not run" in output
    assert max(map(len, output.splitlines())) <= 160
    lines = cli("status", "--format", "csv", "--paper", "vmonf").output.splitlines()
    assert lines[0].startswith("paper,item,dataset")
    assert len(lines) == 1 + 2 * 5
    arguments = ["status", "--format", "json", "--paper", "em-gm", "--item", "table-2"]
    records = json.loads(cli(*arguments).output)
    assert len(records) == 2 * (21 + 8)
    assert records[0]["published"] == 0.9459
    assert records[0]["ours"] is None


def test_data(cli, monkeypatch, tmp_path):
    assert "letter" in cli("data", "list").output
    monkeypatch.setenv("MIXFLOW_DATA", str(tmp_path))
    corrupt = FileStatus("letter/x", tmp_path / "x", "corrupt", "aa", "bb")
    monkeypatch.setattr("mixflow.datasets.verify", lambda name: [corrupt])
    result = cli("data", "verify", "letter", code=1)
    assert "corrupt" in result.stdout
    assert "expected sha256 aa, found bb" in result.stderr
    monkeypatch.setattr("mixflow.datasets.fetch", lambda name: [tmp_path])
    assert cli("data", "fetch", "letter").output == "letter: 1 files ok\n"


def test_notebook(cli, monkeypatch, tmp_path):
    (tmp_path / "notebooks").mkdir()
    source = (
        '# %% tags=["parameters"]\nexperiment = "toy/table-1"\nprofile = "smoke"\nsizes = [1]\n'
    )
    (tmp_path / "notebooks" / "a_toy.py").write_text(source)
    calls = []

    def run_notebook(source, *, out, parameters, results, progress):
        calls.append((source.name, out, parameters, results))
        return out / "a_toy.ipynb"

    monkeypatch.setattr("companion.book.notebook.run_notebook", run_notebook)
    checkout(tmp_path)
    output = cli("notebook", "a_toy", "-p", "sizes=[2, 3]", "--profile", "smoke").output
    page = tmp_path / "results" / "pages" / "a_toy.ipynb"
    assert output.startswith(f"{page}\nmade of the runs in results on top of book/results\n")
    assert f"\nopen it: jupyter lab {page}\n" in output
    expected = {"sizes": [2, 3], "profile": "smoke"}
    assert calls == [("a_toy.py", page.parent, expected, tmp_path / "results")]
    assert "did you mean 'sizes'?" in cli("notebook", "a_toy", "-p", "size=1", code=2).stderr
    monkeypatch.chdir(tmp_path / "notebooks")
    for name in ("a_toy", "a-toy", "a_toy.py", "notebooks/a_toy.py", "a_toy.ipynb", "./a_toy"):
        cli("notebook", name, "--out", "there", "--results", "here")
    assert calls[1:] == 6 * [("a_toy.py", Path("there"), {}, Path("here"))]
    assert cli("notebook", "a_toy", "--out", "../book/executed").output.count("\n") == 1


def checkout(folder):
    (folder / "_config.yml").touch()
    (folder / "book").mkdir()


@pytest.mark.parametrize(
    "name", ["a_toi", "a_toi.py", "notebooks/a_toi.py", "/nowhere/a_toy.py", "a_ToY.ipynb"]
)
def test_a_notebook_that_is_not_there(cli, tmp_path, name):
    checkout(tmp_path)
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "a_toy.py").touch()
    assert "did you mean a_toy?" in cli("notebook", name, code=2).stderr


def test_the_book_s_own_pages_take_no_parameters(cli, tmp_path):
    checkout(tmp_path)
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "a_toy.py").write_text('# %% tags=["parameters"]\nprofile = "a"\n')
    for given in (["-p", "profile=smoke"], ["--profile", "smoke"], ["-p", "profile=a"]):
        result = cli("notebook", "a_toy", *given, "--out", "book/executed", code=2)
        assert "leave out its parameters, or choose another folder" in result.stderr
    assert not (tmp_path / "book" / "executed").exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,2", [1, 2]),
        ("1e-3", [0.001]),
        ("true,None", [True, None]),
        ("letter, digits", ["letter", "digits"]),
        ("[1,2],[3]", [[1, 2], [3]]),
        ('"a,b",c', ["a,b", "c"]),
        ('{"a": [1, 2]}', [{"a": [1, 2]}]),
        ("", [""]),
    ],
)
def test_axes(text, expected):
    assert values.parse_axis(text) == expected


def test_empty_seeds():
    with pytest.raises(ParameterError, match="empty range"):
        values.parse_seeds("4-2")


def test_run_only_one_of_the_grid(cli, toy):
    digest = toy.experiment.configs("smoke")[1].digest()
    cli("run", toy.name, "--only", digest)
    assert toy.calls == 1
    result = cli("run", toy.name, "--only", "0" * 12, code=2)
    assert "has no run" in result.output
