"""Run an experiment's config once: lock, compute or resume, store with provenance."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from mixflow.experiments.base import Config, Experiment, ParameterError, RunContext
from mixflow.results import provenance
from mixflow.results.store import LOCK, Store, StoredRun

try:
    import fcntl
except ImportError:  # Windows: runs are stored whole there too, only never locked
    fcntl = None  # type: ignore[assignment]

POLL_SECONDS = 5.0


class BusyError(RuntimeError):
    """Another process is computing this very run."""


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
        If the result could not be written.
    KeyboardInterrupt
        Passed on; the checkpoint stays, and the same call continues from it.
    """
    check_device(device)
    if not force and store.is_done(experiment.name, config):
        return store.load(experiment.name, config)
    directory = store.directory(experiment.name, config)
    directory.mkdir(parents=True, exist_ok=True)
    try:
        with _locked(directory):
            # The process that held the lock before may have finished this run.
            if force or not store.is_done(experiment.name, config):
                require = _requirer(config, store, device=device, progress=progress)
                context = RunContext(directory / "checkpoint", device, resume, progress, require)
                _compute(experiment, config, store, context)
    finally:
        _remove_empty(directory, store.root)
    return store.load(experiment.name, config)


def _requirer(config: Config, store: Store, **how: Any) -> Callable[..., StoredRun]:
    """Return ``RunContext.require`` of a run: what it builds on is kept in the same store."""

    def require(name: str, **parameters: Any) -> StoredRun:
        from mixflow.experiments import find

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


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold the run's lock; the kernel frees it when this process ends, however it ends."""
    if fcntl is None:
        yield
        return
    path = directory / LOCK
    handle = _acquire(path)
    try:
        handle.seek(0)
        handle.truncate()
        handle.write(f"{os.getpid()}\n")
        handle.flush()
        yield
    finally:
        # Removed while held; a process that opened the old file notices in _acquire.
        path.unlink(missing_ok=True)
        handle.close()


def _acquire(path: Path) -> IO[str]:
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle = path.open("a+")
        except FileNotFoundError:
            continue  # a process that ended has just removed the empty directory
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.seek(0)
            owner = handle.read().strip() or "unknown"
            handle.close()
            raise BusyError(
                f"process {owner} is computing {path.parent}; wait for it and run again"
            ) from None
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle.fileno()), path.stat()):
                return handle
        handle.close()
