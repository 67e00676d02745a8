"""Test nats on nine tables: mixflow's default, Gaussian mixtures, kernels and flows.

Each table is divided at random, 60 / 20 / 20, for training, validation and test; its columns are
standardised by the training part. Whole numbers (fair, digits) get uniform noise one step wide;
columns of one value are left out. Mixtures and kernels are fitted to training and validation part
once they are chosen; flows of zuko's train on the first and stop by the second.

Every run is a line of results/tables.jsonl: a benchmark that was cut goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from scipy import stats
from threadpoolctl import threadpool_limits

from benchmarks import common
from benchmarks.table_models import Array, models

TABLES = (
    *("engel", "faithful", "iris", "wine", "breast_cancer", "diabetes"),
    *("fair", "digits", "diamonds"),
)
NOISY = ("fair", "digits")
LARGEST = 12_000
OURS, PEER, NSF = "mixflow", "Gaussian mixture", "NSF"
OTHERS = (PEER, "mixflow's Gaussian mixture", NSF)
Run = dict[str, Any]
Runs = dict[tuple[str, int, str], Run]


def load(folder: Path, name: str) -> Array:
    """Return a table, (N, D) float64."""
    x = np.loadtxt(folder / f"{name}.csv.gz", delimiter=",", skiprows=1)[:LARGEST]
    x = x[:, x.std(0) > 0]
    return x + np.random.default_rng(0).random(x.shape) if name in NOISY else x


def divided(x: Array, seed: int) -> tuple[Array, Array, Array]:
    """Return training, validation and test rows in standard units of the first."""
    order, n = np.random.default_rng(seed).permutation(len(x)), len(x)
    parts = np.split(x[order], [int(0.6 * n), int(0.8 * n)])
    shift, scale = parts[0].mean(0), parts[0].std(0)
    first, second, third = ((part - shift) / scale for part in parts)
    return first, second, third


def measure(model: Any, parts: tuple[Array, Array, Array], seed: int) -> Run:
    """Return test nats, the worst row, processor and wall seconds, and what the model chose."""
    processor, wall = time.process_time(), time.perf_counter()
    log_prob, chosen = model(*parts, seed)
    seconds = time.process_time() - processor, time.perf_counter() - wall
    return {
        "nats": float(log_prob.mean()),
        "worst": float(log_prob.min()),
        "seconds": round(seconds[0], 3),
        "wall": round(seconds[1], 3),
        "chosen": chosen,
    }


# Runs ----------------------------------------------------------------------------------------


def stored(path: Path) -> Runs:
    """Return the runs of a file by table, split and model; of several the last."""
    lines = path.read_text().splitlines() if path.exists() else []
    runs = [json.loads(line) for line in lines]
    return {(run["table"], run["split"], run["model"]): run for run in runs}


def run_all(arguments: argparse.Namespace, path: Path) -> None:
    """Make the runs that are missing, split by split, and add each to the file."""
    known, available = stored(path), models()
    for split in range(arguments.splits):
        for table in arguments.tables:
            parts = divided(load(arguments.folder, table), split)
            for name in arguments.models or available:
                if (table, split, name) in known:
                    continue
                if name not in available:
                    sys.exit(f"install zuko for {name}, or choose from {', '.join(available)}")
                run = measure(available[name], parts, split)
                line = {"table": table, "split": split, "model": name, **run}
                with path.open("a") as file:
                    file.write(json.dumps(line) + "\n")
                print(json.dumps(line), file=sys.stderr)


# The tables ----------------------------------------------------------------------------------


def column(runs: Runs, table: str, model: str, what: str) -> Array:
    """Return a value of every split, NaN where it is missing."""
    splits = range(1 + max(split for _, split, _ in runs))
    return np.array([runs.get((table, s, model), {}).get(what, np.nan) for s in splits], float)


def difference(runs: Runs, table: str, model: str, what: str = "nats") -> tuple[float, float]:
    """Return mixflow's mean minus a model's, and half the 95 % interval over their splits."""
    gap = column(runs, table, OURS, what) - column(runs, table, model, what)
    gap = gap[np.isfinite(gap)]
    if len(gap) < 2:
        return (float(gap.mean()) if len(gap) else np.nan), np.nan
    return float(gap.mean()), float(stats.sem(gap) * stats.t.ppf(0.975, len(gap) - 1))


def row(runs: Runs, table: str, names: list[str]) -> common.Row:
    """Return a table's mean nats by model over mixflow's splits, and its distance from some."""
    nats = {name: column(runs, table, name, "nats") for name in names}
    made = np.isfinite(nats[OURS])
    cells = {name: _mean(values[made]) for name, values in nats.items()}
    gaps = {f"minus {name}": _gap(*difference(runs, table, name)) for name in OTHERS}
    return {"table": table, "splits": int(made.sum()), **cells, **gaps}


def worst_and_seconds(runs: Runs, names: list[str]) -> list[common.Row]:
    """Return a row per table: the worst test row and the median seconds of every model."""
    rows = []
    for table in _tables(runs):
        cells: common.Row = {"table": table}
        for name in names:
            worst, seconds = (column(runs, table, name, what) for what in ("worst", "seconds"))
            if np.isfinite(worst).any():
                cells[name] = f"{np.nanmin(worst):,.0f}; {np.nanmedian(seconds):.2g} s"
        rows.append(cells)
    return rows


def summary(runs: Runs) -> dict[str, float]:
    """Count tables against the goal; of one split alone the mean counts, and beats no interval."""
    tables = _tables(runs)
    of_peer = np.array([difference(runs, table, PEER) for table in tables])
    of_nsf = np.array([difference(runs, table, NSF) for table in tables])
    seconds = [
        np.nanmedian(column(runs, t, OURS, "seconds") / column(runs, t, PEER, "seconds"))
        for t in tables
    ]
    return {
        "tables": len(tables),
        "of them with an interval, from two splits or more": int(np.isfinite(of_peer[:, 1]).sum()),
        "no worse than the Gaussian mixture within the interval": int(
            (of_peer[:, 0] + np.nan_to_num(of_peer[:, 1]) >= 0).sum()
        ),
        "better than the Gaussian mixture on average": int((of_peer[:, 0] > 0).sum()),
        "better beyond the interval": int((of_peer[:, 0] > of_peer[:, 1]).sum()),
        "better than NSF on average": int((of_nsf[:, 0] > 0).sum()),
        "seconds over the Gaussian mixture's search, median": round(float(np.median(seconds)), 2),
    }


def _tables(runs: Runs) -> list[str]:
    return [t for t in TABLES if any(key[::2] == (t, OURS) for key in runs)]


def _mean(values: Array) -> float | None:
    finite = values[np.isfinite(values)]
    return round(float(finite.mean()), 3) if len(finite) else None


def _gap(mean: float, half: float) -> str | None:
    if np.isnan(half):
        return None if np.isnan(mean) else f"{mean:+.3f} (one split)"
    return f"{mean:+.3f} ± {half:.3f}"


def main() -> None:
    """Make the runs that are missing and report all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    folder = Path(os.environ.get("MIXFLOW_DATA", "data"), "tables")
    parser.add_argument("--folder", type=Path, default=folder, help="with NAME.csv.gz")
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=TABLES)
    parser.add_argument("--models", nargs="+", help="default: all that are installed")
    parser.add_argument("--splits", type=int, default=5, help="0 reports what is stored")
    parser.add_argument("--runs", type=Path, help="default: results/tables.jsonl")
    arguments = common.parse(parser, "tables", threads=1)
    warnings.simplefilter("ignore", RuntimeWarning)
    path = arguments.runs or common.RESULTS / f"{arguments.name}.jsonl"
    with threadpool_limits(arguments.threads):
        run_all(arguments, path)
    runs = stored(path)
    names = list(dict.fromkeys([OURS, *models(), *(name for _, _, name in runs)]))
    rows = [row(runs, table, names) for table in _tables(runs)]
    if not rows:
        return
    settings = {"threads": arguments.threads, "scikit-learn": sklearn.__version__}
    goal = [{"what": what, "value": value} for what, value in summary(runs).items()]
    common.report(arguments.name, rows, settings)
    common.report(f"{arguments.name}_worst", worst_and_seconds(runs, names), settings)
    common.report(f"{arguments.name}_goal", goal, settings)


if __name__ == "__main__":
    main()
