"""What a page is made from: read off the sources, and what Snakemake makes anew by it."""

import os
import re
import subprocess
import sys
from pathlib import Path
from shutil import copy, copytree, ignore_patterns

import pytest

from mixflow.dependencies import PACKAGE, dependencies, experiments_of, modules_of

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "book" / "results"


def notebook(folder, text, name="01_x.py"):
    path = folder / name
    path.write_text(text)
    return path


def names(paths, package=PACKAGE):
    return {path.relative_to(package).as_posix() for path in paths}


@pytest.fixture
def package(tmp_path):
    """A package of this name with modules a to e, and a table of two experiments."""
    folder = tmp_path / "mixflow"
    for part in ("experiments", "sub"):
        (folder / part).mkdir(parents=True)
    files = {
        "__init__.py": "if TYPE_CHECKING:\n    from mixflow.e import E\n",
        "a.py": "def f():\n    import mixflow.b\nif TYPE_CHECKING:\n    from mixflow import c\n",
        "b.py": "from mixflow.sub import inner\n",
        "c.py": "",
        "d.py": "",
        "e.py": "",
        "sub/__init__.py": "",
        "sub/inner.py": "",
        "sub/table.csv": "",
        "experiments/__init__.py": '_MODULES = {"p/one": "mixflow.d", "p/two": "mixflow.c"}',
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def test_imports_are_followed_wherever_they_stand(tmp_path, package):
    source = notebook(tmp_path, "# %%\nimport numpy\nimport mixflow.a")
    found = names(modules_of(source, package), package)
    assert found == {"__init__.py", "a.py", "b.py", "sub/__init__.py", "sub/inner.py"}


def test_a_name_of_mixflow_itself_is_imported_when_it_is_used(tmp_path, package):
    source = notebook(tmp_path, "from mixflow import E, c")
    assert names(modules_of(source, package), package) == {"__init__.py", "c.py", "e.py"}


def test_a_named_experiment_brings_its_module_and_its_runs(tmp_path, package):
    source = notebook(tmp_path, 'experiment = "p/one"  # not p/two')
    for name in ("p/one/0", "p/one/1", "p/two/0"):
        (tmp_path / "results" / name).mkdir(parents=True)
        (tmp_path / "results" / name / "DONE").touch()
    found = dependencies(source, tmp_path / "results", package)
    assert [path.relative_to(tmp_path).as_posix() for path in found] == [
        "01_x.py", "mixflow/__init__.py", "mixflow/d.py", "results/p/one/0/DONE",
        "results/p/one/1/DONE",
    ]  # fmt: skip


def test_tables_beside_modules_count(tmp_path, package):
    found = dependencies(notebook(tmp_path, "import mixflow.sub"), tmp_path, package)
    assert package / "sub" / "table.csv" in found


def test_relative_imports_are_refused(tmp_path, package):
    (package / "d.py").write_text("from . import c")
    with pytest.raises(ValueError, match="relative imports are not followed"):
        modules_of(notebook(tmp_path, "import mixflow.d"), package)


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
from mixflow import experiments
from mixflow.dependencies import experiments_of
tree = ast.parse(open({source!r}).read())
imports = [n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)]
exec(compile(ast.Module(imports, []), "imports", "exec"))
for name in {experiments!r}:
    experiments.find(name)
del sys.modules["mixflow.dependencies"]  # no page imports it
print(*(m.__file__ for n, m in list(sys.modules.items()) if n.split(".")[0] == "mixflow"))
"""


@pytest.mark.parametrize("page", ["06_em_gm_images", "11_vmonf_head_to_head", "32_basis_digits"])
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
    for source in sorted((ROOT / "notebooks").glob("[0-9]*.py")):
        named = re.search(r'^experiment = "(.+)"', source.read_text(), flags=re.M)
        shown = experiments_of(source)
        assert not named or named[1] in shown
        assert len(shown) <= len(every) / 2 or source.stem == "90_status"


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
    for name in ("mixflow", "notebooks", "workflow"):
        copytree(ROOT / name, folder / name, ignore=ignore_patterns("__pycache__"))
    for name in ("_config.yml", "pyproject.toml"):
        copy(ROOT / name, folder)
    for done in RESULTS.glob("*/*/*/DONE"):
        path = folder / done.relative_to(ROOT)
        path.parent.mkdir(parents=True)
        copy(done, path)
    pages = folder / "book" / "executed"
    pages.mkdir()
    for source in (ROOT / "notebooks").glob("[0-9]*.py"):
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
        checkout / "mixflow" / "figures" / "em_gm_interpolation.py",
        checkout / "notebooks" / "31_basis_tables.py",
        checkout / "mixflow" / "cli" / "values.py",
    ]
    for path in changed:
        with path.open("a") as stream:
            stream.write("\n# a word more\n")
    expected = {"07_em_gm_interpolation", "11_vmonf_head_to_head", "31_basis_tables"}
    assert planned(checkout) == expected
