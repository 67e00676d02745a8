"""Experiments: one module per table or figure of a paper."""

from __future__ import annotations

import difflib
import importlib

from mixflow.experiments.base import Answer, Config, Experiment, ParameterError, Result, RunContext

__all__ = [
    "Answer",
    "Config",
    "Experiment",
    "ParameterError",
    "Result",
    "RunContext",
    "find",
    "names",
]

# Name -> module; modules are imported only when asked for. Each defines EXPERIMENT.
_MODULES = {
    "em-gm/table-2": "mixflow.experiments.em_gm_table_2",
}


def names() -> list[str]:
    """Return the names of all experiments, sorted."""
    return sorted(_MODULES)


def find(name: str) -> Experiment:
    """Return the experiment of that name.

    Raises
    ------
    ParameterError
        If there is none, with the closest name.
    """
    if name not in _MODULES:
        close = difflib.get_close_matches(name, _MODULES, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ParameterError(f"no experiment {name!r}{hint} (see 'mixflow list')")
    experiment: Experiment = importlib.import_module(_MODULES[name]).EXPERIMENT
    return experiment
