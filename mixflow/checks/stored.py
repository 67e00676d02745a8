"""Checks of the stored runs and of the table of targets."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from mixflow import experiments
from mixflow.experiments.base import ParameterError
from mixflow.results.evidence import PROTOCOLS
from mixflow.results.questions import load_targets
from mixflow.results.status import status_table
from mixflow.results.store import DamagedRunError, Store, StoredRun, is_unfinished, read_run


def check_results(root: Path, store: Store) -> list[str]:
    """Check that every stored run is intact and is one its experiment would make today."""
    problems = []
    for name, path in store.directories():
        if is_unfinished(path):  # a checkpoint of a run that goes on or was interrupted
            continue
        try:
            run = read_run(name, path)
        except DamagedRunError as error:
            problems.append(str(error))
            continue
        problems += [f"{path}: {problem}" for problem in _problems_of(run)]
    return problems


def _problems_of(run: StoredRun) -> list[str]:
    problems = []
    try:
        config = experiments.find(run.experiment).configure(**run.config)
        if config.digest() != run.digest:
            problems.append(
                f"its config now has the digest {config.digest()}: the experiment's parameters "
                "changed since; run it again and remove this directory"
            )
    except (ParameterError, TypeError) as error:
        problems.append(f"its config is not valid: {error}")
    if run.rows.empty:
        problems.append("rows.csv has no rows")
    seeds = sorted({int(seed) for seed in run.rows["seed"]} - {run.config.get("seed")})
    if seeds:
        problems.append(f"rows of seed {seeds}, but the config says {run.config.get('seed')}")
    return problems


def check_targets(root: Path, store: Store) -> list[str]:
    """Check the table of targets, and that its status has every one under each protocol once."""
    try:
        targets = load_targets()
    except (ValueError, KeyError) as error:
        return [str(error)]
    frame = status_table(store)
    keys = ["paper", "item", "dataset", "model", "setting", "metric", "protocol"]
    counts = Counter(map(tuple, frame[keys].to_numpy()))
    problems = []
    for target in targets:
        for protocol in PROTOCOLS:
            n = counts[*(getattr(target, key) for key in keys[:-1]), protocol]
            if n != 1:
                problems.append(f"target {target.id} is {n} times {protocol} in the status table")
    return problems
