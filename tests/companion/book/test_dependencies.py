"""What a page is made from: read off the sources, and what Snakemake makes anew by it."""

import os
import re
import subprocess
import sys
from pathlib import Path
from shutil import copy, copytree, ignore_patterns

import pytest

from companion.book.dependencies import dependencies, experiments_of, modules_of

ROOT = Path(__file__).parents[3]
RESULTS = ROOT / "book" / "results"


def notebook(folder, text, name="a_page.py"):
    path = folder / name
    path.write_text(text)
    return path


def names(paths, root):
    return {path.relative_to(root).as_posix() for path in paths}


@pytest.fixture
def root(tmp_path):
    """A library of modules a to e, and a companion with a table of two experiments."""
    files = {
        "mixflow/__init__.py": "if TYPE_CHECKING:\n    from mixflow.e import E\n",
        "mixflow/a.py": "def f():\n    import mixflow.b\nif TYPE_CHECKING:\n    import mixflow.c\n",
        "mixflow/b.py": "from mixflow.sub import inner\n",
        "mixflow/c.py": "",
        "mixflow/e.py": "",
        "mixflow/sub/__init__.py": "",
        "mixflow/sub/inner.py": "",
        "companion/__init__.py": "",
        "companion/d.py": "import mixflow.c",
        "companion/table.csv": "",
        "companion/runs/registry.py": '_MODULES = {"p/one": "companion.d", "p/two": "mixflow.c"}',
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_imports_are_followed_wherever_they_stand(tmp_path, root):
    source = notebook(tmp_path, "# %%\nimport numpy\nimport mixflow.a")
    found = names(modules_of(source, root), root)
    assert found == {
        f"mixflow/{name}.py" for name in ("__init__", "a", "b", "sub/__init__", "sub/inner")
    }


def test_a_name_of_mixflow_itself_is_imported_when_it_is_used(tmp_path, root):
    source = notebook(tmp_path, "from mixflow import E, c")
    assert names(modules_of(source, root), root) == {
        f"mixflow/{name}.py" for name in ("__init__", "c", "e")
    }


def test_a_named_experiment_brings_its_module_and_its_runs(tmp_path, root):
    source = notebook(tmp_path, 'experiment = "p/one"  # not p/two')
    for name in ("p/one/0", "p/one/1", "p/two/0"):
        (tmp_path / "results" / name).mkdir(parents=True)
        (tmp_path / "results" / name / "DONE").touch()
    found = dependencies(source, tmp_path / "results", root)
    assert [path.relative_to(tmp_path).as_posix() for path in found] == [
        "a_page.py", "companion/__init__.py", "companion/d.py", "companion/table.csv",
        "mixflow/__init__.py", "mixflow/c.py", "results/p/one/0/DONE", "results/p/one/1/DONE",
    ]  # fmt: skip


def test_tables_beside_modules_count(tmp_path, root):
    found = dependencies(notebook(tmp_path, "import companion.d"), tmp_path, root)
    assert root / "companion" / "table.csv" in found


def test_relative_imports_are_refused(tmp_path, root):
    (root / "companion" / "d.py").write_text("from . import c")
    with pytest.raises(ValueError, match="relative imports are not followed"):
        modules_of(notebook(tmp_path, "import companion.d"), root)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('Page("vmonf/mnist")', {"vmonf/mnist"}),
        ('Page("vmonf/ablations").verdicts("mnist")', {"vmonf/ablations", "vmonf/mnist"}),
        ('Page("vmonf/ablations", "mnist")', {"vmonf/ablations"}),
        # Claims on figure 7 read walks, and these say whether table I is newer.
        (
            'Page("em-gm/interpolation").verdicts("figure-7a")',
            {"em-gm/interpolation", "em-gm/table-1"},
        ),
    ],
)
def test_verdicts_bring_the_experiments_that_answer(tmp_path, text, shown):
    assert experiments_of(notebook(tmp_path, text)) == shown


def test_tables_of_any_targets_bring_those_of_the_papers_that_are_named(tmp_path):
    text = 'targets = [t for t in load_targets() if t.paper == "vmonf"]\nverdict_table(s, targets)'
    of_one = experiments_of(notebook(tmp_path, text, "a.py"))
    of_all = experiments_of(notebook(tmp_path, "verdict_counts(store, load_targets())", "b.py"))
    assert {name.split("/")[0] for name in of_one} == {"vmonf"}
    assert {name.split("/")[0] for name in of_all} == {"em-gm", "gmm-basis", "vmonf"}
    assert of_one < of_all


IMPORTING = """
import ast, sys
from companion.runs import registry
from companion.book.dependencies import experiments_of
tree = ast.parse(open({source!r}).read())
imports = [n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)]
exec(compile(ast.Module(imports, []), "imports", "exec"))
for name in {experiments!r}:
    registry.find(name)
del sys.modules["companion.book.dependencies"]  # no page imports it
houses = ("mixflow", "companion")
print(*(m.__file__ for n, m in list(sys.modules.items()) if n.split(".")[0] in houses))
"""


@pytest.mark.parametrize("page", ["em_gm_table_1", "vmonf_against_em", "gmm_basis_digits"])
def test_what_python_imports_is_among_what_is_read_off_the_sources(page):
    source = ROOT / "notebooks" / f"{page}.py"
    script = IMPORTING.format(source=str(source), experiments=experiments_of(source))
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    imported = {Path(path) for path in done.stdout.split()}
    assert len(imported) > 20
    assert not imported - modules_of(source)


def test_every_page_shows_its_own_experiment_and_no_more_than_half_of_all():
    every = {p.parent.name for p in RESULTS.glob("*/*/*")}
    for source in sorted((ROOT / "notebooks").glob("*.py")):
        named = re.search(r'^experiment = "(.+)"', source.read_text(), flags=re.M)
        shown = experiments_of(source)
        assert not named or named[1] in shown
        assert len(shown) <= len(every) / 2 or source.stem == "status"


# Snakemake ----------------------------------------------------------------------------------------


def snakemake(folder, *options):
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--nolock", "notebooks"]
    command += ["--workflow-profile", "workflow/profiles/local", *options]
    environment = os.environ | {"PYTHONPATH": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def planned(folder):
    """Return the pages that would be made anew."""
    text = snakemake(folder, "--dry-run", "--quiet", "host")
    return set(re.findall(r"output: book/executed/(\w+)\.ipynb", text))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of the checkout, of whose results there is DONE only, with all pages made."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("mixflow", "companion", "notebooks", "workflow"):
        copytree(ROOT / name, folder / name, ignore=ignore_patterns("__pycache__"))
    for name in ("_config.yml", "pyproject.toml"):
        copy(ROOT / name, folder)
    for done in RESULTS.glob("*/*/*/DONE"):
        path = folder / done.relative_to(ROOT)
        path.parent.mkdir(parents=True)
        copy(done, path)
    pages = folder / "book" / "executed"
    pages.mkdir()
    for source in (ROOT / "notebooks").glob("*.py"):
        (pages / f"{source.stem}.ipynb").touch()
    snakemake(folder, "--touch")
    return folder


def test_when_nothing_has_changed_no_page_is_made(checkout):
    assert planned(checkout) == set()


def test_a_change_makes_the_pages_that_show_it_and_no_other(checkout):
    """A new run, a module of one page, a notebook; a module that no page imports."""
    run = checkout / "book" / "results" / "vmonf" / "head-to-head" / "0123456789ab"
    run.mkdir()
    changed = [
        run / "DONE",
        checkout / "companion" / "figures" / "em_gm_interpolation.py",
        checkout / "notebooks" / "gmm_basis_tables.py",
        checkout / "companion" / "cli" / "values.py",
    ]
    for path in changed:
        with path.open("a") as stream:
            stream.write("\n# a word more\n")
    expected = {"em_gm_figure_7", "vmonf_against_em", "gmm_basis_tables"}
    assert planned(checkout) == expected
