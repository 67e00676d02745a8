"""The command line keeps the memory that a process frees."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import sys
from pathlib import Path
from companion.cli.memory import keep_freed_memory

def resident():
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if "VmRSS" in x)
    return int(line.split()[1]) / 1024

if sys.argv[1] == "kept":
    assert keep_freed_memory()
parts = [bytearray(b"x") * 2**24 for _ in range(8)]
held = resident()
del parts
print(held - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has mallopt")
def test_freed_memory_stays_with_the_process_only_if_it_asks() -> None:
    given_back = {
        way: float(
            subprocess.run(
                [sys.executable, "-c", PROGRAM, way], capture_output=True, text=True, check=True
            ).stdout
        )
        for way in ("kept", "not")
    }
    assert given_back["not"] > 100 > 10 > given_back["kept"]
