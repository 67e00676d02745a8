"""Test nats of Gaussian mixtures chosen by held-out likelihood: mixflow and scikit-learn.

Nine tables, each divided at random into four fifths and a fifth. scikit-learn's GaussianMixture has
its K and reg_covar chosen from the same numbers of components and ridges, by as many folds, on
features that are standardised; both are then fitted to all four fifths. Whole numbers (fair,
digits) get uniform noise of their spacing; what has no value but one is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import KFold
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from benchmarks import common
from mixflow.training.gaussian_selection import (
    FOLDS,
    N_COMPONENTS,
    ONE_SPLIT,
    SMOOTHINGS,
    select_gaussian_mixture,
)

TABLES = (
    *("engel", "faithful", "iris", "wine", "breast_cancer", "diabetes"),
    *("fair", "digits", "diamonds"),
)
NOISY = ("fair", "digits")
RIDGES = [s.ridge for s in SMOOTHINGS if not s.shrinkage]


def load(folder: Path, name: str) -> np.ndarray:
    """Return a table, (N, D) float64."""
    x = np.loadtxt(folder / f"{name}.csv.gz", delimiter=",", skiprows=1)
    x = x[:, x.std(0) > 0]
    return x + np.random.default_rng(0).random(x.shape) if name in NOISY else x


def divided(x: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return four fifths and a fifth of the rows, by chance."""
    order = np.random.default_rng(seed).permutation(len(x))
    return x[order[len(x) // 5 :]], x[order[: len(x) // 5]]


def ours(x: np.ndarray, test: np.ndarray, seed: int) -> dict[str, Any]:
    """Select by mixflow; return K, the smoothing and log p of the test rows."""
    selection = select_gaussian_mixture(
        torch.from_numpy(x), generator=torch.Generator().manual_seed(seed)
    )
    log_prob = selection.mixture.log_prob(torch.from_numpy(test)).numpy()
    return {"k": selection.n_components, "smoothing": [*selection.smoothing], "log_prob": log_prob}


def theirs(x: np.ndarray, test: np.ndarray, seed: int) -> dict[str, Any]:
    """Select by scikit-learn; return K, the ridge and log p of the test rows."""
    scaler = StandardScaler().fit(x)
    z = scaler.transform(x)
    parts = list(KFold(FOLDS, shuffle=True, random_state=seed).split(z))
    parts = parts[:1] if len(z) >= ONE_SPLIT else parts
    fewest = min(len(train) for train, _ in parts)
    scores = {}
    for k in N_COMPONENTS:
        for ridge in RIDGES if k <= max(1, fewest // 2) else []:
            model = GaussianMixture(k, reg_covar=ridge, random_state=seed)
            held_out = [model.fit(z[train]).score_samples(z[out]) for train, out in parts]
            scores[k, ridge] = float(np.concatenate(held_out).mean())
    k, ridge = max(scores, key=scores.__getitem__)
    model = GaussianMixture(k, reg_covar=ridge, random_state=seed).fit(z)
    log_prob = model.score_samples(scaler.transform(test)) - np.log(scaler.scale_).sum()
    return {"k": k, "smoothing": [ridge, 0.0], "log_prob": log_prob}


def measure(x: np.ndarray, seed: int) -> dict[str, dict[str, Any]]:
    """Return what both find on a split, with their processor seconds."""
    train, test = divided(x, seed)
    found = {}
    for name, select in (("mixflow", ours), ("scikit-learn", theirs)):
        start = time.process_time()
        found[name] = select(train, test, seed)
        found[name]["seconds"] = time.process_time() - start
    return found


def row(name: str, shape: tuple[int, ...], splits: list[dict[str, dict[str, Any]]]) -> common.Row:
    """Return a table's means, and the 95 % interval of the difference over splits."""
    nats = {who: [s[who]["log_prob"].mean() for s in splits] for who in ("mixflow", "scikit-learn")}
    difference = np.subtract(nats["mixflow"], nats["scikit-learn"])
    half = stats.sem(difference) * stats.t.ppf(0.975, len(splits) - 1)
    seconds = {who: statistics.median(s[who]["seconds"] for s in splits) for who in nats}
    chosen = {
        who: ", ".join(f"{s[who]['k']}/{max(s[who]['smoothing']):g}" for s in splits)
        for who in nats
    }
    return {
        "table": name,
        "N": shape[0],
        "D": shape[1],
        "mixflow": round(float(np.mean(nats["mixflow"])), 3),
        "scikit-learn": round(float(np.mean(nats["scikit-learn"])), 3),
        "difference": f"{difference.mean():+.3f} ± {half:.3f}",
        "worst rows": " and ".join(
            f"{min(s[who]['log_prob'].min() for s in splits):.0f}" for who in nats
        ),
        "seconds": f"{seconds['mixflow']:.2f} and {seconds['scikit-learn']:.1f}",
        "times as fast": round(seconds["scikit-learn"] / seconds["mixflow"], 1),
        "K/smoothing, mixflow": chosen["mixflow"],
        "K/ridge, scikit-learn": chosen["scikit-learn"],
    }


def earlier(name: str, tables: list[str]) -> list[common.Row]:
    """Return the stored rows of other tables."""
    path = common.RESULTS / f"{name}.json"
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    return [r for r in rows if r["table"] not in tables]


def main() -> None:
    """Run all tables and report; tables that are not asked for keep their stored rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    folder = Path(os.environ.get("MIXFLOW_DATA", "data"), "tables")
    parser.add_argument("--folder", type=Path, default=folder, help="with NAME.csv.gz")
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=TABLES)
    parser.add_argument("--splits", type=int, default=5)
    arguments = common.parse(parser, "gaussian_tables", threads=1)
    warnings.simplefilter("ignore", ConvergenceWarning)
    rows = earlier(arguments.name, arguments.tables)
    with threadpool_limits(arguments.threads):
        for name in arguments.tables:
            x = load(arguments.folder, name)
            splits = [measure(x, seed) for seed in range(arguments.splits)]
            rows.append(row(name, x.shape, splits))
            print(common.markdown(rows[-1:]), file=sys.stderr)
    rows.sort(key=lambda r: TABLES.index(r["table"]))
    settings = {k: v for k, v in vars(arguments).items() if k not in ("folder", "tables")}
    common.report(arguments.name, rows, settings)


if __name__ == "__main__":
    main()
