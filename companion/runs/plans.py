"""Which runs are points of a plan: those that count as evidence. Known without importing torch."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import companion
from companion.runs import registry
from companion.runs.config import PROFILES
from companion.runs.experiment import Experiment
from mixflow import files

KEPT = 8  # caches, one for each state of the sources


@dataclass(frozen=True)
class Plan:
    """The points of one experiment's plans, whatever their seed.

    Attributes
    ----------
    absent
        Parameters that came after runs were stored -> what those runs did.
    points
        Hashes of the configs without their seeds.
    """

    absent: Mapping[str, Any]
    points: frozenset[str]

    def __contains__(self, config: Mapping[str, Any]) -> bool:
        return _point(self.absent, config) in self.points


def plans() -> dict[str, Plan]:
    """Return the plans of all experiments, from a cache where no source file changed since.

    Making them imports every experiment, and torch with them, which takes seconds.
    """
    sources = _sources()
    if sources is None:
        return {name: plan_of(registry.find(name)) for name in registry.names()}
    path = _cache() / f"plans-{sources}.json"
    try:
        return _read(files.parse_json(path.read_bytes()))
    except (OSError, ValueError, KeyError, TypeError):
        found = {name: plan_of(registry.find(name)) for name in registry.names()}
        _keep(path, found)
        return found


def plan_of(experiment: Experiment) -> Plan:
    """Return the points of an experiment's plans."""
    config = experiment.config
    absent = {name: config.model_fields[name].default for name in config.added}
    points = (
        _point(absent, planned.model_dump(mode="json"))
        for profile in PROFILES
        for planned in experiment.configs(profile)
    )
    return Plan(absent, frozenset(points))


def _point(absent: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    """Return the hash of ``Config.identity`` without the seed."""
    rest = {
        name: value
        for name, value in values.items()
        if name != "seed" and (name not in absent or value != absent[name])
    }
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()[:16]


def _sources() -> str | None:
    """Return a hash of the experiments' source files; None where some are from elsewhere."""
    modules = registry._MODULES
    folder = Path(companion.__file__).parent
    if not all(module.startswith(f"{companion.__name__}.") for module in modules.values()):
        return None
    text = hashlib.sha256(repr(sorted(modules.items())).encode())
    for path in sorted(folder.rglob("*.py")):
        text.update(f"{path.relative_to(folder)} {path.stat().st_mtime_ns}".encode())
    text.update(str(folder).encode())
    return text.hexdigest()[:16]


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME", "").strip()
    return (Path(home) if home else Path.home() / ".cache") / "mixflow"


def _read(stored: Mapping[str, Any]) -> dict[str, Plan]:
    return {n: Plan(p["absent"], frozenset(p["points"])) for n, p in stored.items()}


def _keep(path: Path, found: Mapping[str, Plan]) -> None:
    """Write the cache; a folder that cannot be written costs the next call its time, no more."""
    stored = {n: {"absent": p.absent, "points": sorted(p.points)} for n, p in found.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        there = sorted(path.parent.glob("plans-*.json"), key=lambda p: p.stat().st_mtime)
        for older in there[: -KEPT + 1]:  # of earlier sources, or of other checkouts
            older.unlink(missing_ok=True)
        files.write_atomically(path, json.dumps(stored, default=str).encode())
    except OSError:
        return
