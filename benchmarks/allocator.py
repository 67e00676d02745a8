"""A training step of flows of images where the process keeps freed memory, and where it does not.

The command line asks glibc to keep it (:mod:`companion.cli.memory`). Every measurement is a fresh
process; the two take turns.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import torch

from benchmarks import common
from companion.cli.memory import keep_freed_memory
from companion.em_gm.images.models import new_flow
from companion.em_gm.images.table_1 import Images
from companion.runs.registry import find

WAYS = {"given back": False, "kept": True}
IMAGE_SHAPE = (1, 32, 32)


def measure(settings: dict[str, Any]) -> common.Row:
    """Take steps of one flow of the laptop profile's size; return their median time."""
    if settings["keep"] and not keep_freed_memory():
        raise SystemExit("this C library has no mallopt: nothing to compare")
    config = find("em-gm/table-1").configure("laptop")
    assert isinstance(config, Images)
    mixture = new_flow(config, IMAGE_SHAPE)
    x = torch.rand(1, config.batch_size, *IMAGE_SHAPE) - 0.5
    mixture.flow.initialize(x)
    adam = torch.optim.Adam(mixture.parameters(), fused=True)
    seconds = []
    for _ in range(settings["steps"]):
        start = time.perf_counter()
        adam.zero_grad()
        (-mixture.log_prob_each(x).mean()).backward()
        adam.step()
        seconds.append(time.perf_counter() - start)
    return {"ms": 1e3 * statistics.median(seconds), "peak MB": round(common.peak_mb())}


def main() -> None:
    """Let the two ways take turns, and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    arguments = common.parse(parser, "allocator", child=measure, threads=1)
    settings = vars(arguments)
    found: dict[str, list[common.Row]] = {way: [] for way in WAYS}
    for _ in range(arguments.rounds):
        for way, keep in WAYS.items():
            child = {**settings, "keep": keep}
            found[way].append(common.in_fresh_process("benchmarks.allocator", child))
    times = {way: [row["ms"] for row in rows] for way, rows in found.items()}
    rows = [
        {
            "freed memory": way,
            "median ms": round(statistics.median(times[way]), 1),
            "lowest ms": round(min(times[way]), 1),
            "times as long": common.paired_ratio(times[way], times["given back"]),
            "peak MB": max(row["peak MB"] for row in found[way]),
        }
        for way in WAYS
    ]
    common.report(arguments.name, rows, settings)


if __name__ == "__main__":
    main()
