"""Locks between processes: one of them does a thing, the others hear which one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, SoftFileLock, Timeout

_PATIENCE = 0.2  # seconds: a lock that is just being released is waited for


class BusyError(RuntimeError):
    """Another process is doing this very thing."""


@contextlib.contextmanager
def held(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file while the body runs; the system frees it when this process ends.

    The file is made, with its folder, and removed at the end; the next holder removes one that
    a killed process left.

    Parameters
    ----------
    path
        The lock file.
    what
        What is done under it, such as ``computing /a/b``, for whoever comes second.

    Raises
    ------
    BusyError
        If another process holds it; the message names the process where it can be known.
    """
    lock = _acquired(path, what)
    try:
        if not isinstance(lock, SoftFileLock):  # that one writes its owner itself
            with contextlib.suppress(OSError):
                path.write_text(f"{os.getpid()}\n")
        yield
    finally:
        # Removed while held: a process that has opened the old file sees that it lost its name.
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        lock.release()


def _acquired(path: Path, what: str) -> FileLock:
    lock = FileLock(path)
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=_PATIENCE, poll_interval=_PATIENCE / 10)
        except FileNotFoundError:
            continue  # a process that ended has just removed the empty folder
        except Timeout:
            raise BusyError(f"process {_owner(path)} is {what}; wait for it, then again") from None
        return lock


def _owner(path: Path) -> str:
    with contextlib.suppress(OSError, ValueError, IndexError):
        return str(int(path.read_text().split()[0]))
    return "(its number is not known)"
