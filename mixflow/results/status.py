"""The status of every target: our rows found, put beside the published, and judged."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from mixflow import experiments
from mixflow.experiments.base import PROFILES, ROW_COLUMNS, Answer, Config, Experiment
from mixflow.results.store import Store
from mixflow.results.targets import CLAIM, Target, load_targets
from mixflow.results.verdicts import Judgement, judge

STATUS_COLUMNS = (
    *("paper", "item", "dataset", "model", "setting", "metric", "published", "ours", "spread"),
    *("seeds", "profile", "verdict", "rule", "runs"),
)


@dataclass(frozen=True)
class Evidence:
    """Our rows that match a target, at one profile.

    Attributes
    ----------
    profile
        The profile of the runs.
    per_seed
        One value per seed, shape (n_seeds,); empty when there are rows, but of another
        data set only.
    runs
        Digests of the runs.
    """

    profile: str
    per_seed: np.ndarray = field(default_factory=lambda: np.empty(0))
    runs: tuple[str, ...] = ()


def status_table(store: Store, targets: Iterable[Target] | None = None) -> pd.DataFrame:
    """Return one line per target, with ours beside the published and a verdict.

    Only runs that are points of their experiment's plan (with any seed) count: a run with
    some parameter tried out is no evidence about the table. Of the profiles that were run,
    the largest counts; ``smoke`` never makes a reproduction.

    Parameters
    ----------
    store
        Where the runs are.
    targets
        The targets to judge; by default all of the packaged table.

    Returns
    -------
    DataFrame
        With the columns of ``STATUS_COLUMNS``: ``spread`` is the sample standard deviation
        over ``seeds`` seeds, ``runs`` the digests, space-separated; ``published``, ``ours``
        and ``spread`` are NaN where there is no such number.
    """
    chosen = load_targets() if targets is None else list(targets)
    papers = {target.paper for target in chosen}
    sources = [
        _Source(experiment, _planned_rows(experiment, store))
        for experiment in map(experiments.find, experiments.names())
        if experiment.name.split("/")[0] in papers
    ]
    lines = [_line(target, _evidence(target, sources)) for target in chosen]
    return pd.DataFrame(lines, columns=list(STATUS_COLUMNS))


@dataclass(frozen=True)
class _Source:
    """An experiment with the rows of its plan: ``ROW_COLUMNS``, ``profile`` and ``run``."""

    experiment: Experiment
    rows: pd.DataFrame

    def matches(self, target: Target) -> pd.DataFrame:
        """Return the rows that answer the target; ``same_dataset`` says on which data."""
        answer = self.experiment.answers.get(target.item)
        paper = self.experiment.name.split("/")[0]
        if answer is None or paper != target.paper:
            return self.rows.iloc[:0].assign(same_dataset=False, first=False)
        return _select(self.rows, target, answer).assign(first=answer.first)


def _select(rows: pd.DataFrame, target: Target, answer: Answer) -> pd.DataFrame:
    metric = answer.metrics.get(target.metric, CLAIM if target.metric == CLAIM else None)
    model, setting = answer.stand_ins.get(target.model, (target.model, target.setting))
    chosen = rows["metric"] == metric
    if model:  # an empty cell of a claim matches all
        chosen &= rows["model"] == model
    if setting:
        chosen &= rows["setting"] == setting
    same = (rows["dataset"] == target.dataset) | (target.dataset == "")
    return rows.assign(same_dataset=same)[chosen]


def _planned_rows(experiment: Experiment, store: Store) -> pd.DataFrame:
    planned = {
        _without_seed(config, config.model_dump(mode="json"))
        for profile in PROFILES
        for config in experiment.configs(profile)
    }
    frames = [
        run.rows.assign(profile=run.config["profile"], run=run.digest)
        for run in store.runs(experiment.name)
        if _without_seed(experiment.config, run.config) in planned
    ]
    return pd.concat(frames) if frames else pd.DataFrame(columns=[*ROW_COLUMNS, "profile", "run"])


def _without_seed(config: type[Config] | Config, values: Mapping[str, Any]) -> str:
    rest = {name: value for name, value in config.identity(values).items() if name != "seed"}
    return json.dumps(rest, sort_keys=True)


def _evidence(target: Target, sources: Iterable[_Source]) -> Evidence | None:
    """Return the matching rows of the best profile there is, or None."""
    found = [rows for source in sources if len(rows := source.matches(target))]
    if not found:
        return None
    rows = pd.concat(found)
    same = rows[rows["same_dataset"]]
    for profile in reversed(PROFILES):
        here = same[same["profile"] == profile]
        if len(here):
            here = here[here["first"]] if here["first"].any() else here
            # One vote a seed: a row that several runs repeat is no extra evidence.
            per_seed = here.groupby("seed")["value"].mean().to_numpy(dtype=np.float64)
            return Evidence(profile, per_seed, _digests(here))
    smoke = rows[rows["profile"] == "smoke"]
    return Evidence("smoke", runs=_digests(smoke)) if len(smoke) else None


def _digests(rows: pd.DataFrame) -> tuple[str, ...]:
    return tuple(sorted(set(rows["run"])))


def _line(target: Target, evidence: Evidence | None) -> dict[str, Any]:
    values = evidence.per_seed if evidence else np.empty(0)
    judgement = _judgement(target, evidence)
    return {
        "paper": target.paper,
        "item": target.item,
        "dataset": target.dataset,
        "model": target.model,
        "setting": target.setting,
        "metric": target.metric,
        "published": math.nan if target.value is None else target.value,
        "ours": float(values.mean()) if values.size else math.nan,
        "spread": float(values.std(ddof=1)) if values.size > 1 else math.nan,
        "seeds": int(values.size),
        "profile": evidence.profile if evidence else "",
        "verdict": judgement.verdict,
        "rule": judgement.rule,
        "runs": " ".join(evidence.runs) if evidence else "",
    }


def _judgement(target: Target, evidence: Evidence | None) -> Judgement:
    if evidence is None:
        return Judgement("not run", "no run of the plan answers this target")
    if evidence.profile == "smoke":
        other = "" if evidence.per_seed.size else ", and of another data set"
        return Judgement("smoke only", f"only smoke runs{other}: never a reproduction")
    return judge(target, evidence.per_seed)
