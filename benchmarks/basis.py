"""Learning densities on a fixed basis: points a second, and a Gram matrix's entries at once.

The floor of every count is ``np.bincount`` on cells that are known already. Algorithm 2 finds
the cells itself. The second part runs in a fresh process and fits 262,144 features (the entries
of a 512 x 512 Gram matrix) from 100 points each; it ends with status 1 above 3 s or 2 GB.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import common
from mixflow import BasisDensity, basis

FLOOR = "np.bincount, cells known"
LIMIT_SECONDS, LIMIT_MB = 3.0, 2000


def alternatives(
    n_points: int, n_features: int, n: int, dtype: str
) -> dict[str, Callable[[], object]]:
    """Return the fits to compare, on uniform points (n_points / D, D)."""
    x = np.random.default_rng(0).random((n_points // n_features, n_features)).astype(dtype)
    offset = n * np.arange(n_features)
    cells = (np.minimum((x * n).astype(np.int64), n - 1) + offset).ravel()
    columns = [np.ascontiguousarray(column) for column in x.T]
    counts = basis.bin_counts(x, 0, 1, n)[0].ravel()
    np.testing.assert_array_equal(counts, np.bincount(cells, minlength=n * n_features))
    fits: dict[str, Callable[[], object]] = {
        FLOOR: lambda: np.bincount(cells, minlength=n * n_features),
        "algorithm 2, bounds given": lambda: basis.nearest_weights(basis.bin_counts(x, 0, 1, n)[0]),
        "BasisDensity, bounds given": BasisDensity(n, bounds=(0, 1)).fit,
        "BasisDensity, bounds found": BasisDensity(n).fit,
        "np.histogram": lambda: [np.histogram(c, n, (0, 1)) for c in columns],
    }
    return {name: (lambda f=f: f(x)) if hasattr(f, "__self__") else f for name, f in fits.items()}


def throughput(arguments: argparse.Namespace) -> list[common.Row]:
    """Time the fits in turn; a row per alternative."""
    rows = []
    for dtype in ("float32", "float64"):
        for n_features in arguments.features:
            fits = alternatives(arguments.points, n_features, arguments.components, dtype)
            print(f"{dtype}, {n_features} features", file=sys.stderr)
            seconds = common.interleave(fits, repetitions=arguments.repetitions)
            for name, times in seconds.items():
                rate = arguments.points / statistics.median(times) / 1e6
                rows.append(
                    {
                        "what": name,
                        "dtype": dtype,
                        "features": n_features,
                        "points": arguments.points,
                        **common.summary(times, 1),
                        "M_points/s": round(rate),
                        "times_the_floor": common.paired_ratio(times, seconds[FLOOR]),
                    }
                )
    return rows


def gram(settings: dict[str, Any]) -> common.Row:
    """Fit all features at once; return time and the peak over what the imports took."""
    BasisDensity(settings["components"]).fit(np.random.default_rng(0).random((50, 2)))
    before = common.resident_mb()
    shape = settings["crops"], settings["entries"]
    x = np.random.default_rng(0).random(shape, dtype=np.float32)
    common.reset_peak()
    seconds = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of outliers: there is no time to look
        for _ in range(settings["repetitions"]):
            model, start = BasisDensity(settings["components"]), time.perf_counter()
            model.fit(x)
            seconds.append(time.perf_counter() - start)
    return {
        "what": "BasisDensity, bounds found",
        "dtype": "float32",
        "features": settings["entries"],
        "points": x.size,
        **common.summary(seconds, 1),
        "M_points/s": round(x.size / statistics.median(seconds) / 1e6),
        "peak_MB": round(common.peak_mb() - before),
    }


def main() -> None:
    """Run both parts and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=16_000_000)
    parser.add_argument("--features", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--components", type=int, default=200)
    parser.add_argument("--entries", type=int, default=512 * 512)
    parser.add_argument("--crops", type=int, default=100)
    parser.add_argument("--repetitions", type=int, default=9)
    arguments = common.parse(parser, "basis", child=gram, threads=1)
    settings = vars(arguments)
    rows = throughput(arguments)
    rows.append(common.in_fresh_process("benchmarks.basis", {**settings, "repetitions": 3}))
    common.report(arguments.name, rows, settings)
    if rows[-1]["median_ms"] > 1e3 * LIMIT_SECONDS or rows[-1]["peak_MB"] > LIMIT_MB:
        sys.exit(f"{rows[-1]} is above {LIMIT_SECONDS} s or {LIMIT_MB} MB")


if __name__ == "__main__":
    main()
