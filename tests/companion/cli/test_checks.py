import json
import os
import shutil
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from companion.book.executed import STAMP, stamp
from companion.cli import app
from companion.cli.checks import CHECKS, run_checks
from companion.cli.checks.commands import make_targets, parse_problem, shell_commands
from companion.cli.checks.markdown import blocks, without_code
from companion.evidence.questions import load_targets
from companion.runs import formats
from companion.runs.runner import execute
from companion.runs.store import Store
from companion.runs.stored import DONE


@pytest.fixture
def root(tmp_path):
    for folder in ("book", "notebooks", "mixflow"):
        (tmp_path / folder).mkdir()
    (tmp_path / "_config.yml").touch()
    (tmp_path / "README.md").write_text("# mixflow\n")
    return tmp_path


@pytest.fixture
def store(root):
    return Store(root / "book" / "results")


@pytest.fixture
def problems(root, store):
    return lambda name: run_checks(root, store, app, [name])[name]


def test_a_sound_checkout_has_no_problems(toy, root, store):
    execute(toy.experiment, toy.config(), store)
    (store.directory(toy.name, toy.config(seed=1)) / "checkpoint").mkdir(parents=True)
    assert run_checks(root, store, app) == {name: [] for name in CHECKS}


def rewrite(path, name, change):
    """Alter a stored file and make the hashes fit."""
    (path / name).write_text(change((path / name).read_text()))
    hashes = json.loads((path / DONE).read_text())
    hashes["sha256"][name] = formats.sha256((path / name).read_bytes())
    (path / DONE).write_text(json.dumps(hashes))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("config.json", lambda text: text.replace('"seed": 0', '"sead": 0'), "seed None"),
        ("config.json", lambda text: text.replace('"sizes"', '"seizes"'), "not valid"),
        ("config.json", lambda text: text.replace('"n_components": 1', '"n_components": 2'), "dig"),
        ("rows.csv", lambda text: text.replace("K=1,0", "K=1,5"), "rows of seed [5]"),
        ("rows.csv", lambda text: text.splitlines()[0] + "\n", "no rows"),
        ("rows.csv", lambda text: text.replace("metric", "name"), "columns are"),
    ],
)
def test_results(toy, store, problems, name, change, message):
    run = execute(toy.experiment, toy.config(), store)
    rewrite(run.path, name, change)
    assert any(message in problem for problem in problems("results"))


def test_results_cut_or_of_no_experiment(toy, store, problems, monkeypatch):
    run = execute(toy.experiment, toy.config(), store)
    monkeypatch.setattr("companion.runs.registry._MODULES", {})
    assert "no experiment 'toy/table-1'" in problems("results")[0]
    (run.path / DONE).unlink()
    assert "DONE is missing" in problems("results")[0]


def test_every_target_is_judged_under_both_protocols(toy, problems, monkeypatch):
    assert problems("targets") == []
    more = replace(load_targets()[0], setting="K=99")
    monkeypatch.setattr("companion.cli.checks.stored.load_targets", lambda: [more])
    assert [problem.split(" is ")[1] for problem in problems("targets")] == [
        "0 times as_published in the status table",
        "0 times our_recipe in the status table",
    ]


def test_leftovers_beside_a_result(toy, store, problems):
    run = execute(toy.experiment, toy.config(), store)
    (run.path / "checkpoint").mkdir()
    (run.path / ".rows.csv.a1.partial").touch()
    (problem,) = problems("results")
    assert "left by a killed run?): .rows.csv.a1.partial, checkpoint; remove it" in problem
    (run.path / "lock.partial").touch()  # it is being computed anew
    assert problems("results") == []


def test_odd_folders_stop_no_check(toy, root, store, problems):
    """One line for each, and the rest is checked."""
    run = execute(toy.experiment, toy.config(), store)
    odd = {"0" * 12: "DONE", "1" * 12: "config.json", "2" * 12: "rows.csv"}
    for digest, name in odd.items():
        shutil.copytree(run.path, run.path.with_name(digest))
        (run.path.with_name(digest) / name).write_bytes(b"[" * 100_000)
    (run.path.with_name("3" * 12)).symlink_to("3" * 12)
    found = problems("results")
    names = [*odd, "3" * 12]
    pairs = zip(names, found, strict=True)
    assert all(str(run.path.with_name(name)) in problem for name, problem in pairs)


@pytest.fixture
def page(root):
    """An executed page of the book, and a function that changes what it says of itself."""
    source = root / "notebooks" / "a_toy.py"
    source.write_text('# %% tags=["parameters"]\nn = 1\n')
    page = root / "book" / "executed" / "a_toy.ipynb"
    page.parent.mkdir()

    def write(**values):
        page.write_text(json.dumps({"cells": [], "metadata": {STAMP: stamp(source, values)}}))

    write()
    return page, source, write


def test_a_page_as_its_source_gives_it(page, problems):
    assert problems("executed") == []
    (page[0].parent / "a_toy.partial.ipynb").touch()
    assert problems("executed") == []


def test_a_page_made_with_other_parameters(page, problems):
    page[2](n=3, profile="smoke")
    (problem,) = problems("executed")
    assert problem.startswith("book/executed/a_toy.ipynb was made with other parameters")
    assert "n=3, profile='smoke'; make book" in problem


def test_a_page_older_than_its_source(page, problems):
    page[1].write_text('# %% tags=["parameters"]\nn = 2\n')
    os.utime(page[0])
    assert "made from another version of a_toy.py" in problems("executed")[0]
    page[1].unlink()
    assert "has no source a_toy.py" in problems("executed")[0]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"metadata": {}}', "[" * 9999])
def test_a_page_that_does_not_say_how_it_was_made(page, problems, text):
    page[0].write_text(text)
    assert "does not say how it was made; make book" in problems("executed")[0]
    assert len(problems("figures")) == 1


COMMANDS = """
Text with `mixflow nothing`.

```bash
pip install mixflow  # not ours
mixflow list && MIXFLOW_RESULTS=x mixflow run toy/table-1 \\
    --profile laptop -p n_components=1,2 > log
make book -j2 PYTHON=python3
python -m mixflow status | head
mixflow run $NAME -p what=ever
mixflow --version; mixflow run --help
```

```console
$ mixflow data list
mixflow is what this prints
```

```python
mixflow = 3
```
"""


def test_commands_that_parse(toy, root, problems):
    (root / "README.md").write_text(COMMANDS)
    (root / "Makefile").write_text(".PHONY: book\nX := 1\nbook test: x\n\techo: no\n")
    assert problems("commands") == []
    found = [words[0] for _, words in shell_commands(COMMANDS)]
    assert found.count("mixflow") == 6


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("mixflow rnu", "rnu"),
        ("mixflow run", "Missing"),
        ("mixflow run toy/table-1 --sedes 1", "--sedes"),
        ("mixflow run toy/table-2", "did you mean 'toy/table-1'"),
        ("mixflow run toy/table-1 -p n_component=1", "did you mean 'n_components'"),
        ("mixflow data verfy", "verfy"),
        (".venv/bin/mixflow status --papers x", "--papers"),
        ("make bok", "no target bok"),
    ],
)
@pytest.mark.parametrize("page", ["README.md", "book/page.md", "notebooks/a_toy.py"])
def test_commands_that_do_not(toy, root, problems, command, message, page):
    (root / "Makefile").write_text("book:\n")
    text = f"# Title\n\n```bash\n{command}\n```\n"
    if page.endswith(".py"):
        text = "# %% [markdown]\n" + "".join(f"# {line}\n" for line in text.splitlines())
    (root / page).write_text(text)
    (problem,) = problems("commands")
    assert problem.startswith(page)
    assert message in problem


def test_make_without_a_makefile(root, problems):
    (root / "README.md").write_text("```sh\nmake book\n```\n")
    assert "no Makefile" in problems("commands")[0]
    assert make_targets(root / "Makefile") is None


def test_parse_problem_executes_nothing(toy):
    assert parse_problem(["run", toy.name], app) is None
    assert toy.calls == 0


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ('experiment = "toy/table-1"\nprofile = "stored"\nseeds = [0, 1]\nsizes = [1]', None),
        ('experiment = "toy/table-1"\nn_components = [1, 2]\nshow_samples = 4', None),
        ("experiment = None\nwhatever = 1", None),
        ('experiment = "toy/table-1"\nn_component = 1', "did you mean 'n_components'"),
        ('experiment = "toy/table-1"\nn_components = [1, 99]', "less than or equal to 9"),
        ('experiment = "toy/table-1"\nprofile = "big"', "'big' is unknown"),
        ('experiment = "toy/table-3"', "did you mean 'toy/table-1'"),
        ("seed = 1 + 1", "name = literal"),
    ],
)
def test_notebooks(toy, root, problems, cell, message):
    (root / "notebooks" / "a_toy.py").write_text(f'# %% tags=["parameters"]\n{cell}\n')
    found = problems("notebooks")
    assert bool(found) is (message is not None)
    assert message is None or message in found[0]


@pytest.mark.parametrize(
    ("text", "n"),
    [
        ("![A curve](a.svg) and `![](b.svg)`", 0),
        ("![](a.svg) ![ ](b.svg)", 2),
        ("```{figure} a.svg\n:alt: A curve\n```", 0),
        ("```{figure} a.svg\n:name: x\n```", 1),
        (":::{figure} a.svg\n:alt:\n:::", 1),
        ("```md\n![](a.svg)\n```", 0),
        ('<img src="a.svg" alt="A curve">', 0),
        ('<img src="a.svg" alt=" "> <img src="b.svg">', 2),
    ],
)
def test_figures_in_pages(root, problems, text, n):
    (root / "book" / "page.md").write_text(text)
    assert len(problems("figures")) == n


def test_figures_in_executed_notebooks(root, problems):
    html = {"data": {"text/html": ['<img src="data:" ', 'alt="A curve">']}}
    bare = {"data": {"text/html": "<img src='x'>"}}
    png = {"data": {"image/png": "aaaa"}}
    named = {"mystnb": {"image": {"alt": "A curve"}}}
    cells = [
        {"metadata": {}, "outputs": [html, bare, png]},
        {"metadata": named, "outputs": [png]},
        {"metadata": {}},
    ]
    (root / "book" / "executed").mkdir()
    path = root / "book" / "executed" / "01.ipynb"
    path.write_text(json.dumps({"cells": cells}))
    assert len(problems("figures")) == 2
    path.write_text("{}")
    assert "is no notebook" in problems("figures")[0]


def test_built_book(root, problems):
    html = root / "book" / "_build" / "html"
    html.mkdir(parents=True)
    source = root / "book" / "page.md"
    for path in (source, html / "page.html", html / "index.html"):
        path.write_text("")
        os.utime(path, (1000, 1000))
    assert problems("built-book") == []
    os.utime(source, (2000, 2000))
    assert "page.md changed" in problems("built-book")[0]


def test_a_page_is_older_than_what_it_shows(root, problems):
    """And not than a module that it does not import."""
    source, page = root / "notebooks" / "a_page.py", root / "book" / "executed" / "a_page.ipynb"
    source.write_text("import mixflow.x")
    page.parent.mkdir()
    page.write_text(json.dumps({"cells": [], "metadata": {STAMP: stamp(source, {})}}))
    modules = [root / "mixflow" / name for name in ("x.py", "y.py")]
    for path in modules:
        path.touch()
    for path in (source, page, *modules):
        os.utime(path, (1000, 1000))
    os.utime(modules[1], (2000, 2000))
    assert problems("executed") == []
    os.utime(modules[0], (2000, 2000))
    assert problems("executed") == [
        "book/executed/a_page.ipynb is older than mixflow/x.py; make book"
    ]


def test_blocks():
    text = "````md\n```bash\nx\n```\n````\n~~~sh\ny\n~~~\n```bash\nopen"
    assert [(block.info, block.lines) for block in blocks(text)] == [
        ("md", ("```bash", "x", "```")),
        ("sh", ("y",)),
    ]
    assert "y" not in without_code(text)


def test_cli(toy, root, monkeypatch):
    monkeypatch.chdir(root)
    monkeypatch.delenv("MIXFLOW_RESULTS", raising=False)
    result = CliRunner().invoke(app, ["check"])
    assert (result.exit_code, result.output.count(": no problem")) == (0, len(CHECKS))
    (root / "README.md").write_text("![](a.svg)")
    result = CliRunner().invoke(app, ["check", "figures"])
    assert result.exit_code == 1
    assert result.output.startswith("figures: 1 problem\n  README.md: image a.svg")
