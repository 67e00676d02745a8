"""Files written whole or not at all; what a killed writer leaves is swept by the next one."""

from __future__ import annotations

import contextlib
import errno
import glob
import json
import os
import tempfile
from collections.abc import Iterator
from io import BufferedRandom
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows: nobody else can remove a file that is open
    fcntl = None  # type: ignore[assignment]

SUFFIX = ".partial"
DEEPEST = 40  # levels of JSON: our own files have fewer than ten
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_atomically(path: Path, content: bytes) -> None:
    """Write the bytes as ``open_atomically`` does.

    Raises
    ------
    OSError
        If the folder is missing, or the disk is full or not writable; the old file stays.
    """
    with open_atomically(path) as stream:
        stream.write(content)


@contextlib.contextmanager
def open_atomically(path: Path) -> Iterator[BufferedRandom]:
    """Give a temporary file beside ``path``, to write and read; at the end it takes its place.

    A reader sees the old file or the new one. Temporary files that killed writers of this
    path left are removed.

    Raises
    ------
    OSError
        If the folder is missing, or the disk is full or not writable; the old file stays.
    """
    if not path.parent.is_dir():
        make = "make the folder first: there is none of this name"
        raise FileNotFoundError(errno.ENOENT, make, str(path.parent))
    sweep(path.parent, glob.escape(path.name))
    handle, temporary = _locked_temporary(path)
    try:
        with os.fdopen(handle, "w+b") as stream:
            yield stream
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


def out_of_space(error: BaseException | None) -> bool:
    """Say whether an error came of a full disk: itself, or one that it was raised from.

    Libraries that are no Python pass the system's words on and not its number.
    """
    while error is not None:
        full = isinstance(error, OSError) and error.errno in _NO_SPACE
        if full or os.strerror(errno.ENOSPC) in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def parse_json(text: str | bytes) -> Any:
    """Read JSON whoever wrote it.

    Raises
    ------
    ValueError
        If it is no JSON, or is nested more than ``DEEPEST`` levels deep.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError(f"nested more than {DEEPEST} levels deep") from None
    if _openings(text) > DEEPEST and _deeper_than(DEEPEST, value):
        raise ValueError(f"nested more than {DEEPEST} levels deep")
    return value


def _openings(text: str | bytes) -> int:
    """Return how many lists and tables begin: no fewer than there are levels."""
    if isinstance(text, str):
        return text.count("[") + text.count("{")
    return text.count(b"[") + text.count(b"{")


def _deeper_than(levels: int, value: Any) -> bool:
    if not isinstance(value, list | dict):
        return False
    items = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_deeper_than(levels - 1, item) for item in items)
