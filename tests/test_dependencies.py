"""What a page is made from: a change anywhere else makes no page anew."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from mixflow.dependencies import dependencies, experiments_of, modules_of

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "book" / "results"
NOTEBOOKS = {path.stem: path for path in (ROOT / "notebooks").glob("[0-9]*.py")}
LOADED = """
import json, sys
exec(sys.stdin.read(), {})
print(json.dumps([m.__file__ for n, m in sys.modules.items() if n.startswith("mixflow")]))
"""


def test_a_page_depends_on_its_own_experiment_alone():
    source = NOTEBOOKS["05_em_gm_convergence"]
    assert "em-gm/convergence" in experiments_of(source)
    named = {path.relative_to(RESULTS).parts[1] for path in dependencies(source, RESULTS)
             if path.is_relative_to(RESULTS)}  # fmt: skip
    assert "convergence" in named
    assert not named & {"digits", "style", "head-to-head", "mnist"}


def test_modules_of_other_papers_are_no_dependency():
    modules = {
        path.relative_to(ROOT).as_posix() for path in modules_of(NOTEBOOKS["31_basis_tables"])
    }
    assert "mixflow/experiments/gmm_basis/table_1.py" in modules
    assert not [name for name in modules if name.startswith("mixflow/experiments/vmonf/")]


@pytest.mark.parametrize("name", ["05_em_gm_convergence", "15_em_gm_optimizer", "33_basis_style"])
def test_what_a_page_imports_is_a_dependency(name):
    tree = ast.parse(NOTEBOOKS[name].read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    code = "\n".join(map(ast.unparse, imports))
    done = subprocess.run(
        [sys.executable, "-c", LOADED], input=code, capture_output=True, text=True, check=True,
        cwd=ROOT,
    )  # fmt: skip
    loaded = {Path(file) for file in json.loads(done.stdout.splitlines()[-1]) if file}
    assert loaded <= modules_of(NOTEBOOKS[name])


def test_one_more_run_makes_only_the_pages_that_show_it_anew(tmp_path):
    done = tmp_path / "vmonf" / "head-to-head" / ("0" * 12) / "DONE"
    done.parent.mkdir(parents=True)
    done.touch()
    shown_by = {name for name, path in NOTEBOOKS.items() if done in dependencies(path, tmp_path)}
    assert "11_vmonf_head_to_head" in shown_by
    assert not shown_by & {"05_em_gm_convergence", "31_basis_tables", "33_basis_style"}
