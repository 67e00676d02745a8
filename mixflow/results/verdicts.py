"""Verdicts: ours beside the published, computed for every target, never typed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import pandas as pd

from mixflow import experiments
from mixflow.experiments.base import PROFILES, Answer, Config, Experiment
from mixflow.results.files import sha256
from mixflow.results.store import Store
from mixflow.results.targets import CLAIM, Target, load_targets

Verdict = Literal["better", "reproduced", "short", "smoke only", "not run"]
VERDICTS: tuple[str, ...] = get_args(Verdict)
STATUS_COLUMNS = (
    *("paper", "item", "dataset", "model", "setting", "metric", "published", "ours", "spread"),
    *("seeds", "profile", "verdict", "rule", "runs"),
)
SEEDS_FOR_SPREAD = 3  # with fewer, a spread says too little to call a difference real


@dataclass(frozen=True)
class Tolerance:
    """How far from the published value still counts as the same.

    Attributes
    ----------
    absolute
        In the metric's unit.
    relative
        As a share of the published value; the larger of the two counts.
    """

    absolute: float = 0.0
    relative: float = 0.0

    def at(self, published: float) -> float:
        """Return the tolerance at a published value, in the metric's unit."""
        return max(self.absolute, self.relative * abs(published))


# The one place where tolerances are set, by published metric.
TOLERANCES = {
    "test_accuracy": Tolerance(absolute=0.005),
    "nll_nat_per_pixel": Tolerance(absolute=0.005),
    "L": Tolerance(relative=0.07),
}
DEFAULT_TOLERANCE = Tolerance(relative=0.05)


@dataclass(frozen=True)
class Judgement:
    """A verdict and the words that justify it."""

    verdict: Verdict
    rule: str


@dataclass(frozen=True)
class Evidence:
    """Our rows that match a target, at one profile.

    Attributes
    ----------
    profile
        The profile of the runs.
    per_seed
        One value per seed, shape (n_seeds,); empty when only the data set differs.
    runs
        Digests of the runs.
    """

    profile: str
    per_seed: np.ndarray = field(default_factory=lambda: np.empty(0))
    runs: tuple[str, ...] = ()


def judge(target: Target, per_seed: Sequence[float] | np.ndarray) -> Judgement:
    """Compare our values, one per seed, with a published number or claim.

    With m our mean, s its standard error (sample sd over root n; unknown for one seed) and
    tol the metric's tolerance:

    - ``better``: m is beyond the published value, on its better side, by more than 2 s with
      at least 3 seeds, or by more than tol with fewer;
    - ``reproduced``: m is on the better side, or within max(tol, 2 s) of the value;
    - ``short``: anything else, and any value that is not finite.

    A claim is ``reproduced`` when the value is 1 in every seed, else ``short``.

    Raises
    ------
    ValueError
        If there is no value.
    """
    values = np.asarray(per_seed, dtype=np.float64)
    if values.size == 0:
        raise ValueError(f"{target.id}: no value to judge")
    if not np.isfinite(values).all():
        return Judgement("short", f"{int((~np.isfinite(values)).sum())} value(s) not finite")
    if target.value is None:
        return _judge_claim(values)
    return _judge_number(target, target.value, values)


def _judge_claim(values: np.ndarray) -> Judgement:
    held = int((values == 1).sum())
    verdict: Verdict = "reproduced" if held == values.size else "short"
    return Judgement(verdict, f"claim holds in {held} of {values.size} seed(s); all needed")


def _judge_number(target: Target, published: float, values: np.ndarray) -> Judgement:
    n = values.size
    tolerance = TOLERANCES.get(target.metric, DEFAULT_TOLERANCE).at(published)
    two_s = 2 * float(values.std(ddof=1)) / math.sqrt(n) if n > 1 else math.nan
    difference = float(values.mean()) - published
    sign = {"higher": 1, "lower": -1, None: 0}[target.better]
    gain = sign * difference  # positive: on the better side
    seeds = f"{n} seed{'s' if n > 1 else ''}"
    if gain > (two_s if n >= SEEDS_FOR_SPREAD else tolerance):
        margin = f"2 s = {two_s:.3g}" if n >= SEEDS_FOR_SPREAD else f"tol = {tolerance:.3g}"
        return Judgement("better", f"better by {gain:.3g} > {margin} ({seeds})")
    if gain > 0:
        return Judgement("reproduced", f"on the better side by {gain:.3g} ({seeds})")
    allowed = float(np.nanmax([tolerance, two_s]))
    verdict: Verdict = "reproduced" if abs(difference) <= allowed else "short"
    relation = "<=" if verdict == "reproduced" else ">"
    spread = "2 s unknown" if n == 1 else f"2 s = {two_s:.3g}"
    reason = f"|difference| {abs(difference):.3g} {relation} max(tol = {tolerance:.3g}, {spread})"
    return Judgement(verdict, f"{reason} ({seeds})")


def status_table(store: Store, targets: Iterable[Target] | None = None) -> pd.DataFrame:
    """Return one line per target, with ours beside the published and a verdict.

    Only runs that are points of their experiment's plan (for any seed) count: a run with
    some parameter tried out is no evidence about the table.

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
        over ``seeds`` seeds, ``runs`` the digests, space-separated; ``ours``, ``spread``
        and ``published`` are NaN where there is no number.
    """
    gatherer = _Gatherer(store)
    chosen = load_targets() if targets is None else list(targets)
    lines = [_line(target, gatherer.evidence(target)) for target in chosen]
    return pd.DataFrame(lines, columns=list(STATUS_COLUMNS))


def _line(target: Target, evidence: Evidence | None) -> dict[str, object]:
    values = evidence.per_seed if evidence else np.empty(0)
    judgement = _overall(target, evidence)
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
        "seeds": values.size,
        "profile": evidence.profile if evidence else "",
        "verdict": judgement.verdict,
        "rule": judgement.rule,
        "runs": " ".join(evidence.runs) if evidence else "",
    }


def _overall(target: Target, evidence: Evidence | None) -> Judgement:
    if evidence is None:
        return Judgement("not run", "no run of the plan answers this target")
    if evidence.profile == "smoke":
        where = "" if evidence.per_seed.size else " and on another data set"
        return Judgement("smoke only", f"run at the smoke profile only{where}: no reproduction")
    return judge(target, evidence.per_seed)


class _Gatherer:
    """Find our rows for a target; each experiment's rows are read once."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.experiments = [experiments.find(name) for name in experiments.names()]
        self._rows: dict[str, pd.DataFrame] = {}

    def evidence(self, target: Target) -> Evidence | None:
        """Return the matching rows of the best profile there is, or None."""
        frames = [
            _match(self._planned_rows(experiment), target, experiment.answers[target.item])
            for experiment in self.experiments
            if experiment.name.split("/")[0] == target.paper and target.item in experiment.answers
        ]
        rows = pd.concat(frames) if frames else pd.DataFrame({"config_profile": []})
        for profile in reversed(PROFILES):
            here = rows[rows["config_profile"] == profile]
            if profile == "smoke" and len(here) and not here["same_dataset"].any():
                return Evidence(profile, runs=_digests(here))
            here = here[here["same_dataset"]] if len(here) else here
            if len(here):
                # One vote a seed: a row that several runs repeat is no extra evidence.
                per_seed = here.groupby("seed")["value"].mean().to_numpy()
                return Evidence(profile, per_seed, _digests(here))
        return None

    def _planned_rows(self, experiment: Experiment) -> pd.DataFrame:
        if experiment.name not in self._rows:
            planned = {
                _key(config.model_dump(mode="json"))
                for profile in PROFILES
                for config in experiment.configs(profile)
            }
            frames = [
                run.rows.assign(config_profile=run.config["profile"], run=run.digest)
                for run in self.store.runs(experiment.name)
                if _key(run.config) in planned
            ]
            empty = pd.DataFrame(columns=["metric", "model", "setting", "dataset"])
            self._rows[experiment.name] = pd.concat(frames) if frames else empty
        return self._rows[experiment.name]
