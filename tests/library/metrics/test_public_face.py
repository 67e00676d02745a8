"""The package as a whole: what importing it loads, what its docstrings say, their examples."""

import doctest
import importlib
import inspect
import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

from mixflow import metrics


def test_importing_it_loads_nothing_heavy():
    heavy = {"torch", "pandas", "sklearn", "matplotlib", "pydantic", "typer", "scipy.stats"}
    code = "import mixflow.metrics, sys, json; print(json.dumps(sorted(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not heavy & set(json.loads(found.stdout))


ALL_WITHOUT = """
import json, sys

class Absent:
    def find_spec(self, name, path, target=None):
        if name in ("pandas", "matplotlib", "pydantic", "typer"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
sys.path.insert(0, sys.argv[1])
from contract import EXAMPLES
from mixflow import metrics

for name, example in EXAMPLES.items():
    getattr(metrics, name)(**example.arrays, **example.settings)
print(json.dumps(sorted(sys.modules)))
"""


def test_they_need_no_pandas_and_nothing_of_ours_but_the_basis():
    command = [sys.executable, "-c", ALL_WITHOUT, str(Path(__file__).parent)]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    ours = {m.split(".")[1] for m in json.loads(found.stdout) if m.startswith("mixflow.")}
    assert ours == {"metrics", "basis"}


@pytest.mark.parametrize("name", metrics.__all__)
def test_docstrings_say_all(name):
    thing = getattr(metrics, name)
    text = inspect.getdoc(thing)
    if inspect.isclass(thing):
        assert len(text) > 30
        return
    for section in ("Parameters", "Returns", "Raises", "Examples"):
        assert f"\n{section}\n---" in text, f"{name} lacks {section}"
    assert text.count(">>>")
    assert f"\n{name} " in metrics.__doc__, "the table of the package has it"


MODULES = [module.name for module in pkgutil.iter_modules(metrics.__path__, "mixflow.metrics.")]


@pytest.mark.parametrize("module", MODULES)
def test_examples_in_the_docstrings(module):
    assert doctest.testmod(importlib.import_module(module)).failed == 0
