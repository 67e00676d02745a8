"""The loop behind ``mixflow run``: every config in turn, with progress and a summary."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pandas as pd

from companion.cli.errors import remedy_of
from companion.cli.values import duration, label, table, varying
from companion.runs.config import Config, ParameterError
from companion.runs.experiment import Experiment
from companion.runs.places import published_root, shown
from companion.runs.runner import execute
from companion.runs.store import Store
from companion.runs.stored import StoredRun, StoreError
from mixflow.datasets import DatasetError

MAX_LINES = 40
_LISTED_PATHS = 8


@dataclass(frozen=True)
class How:
    """The options of ``mixflow run`` that change no number."""

    device: str = "cpu"
    resume: bool = True
    force: bool = False
    quiet: bool = False
    debug: bool = False


@dataclass
class _Clock:
    """Time per computed run, for the estimate of what is left."""

    started: float = field(default_factory=time.perf_counter)
    computed: list[float] = field(default_factory=list)

    def line(self, left: int) -> str:
        total = f"total {duration(time.perf_counter() - self.started)}"
        if not (left and self.computed):
            return total
        return f"{total}, ETA {duration(left * sum(self.computed) / len(self.computed))}"


def check_writable(store: Store) -> None:
    """Raise ``ParameterError`` where runs would go among the published ones."""
    published = published_root()
    if published is not None and store.root.resolve() == published.resolve():
        raise ParameterError(
            f"{shown(published)} holds what is published: let runs go elsewhere with --results, "
            "or leave it out, and then 'mixflow publish'"
        )


def run_all(
    experiment: Experiment,
    configs: Sequence[Config],
    store: Store,
    how: How,
    say: Callable[[str], None],
) -> tuple[list[StoredRun], list[str]]:
    """Execute the configs one after the other.

    A run that fails does not stop the others; what would fail them all (bad parameters,
    data or a package that is not there, a full disk) does, and is raised.

    Returns
    -------
    runs, failures
        The stored runs, and one line for each that failed.
    """
    fields = varying(configs)
    waiting = sum(how.force or not store.is_done(experiment.name, config) for config in configs)
    clock, runs, failures = _Clock(), [], []
    for position, config in enumerate(configs, 1):
        head = f"[{position}/{len(configs)}] {experiment.name} {label(config, fields)}"
        if not how.force and store.is_done(experiment.name, config):
            runs.append(_execute(experiment, config, store, how))  # which sweeps its directory
            state = "published" if store.is_published(runs[-1]) else "stored"
            say(f"{head}: {state} before")
            continue
        began = time.perf_counter()
        waiting -= 1
        try:
            runs.append(_execute(experiment, config, store, how))
        except (ParameterError, DatasetError, StoreError, ModuleNotFoundError):
            raise
        except Exception as error:
            if how.debug:
                raise
            what = remedy_of(error) or f"{type(error).__name__}: {error}"
            failures.append(f"{head}: {what}")
            say(failures[-1])
            continue
        seconds = time.perf_counter() - began
        clock.computed.append(seconds)
        say(f"{head}: {duration(seconds)}, {clock.line(waiting)}")
    return runs, failures


def _execute(experiment: Experiment, config: Config, store: Store, how: How) -> StoredRun:
    # Bars go to stderr, and only where somebody can watch them.
    progress = not how.quiet and sys.stderr.isatty()
    return execute(
        experiment,
        config,
        store,
        device=how.device,
        resume=how.resume,
        force=how.force,
        progress=progress,
    )


def preview(experiment: Experiment, configs: Sequence[Config], store: Store) -> str:
    """Return one line per config: its digest, what sets it apart, whether it is stored."""
    fields, lines = varying(configs), []
    for config in configs:
        state = "stored" if store.is_done(experiment.name, config) else "to run"
        lines.append(f"{state}  {config.digest()}  {label(config, fields)}")
    return "\n".join([*lines, f"{len(lines)} runs of {experiment.name} in {store.where()}"])


def summary(runs: Sequence[StoredRun], configs: Sequence[Config]) -> str:
    """Return the paths of the runs and their rows as means over seeds."""
    if not runs:
        return "nothing was stored"
    if len(runs) <= _LISTED_PATHS:
        places = "\n".join(str(run.path) for run in runs)
    else:
        places = f"{len(runs)} runs in {runs[0].path.parent}"
    means = mean_rows(runs, [name for name in varying(configs) if name != "seed"])
    more = f"\n... {len(means) - MAX_LINES} more lines" if len(means) > MAX_LINES else ""
    return f"{places}\n\n{table(means.head(MAX_LINES))}{more}"


def mean_rows(runs: Sequence[StoredRun], fields: Sequence[str]) -> pd.DataFrame:
    """Return mean and sample standard deviation over seeds, per kind of row and config.

    Parameters
    ----------
    runs
        The runs to put together.
    fields
        Config fields that tell runs apart; those that the rows show anyway are left out.
    """
    frames = [
        run.rows.assign(**{name: str(run.config[name]) for name in fields if name not in run.rows})
        for run in runs
    ]
    rows = pd.concat(frames, ignore_index=True)
    keys = [name for name in rows.columns if name not in ("seed", "value")]
    groups = rows.groupby(keys, sort=False, dropna=False)
    return groups.agg(
        mean=("value", "mean"), sd=("value", "std"), seeds=("seed", "nunique")
    ).reset_index()
