"""What the command line asks of the C library's memory."""

from __future__ import annotations

import ctypes
import os

# Names and numbers of malloc.h; glibc takes no larger threshold for memory of its own mapping.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
MOST_MAPPED, NEVER_TRIMMED = 2**25, 2**31 - 1


def keep_freed_memory() -> bool:
    """Let the process keep the memory that a step of training frees, for the next step.

    Giving it back to the system and asking for it again takes time: for a flow of images as
    much as benchmarks/README.md says. The peak stays what it is. It is the process's own
    affair, so the command line does it and the library does not.

    Returns
    -------
    bool
        Whether the C library has such a call and took it, as glibc does; with others nothing
        changes.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is None:
        return False
    settings = {M_TRIM_THRESHOLD: NEVER_TRIMMED, M_MMAP_THRESHOLD: MOST_MAPPED}
    return all([bool(mallopt(name, value)) for name, value in settings.items()])
