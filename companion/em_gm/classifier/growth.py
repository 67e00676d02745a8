"""Classes added one at a time, against training anew."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from companion.em_gm.classifier.config import Findings, Generative
from companion.em_gm.classifier.models import (
    FLOWS,
    Models,
    Task,
    fit_rival,
    mixture_of,
    stopwatch,
)
from mixflow.estimators import MixtureClassifier

ADDED, ANEW = "classes added", "trained anew"


def adding_classes(early: Models, late: Models, task: Task, config: Generative) -> Findings:
    """Add the new classes to what learned the known ones; test on all classes so far.

    Parameters
    ----------
    early, late
        Fitted to the known classes, which is changed, and to all of them.
    task, config
        The data, and how rivals are trained.

    Raises
    ------
    RuntimeError
        If adding a class changes a parameter of another.
    KeyboardInterrupt
        After Ctrl-C.
    """
    found, seen = Findings(), list(task.known)
    flows, rival = early.flows, early.rivals[config.retrained]
    _report(found, FLOWS, ADDED, flows, seen, task, early.seconds[FLOWS])
    _report(found, config.retrained, ANEW, rival, seen, task, early.seconds[config.retrained])
    for label in task.new:
        seen.append(label)
        before, old = [mixture_of(flows, c) for c in range(len(seen) - 1)], flows.classes_
        _, seconds = stopwatch(partial(_add, flows, task, label))
        after = [mixture_of(flows, c) for c in np.searchsorted(flows.classes_, old)]
        if not _identical(before, after):
            raise RuntimeError(f"adding class {label} changed the parameters of another class")
        _report(found, FLOWS, ADDED, flows, seen, task, seconds)
        if len(seen) < len(task.known) + len(task.new):
            rows = np.isin(task.y, seen)
            fit = partial(fit_rival, config, config.retrained, task.x[rows], task.y[rows])
            rival, seconds = stopwatch(fit)
        else:
            rival, seconds = late.rivals[config.retrained], late.seconds[config.retrained]
        _report(found, config.retrained, ANEW, rival, seen, task, seconds)
    _report(found, FLOWS, ANEW, late.flows, seen, task, late.seconds[FLOWS])
    return found


def _add(flows: MixtureClassifier, task: Task, label: int) -> None:
    flows.add_class(task.x[task.y == label], label)
    if flows.interrupted_:
        raise KeyboardInterrupt


def _report(
    found: Findings, name: str, way: str, model: object, seen: list, task: Task, seconds: float
) -> None:
    """Add the accuracy on the classes seen so far, and what this stage cost."""
    setting = f"{way}, {len(seen)} classes"
    rows = np.isin(task.y_test, seen)
    found.add(name, setting, accuracy_so_far=_accuracy(model, task.x_test[rows], task.y_test[rows]))
    found.costs[f"{name}, {setting}"] = seconds


def _accuracy(model: Any, x: NDArray, y: NDArray) -> float:
    return float((model.predict(x) == y).mean())


def _identical(before: list, after: list) -> bool:
    """Whether all tensors of two lists of mixtures are equal, bit for bit."""
    return all(
        torch.equal(mine, theirs)
        for old, new in zip(before, after, strict=True)
        for mine, theirs in zip(old.state_dict().values(), new.state_dict().values(), strict=True)
    )
