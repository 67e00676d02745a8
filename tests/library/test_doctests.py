"""Every example in the library's docstrings gives what it says, and what is public has one."""

import doctest
import importlib
import pkgutil
from inspect import getdoc, isclass

import pytest

import mixflow
from mixflow import estimators, metrics, mixtures

MODULES = [
    module.name
    for module in pkgutil.walk_packages(mixflow.__path__, "mixflow.")
    if not module.name.endswith("__main__")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def shown():
    """Return what a reader of the card meets: estimators, metrics, flows and mixtures to fit."""
    names = {"estimators": estimators.__all__, "metrics": metrics.__all__}
    names |= {"flows": ["Glow", "VectorFlow"], "mixtures": mixtures.__all__}
    return [f"{package}.{name}" for package, some in names.items() for name in some]


# What measures return, and what only others are made of.
WITHOUT = {f"metrics.{name}" for name in metrics.__all__ if isclass(getattr(metrics, name))}
WITHOUT |= {"mixtures.Mixture"}


@pytest.mark.parametrize("name", sorted({*shown()} - WITHOUT))
def test_what_a_reader_meets_has_an_example(name):
    package, _, thing = name.partition(".")
    assert ">>>" in getdoc(getattr(importlib.import_module(f"mixflow.{package}"), thing))
