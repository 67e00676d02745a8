"""Files written whole or not at all; what a killed writer leaves is swept by the next one."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: nobody else can remove a file that is open
    fcntl = None  # type: ignore[assignment]

SUFFIX = ".partial"


def write_atomically(path: Path, content: bytes) -> None:
    """Write the bytes to a temporary file beside ``path``, then put it in place.

    A reader sees the old file or the new one. Temporary files that killed writers of this
    path left are removed.

    Raises
    ------
    OSError
        If the folder is missing, or the disk is full or not writable; the old file stays.
    """
    sweep(path.parent, path.name)
    handle, temporary = _locked_temporary(path)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())  # a full disk shows here, before the file has its name
            os.chmod(temporary, 0o644)  # mkstemp makes private files
            os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def sweep(folder: Path, name: str = "*") -> None:
    """Remove the temporary files of killed writers; those still being written stay."""
    for leftover in folder.glob(f".{name}.*{SUFFIX}"):
        with contextlib.suppress(OSError), leftover.open("rb") as stream:
            if fcntl is not None:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            leftover.unlink()


def _locked_temporary(path: Path) -> tuple[int, str]:
    """Make a temporary file that is locked as long as this process has it open."""
    while True:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=SUFFIX)
        if fcntl is None:
            return handle, name
        fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:
            return handle, name
        os.close(handle)  # swept before it was locked
