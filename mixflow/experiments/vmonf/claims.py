"""What the paper says of its figures, as conditions on what we measure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pandas as pd

from mixflow.experiments.base import Result, RunContext
from mixflow.experiments.vmonf.plane import PlaneConfig, run
from mixflow.experiments.vmonf.recipes import recipe

FRESH = 100  # the first seed that no recipe was chosen on
Claim = Callable[[dict[str, float]], bool]


def with_claim(claim: Claim) -> Callable[[PlaneConfig, RunContext], Result]:
    """Return ``run`` with a row ``claim`` for the documented recipe: 1 where it holds."""

    def run_and_judge(config: PlaneConfig, context: RunContext) -> Result:
        result = run(config, context)
        if not _documented(config):
            return result
        rows = result.rows
        row = rows.iloc[[0]].assign(metric="claim", value=float(claim(_metrics(rows))))
        return replace(result, rows=pd.concat([rows, row]))

    return run_and_judge


def _documented(config: PlaneConfig) -> bool:
    """Say whether a config is our recipe; a smoke run may take fewer samples and epochs."""
    start = "labels" if config.dataset == "circles-semi" else "kmeans"
    expected = {**recipe(config.dataset, "VMoNF"), "model": "VMoNF", "start": start, "size": 1.0}
    if config.profile == "smoke":
        expected = {n: v for n, v in expected.items() if n not in ("size", "epochs", "batch_size")}
    return all(getattr(config, name) == value for name, value in expected.items())


def _metrics(rows: Any) -> dict[str, float]:
    return dict(zip(rows["metric"], rows["value"], strict=True))


def separated(accuracy: float) -> Claim:
    """Return the claim that every component takes one class, at that accuracy at least."""

    def holds(metrics: dict[str, float]) -> bool:
        return metrics["accuracy"] >= accuracy and not metrics["class_shared"]

    return holds


def seeds(n: int, **point: Any) -> list[dict[str, Any]]:
    """Return a point for each of n fresh seeds; the first keeps its model and frames."""
    first = {"keep": True} if n > 1 else {}
    return [{**point, "seed": FRESH + s, **(first if s == 0 else {})} for s in range(n)]
