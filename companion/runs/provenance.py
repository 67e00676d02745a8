"""Provenance: what a run was computed with, without naming the host or its user."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import companion
from companion.runs import stale
from companion.runs.config import Config

PACKAGES = ("mixflow", "torch", "numpy", "pandas", "scikit-learn", "scipy")


def code_state(folder: Path | None = None) -> dict[str, Any]:
    """Return the git commit of a package, and whether tracked files differ from it.

    Results under ``book/results`` do not count as a difference: publishing adds to them.
    Both are None outside git, or where the package is not tracked (an installed wheel
    inside somebody else's checkout).

    Parameters
    ----------
    folder
        Of the package; by default of the one that runs.
    """
    folder = folder or Path(companion.__file__).parent
    if _git(folder, "ls-files", "--error-unmatch", "__init__.py") is None:
        return {"commit": None, "dirty": None}
    commit = _git(folder, "rev-parse", "HEAD")
    changes = _git(
        folder,
        "status",
        "--porcelain",
        "--untracked-files=no",
        "--",
        ":/",
        ":(exclude,top)book/results",
    )
    return {"commit": commit, "dirty": None if changes is None else bool(changes)}


def knows_commit(checkout: Path, commit: str) -> bool:
    """Say whether a commit is one of the checkout's repository."""
    if not re.fullmatch("[0-9a-f]{40,64}", commit):
        return False
    return _git(checkout, "cat-file", "-e", f"{commit}^{{commit}}") is not None


@cache
def _code_once() -> dict[str, Any]:
    # The code in memory is that of the process's start, whatever is committed meanwhile.
    return code_state()


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


@dataclass(frozen=True)
class Start:
    """What is noted when a run begins: the time, and the code that is about to run."""

    utc: datetime = field(default_factory=lambda: datetime.now(UTC))
    clock: float = field(default_factory=time.perf_counter)
    code: Mapping[str, Any] = field(default_factory=_code_once)


def collect(
    config: Config,
    start: Start,
    *,
    device: str = "cpu",
    costs: Mapping[str, float] | None = None,
    resumed: bool = False,
) -> dict[str, Any]:
    """Return the provenance of a run that ends now.

    Parameters
    ----------
    config
        The run's config, which names the data sets that are read.
    start
        Made when the run began.
    device
        Torch device the run used.
    costs
        ``Result.costs``.
    resumed
        Whether it continued from a checkpoint; ``seconds`` then covers the last leg only.
    """
    return {
        "code": dict(start.code),
        "costs": {name: float(value) for name, value in (costs or {}).items()},
        "cpu_count": os.cpu_count(),
        "data": data_checksums(config),
        "device": device_name(device),
        "finished": _iso(datetime.now(UTC)),
        "packages": package_versions(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "resumed": resumed,
        "seconds": round(time.perf_counter() - start.clock, 3),
        "seeds": [config.seed],
        "started": _iso(start.utc),
        "torch_threads": _torch_threads(),
        "training_version": stale.VERSION,
    }


def package_versions() -> dict[str, str]:
    """Return the versions of the packages that decide the numbers."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def device_name(device: str) -> dict[str, str]:
    """Return the torch device and the model name of its processor."""
    if device.startswith("cuda"):
        import torch

        return {"torch": device, "name": torch.cuda.get_device_name(device)}
    return {"torch": device, "name": _cpu_model()}


def data_checksums(config: Config) -> dict[str, str]:
    """Return file -> sha256 as found, of the data sets that a run of the config reads.

    Names that are not in the registry, such as generated data, have no files.
    """
    wanted = config.data_sets()
    if not wanted:
        return {}
    from mixflow import datasets

    known = set(wanted) & set(datasets.names())
    return {item.file: item.found for name in sorted(known) for item in datasets.verify(name)}


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or platform.machine()


def _torch_threads() -> int:
    import torch

    return torch.get_num_threads()


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
