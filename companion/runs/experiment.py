"""The contract of an experiment: ``Config`` -> ``run`` -> ``Result``."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic

from companion.runs.config import PROFILES, Config, ParameterError
from companion.runs.numbers import fields_of
from companion.runs.result import Result
from companion.runs.stored import StoredRun


@dataclass(frozen=True)
class RunContext:
    """Where and how a run is executed; never changes what it computes.

    Attributes
    ----------
    checkpoint
        Folder for checkpoints; emptied after the run is stored.
    device
        Torch device, such as ``cpu`` or ``cuda``.
    resume
        Continue from a checkpoint in the folder when there is one.
    progress
        Show progress bars.
    require
        Return the stored run of another experiment that this one builds on, computing it first
        where it is not there: ``require("em-gm/features", dataset="mnist")``. The parameters
        that are not named are those of this run's profile, or of the ``profile`` that is named.
    """

    checkpoint: Path
    device: str = "cpu"
    resume: bool = True
    progress: bool = True
    require: Callable[..., StoredRun] | None = None

    def required(self, name: str, **parameters: Any) -> StoredRun:
        """Return what ``require`` does.

        Raises
        ------
        ValueError
            If this context has no store to look in.
        """
        if self.require is None:
            raise ValueError("a run that builds on another needs RunContext.require")
        return self.require(name, **parameters)


@dataclass(frozen=True)
class Experiment:
    """One table or figure of a paper, ready to run.

    Attributes
    ----------
    name
        ``paper/item``, such as ``em-gm/table-2``.
    title
        One line for ``mixflow list``.
    config
        The ``Config`` subclass.
    run
        Computes a ``Result`` from a config.
    defaults
        Per profile, the parameter values that differ from the config's own defaults.
    plan
        Per profile, the points (parameter overrides, ``seed`` among them) that make up the
        whole table or figure.
    """

    name: str
    title: str
    config: type[Config]
    run: Callable[[Any, RunContext], Result]
    defaults: Mapping[str, Mapping[str, Any]]
    plan: Callable[[str], Sequence[Mapping[str, Any]]]

    def configure(self, profile: str = "smoke", **overrides: Any) -> Config:
        """Build the validated config of one run.

        Raises
        ------
        ParameterError
            If a name is unknown (with a "did you mean"), or a type or range is wrong.
        """
        check_names(overrides, self.config, self.name)
        check_profile(profile)
        values = {**self.defaults.get(profile, {}), **overrides, "profile": profile}
        try:
            fields_of(self.config)(**values)
            return self.config(**values)
        except pydantic.ValidationError as error:
            raise ParameterError(_explain(self.name, error)) from None

    def configs(self, profile: str, overrides: Iterable[Mapping[str, Any]] = ({},)) -> list[Config]:
        """Return the configs of the plan's points, for each of the overrides, once each.

        A value that occurs in the plan selects its points (``n_components=20``); one that does
        not is put into all of them (``noise=0.1``).

        Raises
        ------
        ParameterError
            As for ``configure``.
        """
        check_profile(profile)
        configs = {}
        for override in overrides:
            check_names(override, self.config, self.name)
            for point in _select(self.plan(profile), override):
                config = self.configure(profile, **point)
                configs[config.digest()] = config
        return list(configs.values())


def _select(
    points: Sequence[Mapping[str, Any]], override: Mapping[str, Any]
) -> Sequence[Mapping[str, Any]]:
    # The seed last: which seeds a plan has depends on its other values.
    for name in sorted(override, key=lambda name: name == "seed"):
        value = override[name]
        chosen = [point for point in points if name in point and _same(point[name], value)]
        points = chosen or [{**point, name: value} for point in points]
    return points


def _same(one: Any, other: Any) -> bool:
    # In Python, True equals 1.
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def check_profile(profile: str) -> None:
    """Raise ``ParameterError`` with a "did you mean" when there is no such profile."""
    if profile not in PROFILES:
        close = difflib.get_close_matches(str(profile), PROFILES, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ParameterError(f"profile {profile!r} is unknown{hint} (known: {', '.join(PROFILES)})")


def check_names(values: Mapping[str, Any], config: type[Config], owner: str) -> None:
    """Raise ``ParameterError`` with a "did you mean" when a name is not in the config."""
    for name in values:
        if name not in config.model_fields:
            close = difflib.get_close_matches(name, config.model_fields, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            known = ", ".join(config.model_fields)
            raise ParameterError(f"{owner} has no parameter {name!r}{hint} (known: {known})")


def _explain(owner: str, error: pydantic.ValidationError) -> str:
    lines = [
        f"{'.'.join(str(part) for part in item['loc'])}={_short(item['input'])}: {item['msg']}"
        for item in error.errors()
    ]
    return f"{owner}: " + "; ".join(lines)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:100]}..."
