"""What the benchmarks share: interleaved timing, peak memory, the machine, tables."""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

PEERS = ("normflows", "nflows", "zuko", "flowjax")
RESULTS = Path(__file__).parent / "results"
Row = dict[str, Any]


def interleave(
    alternatives: Mapping[str, Callable[[], None]],
    *,
    repetitions: int,
    steps: int = 1,
    warmup: int = 2,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Time alternatives in turn, A B C A B C ..., and return seconds per step.

    A slow phase of the machine then strikes all of them; garbage is collected between
    repetitions, never within.

    Parameters
    ----------
    alternatives
        What to run, by name.
    repetitions, warmup
        Rounds that count, and rounds before them that do not.
    steps
        Calls in a repetition, so that a short step fills a few milliseconds.
    clock
        Seconds; ``time.process_time`` counts the processor's, whatever else the machine does.
    """
    seconds: dict[str, list[float]] = {name: [] for name in alternatives}
    gc.collect()
    gc.disable()
    try:
        for repetition in range(-warmup, repetitions):
            for name, function in alternatives.items():
                start = clock()
                for _ in range(steps):
                    function()
                if repetition >= 0:
                    seconds[name].append((clock() - start) / steps)
            gc.collect()
    finally:
        gc.enable()
    return seconds


def summary(seconds: Sequence[float], digits: int = 2) -> Row:
    """Return the median and the quartiles in milliseconds."""
    quartiles = statistics.quantiles(seconds, n=4) if len(seconds) > 1 else [seconds[0]] * 3
    names = ("median_ms", "lower_quartile_ms", "upper_quartile_ms")
    values = (statistics.median(seconds), quartiles[0], quartiles[2])
    return {n: round(1e3 * v, digits) for n, v in zip(names, values, strict=True)}


def paired_ratio(seconds: Sequence[float], reference: Sequence[float]) -> float:
    """Return the median over rounds of this round's time over the reference's."""
    ratios = [a / b for a, b in zip(seconds, reference, strict=True)]
    return round(statistics.median(ratios), 2)


def ratio_quartiles(seconds: Sequence[float], reference: Sequence[float]) -> str:
    """Return the median and the quartiles over rounds of this round's time over the reference's."""
    ratios = [a / b for a, b in zip(seconds, reference, strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    return f"{statistics.median(ratios):.3g} ({low:.3g} to {high:.3g})"


# The command line ----------------------------------------------------------------------------


def parse(
    parser: argparse.ArgumentParser,
    name: str,
    *,
    child: Callable[[Row], Row] | None = None,
    threads: int | None = None,
    argv: Sequence[str] | None = None,
) -> argparse.Namespace:
    """Read the command line, options that all benchmarks have included, and set torch's threads.

    Parameters
    ----------
    parser
        With the benchmark's own options.
    name
        Of the benchmark: default of ``--name``.
    child
        What :func:`in_fresh_process` runs there: settings to a row. Such a process ends here.
    threads
        Default of ``--threads``; None leaves torch its own choice.
    argv
        Arguments; None takes the process's.
    """
    text = "torch's threads" + ("" if threads else "; default: its own choice")
    parser.add_argument("--threads", type=int, default=threads, help=text)
    parser.add_argument("--name", default=name, help="of the file under results")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    own = json.loads(arguments.child) if arguments.child else vars(arguments)
    if own["threads"]:
        torch.set_num_threads(own["threads"])
    if child and arguments.child:
        print(json.dumps(child(own)))
        raise SystemExit
    del arguments.child
    warn_if_busy()
    return arguments


# Memory --------------------------------------------------------------------------------------


def reset_peak() -> None:
    """Set the process's high-water mark of resident memory back to what is resident now."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass  # elsewhere than on Linux the mark is that of the whole process


def peak_mb() -> float:
    """Return the high-water mark of this process's resident memory in MB (1e6 bytes)."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def resident_mb() -> float:
    """Return this process's resident memory now in MB; its peak elsewhere than on Linux."""
    status = Path("/proc/self/status")
    if not status.exists():
        return peak_mb()
    line = next(x for x in status.read_text().splitlines() if x.startswith("VmRSS"))
    return int(line.split()[1]) * 1024 / 1e6


def in_fresh_process(module: str, settings: Mapping[str, Any]) -> Row:
    """Run ``python -m module --child SETTINGS`` and return the row that it prints last."""
    done = subprocess.run(
        [sys.executable, "-m", module, "--child", json.dumps(settings)],
        cwd=Path(__file__).parent.parent,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    row: Row = json.loads(done.stdout.splitlines()[-1])
    return row


# Reports -------------------------------------------------------------------------------------


def machine() -> dict[str, Any]:
    """Describe the machine and the versions, without naming the host."""
    versions = {}
    for package in ("mixflow", "torch", "numpy", *PEERS):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "processor": _processor(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "cores": os.cpu_count(),
        "memory_gb": _memory_gb(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": versions,
        "threads": torch.get_num_threads(),
        "load_average": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "date": datetime.now(UTC).date().isoformat(),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text().splitlines()
        found = {k.strip(): v.strip() for k, _, v in (x.partition(":") for x in lines)}
        if "model name" in found:
            family = f"family {found.get('cpu family')}, model {found.get('model')}"
            return f"{found['model name']} ({family})"
    return platform.processor() or platform.machine()


def _memory_gb() -> int | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9)
    except (AttributeError, ValueError, OSError):
        return None


def markdown(rows: Sequence[Row]) -> str:
    """Return rows as an aligned Markdown table; missing values stay empty."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[name.replace("_", " ") for name in names]]
    cells += [[_text(row.get(name)) for name in names] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(names))]
    cells.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |"
        for line in cells
    )


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, (int, float)) else str(value)


def report(name: str, rows: Sequence[Row], settings: Mapping[str, Any]) -> None:
    """Print the table and write it, with the machine and the settings, to results/NAME.json."""
    record = {"benchmark": name, "machine": machine(), "settings": dict(settings), "rows": rows}
    print(markdown(rows))
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(record, indent=1) + "\n")
    print(f"written: benchmarks/results/{name}.json")


def warn_if_busy() -> None:
    """Say on stderr when other processes would disturb the measurement."""
    if hasattr(os, "getloadavg") and os.getloadavg()[0] > 0.5:
        load = os.getloadavg()[0]
        print(f"the load average is {load:.1f}: other processes disturb the times", file=sys.stderr)
