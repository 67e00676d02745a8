"""Run an experiment's config once: lock, compute or resume, store with provenance."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from companion.runs import provenance
from companion.runs.config import Config, ParameterError
from companion.runs.experiment import Experiment, RunContext
from companion.runs.locks import BusyError, held
from companion.runs.store import Store
from companion.runs.stored import CHECKPOINT, DONE, FILES, LOCK, StoredRun, StoreError, not_written
from mixflow.files import out_of_space, sweep

POLL_SECONDS = 5.0


def execute(
    experiment: Experiment,
    config: Config,
    store: Store,
    *,
    device: str = "cpu",
    resume: bool = True,
    force: bool = False,
    progress: bool = True,
) -> StoredRun:
    """Return the stored run of a config, computing it first where it is not there.

    Parameters
    ----------
    experiment, config
        What to run.
    store
        Where finished runs are kept; the checkpoint is inside the run's directory.
    device
        Torch device, such as ``cpu`` or ``cuda``.
    resume
        Continue from the checkpoint of an interrupted run; otherwise start afresh.
    force
        Compute again although a stored run is there.
    progress
        Let the experiment show progress bars.

    Raises
    ------
    ParameterError
        If the device is not there.
    BusyError
        If another process is computing this run.
    StoreError
        If the result could not be written, or the disk became full while it was computed.
    KeyboardInterrupt
        Passed on; the checkpoint stays, and the same call continues from it.
    """
    check_device(device)
    directory = store.directory(experiment.name, config)
    if not force and store.is_done(experiment.name, config):
        _tidy(directory)
        return store.load(experiment.name, config)
    try:
        with _says_when_full(directory), _lock(directory):
            # The process that held the lock before may have finished this run.
            if force or not store.is_done(experiment.name, config):
                require = _requirer(config, store, device=device, progress=progress)
                context = RunContext(directory / CHECKPOINT, device, resume, progress, require)
                _compute(experiment, config, store, context)
    finally:
        _remove_empty(directory, store.root)
    return store.load(experiment.name, config)


def _requirer(config: Config, store: Store, **how: Any) -> Callable[..., StoredRun]:
    """Return ``RunContext.require`` of a run: what it builds on is kept in the same store."""

    def require(name: str, **parameters: Any) -> StoredRun:
        from companion.runs.registry import find

        experiment = find(name)
        wanted = experiment.configure(**{"profile": config.profile, **parameters})
        return awaited(experiment, wanted, store, **how)

    return require


def awaited(experiment: Experiment, config: Config, store: Store, **how: Any) -> StoredRun:
    """Return what ``execute`` does, waiting while another process computes this very run.

    Runs and pages that are made side by side may build on the same one.
    """
    while True:
        try:
            return execute(experiment, config, store, **how)
        except BusyError:
            time.sleep(POLL_SECONDS)


def check_device(device: str) -> None:
    """Raise ``ParameterError`` with a remedy when the torch device is unknown or absent."""
    import torch

    try:
        kind, index = torch.device(device).type, torch.device(device).index
    except RuntimeError:
        raise ParameterError(f"device {device!r} is unknown; use cpu or cuda") from None
    if kind == "cuda" and (index or 0) >= torch.cuda.device_count():
        raise ParameterError(
            f"device {device!r} was asked for, but torch {torch.__version__} sees "
            f"{torch.cuda.device_count()} CUDA GPUs; use --device cpu, or install a CUDA build of "
            "torch and check nvidia-smi"
        )


def _compute(experiment: Experiment, config: Config, store: Store, context: RunContext) -> None:
    checkpoint = context.checkpoint
    for folder in (checkpoint.parent, checkpoint):
        sweep(folder)
    if not context.resume:
        shutil.rmtree(checkpoint, ignore_errors=True)
    resumed = checkpoint.is_dir() and any(checkpoint.iterdir())
    checkpoint.mkdir(exist_ok=True)
    start = provenance.Start()
    try:
        result = experiment.run(config, context)
        record = provenance.collect(
            config, start, device=context.device, costs=result.costs, resumed=resumed
        )
        store.save(experiment.name, config, result, record)
    except BaseException:
        with contextlib.suppress(OSError):
            checkpoint.rmdir()  # only when empty: a checkpoint is what the next try needs
        raise
    shutil.rmtree(checkpoint)


def _remove_empty(directory: Path, root: Path) -> None:
    """Remove the run's directory and its parents below the root where they are empty."""
    for folder in (directory, *directory.parents):
        if folder == root.parent:
            return
        try:
            folder.rmdir()
        except OSError:
            return


def _tidy(directory: Path) -> None:
    """Remove what a process left that was killed after it had finished the run there."""
    there = set(os.listdir(directory)) if directory.is_dir() else set()
    if DONE not in there or there <= {DONE, *FILES}:
        return
    with contextlib.suppress(BusyError), held(directory / LOCK, f"computing {directory}"):
        sweep(directory)
        shutil.rmtree(directory / CHECKPOINT, ignore_errors=True)


def _lock(directory: Path) -> contextlib.ExitStack:
    """Hold the run's lock until the stack is closed, in a directory that can be written."""
    stack = contextlib.ExitStack()
    try:
        stack.enter_context(held(directory / LOCK, f"computing {directory}"))
    except OSError as error:
        raise not_written(directory, error) from error
    return stack


@contextlib.contextmanager
def _says_when_full(directory: Path) -> Iterator[None]:
    """Give an error of a full disk, wherever it came up, its remedy."""
    try:
        yield
    except StoreError:
        raise
    except Exception as error:
        if out_of_space(error):
            raise not_written(directory, error) from error
        raise
