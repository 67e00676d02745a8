"""Tables of the GMM-basis pages, put together from stored runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from companion.evidence.targets import Target
from companion.gmm_basis.common import cost_key, loss_key
from companion.runs.stored import StoredRun

_DRAWS = 20_000


def losses(runs: Sequence[StoredRun], model: str, setting: str) -> np.ndarray:
    """Return L of every target of all runs, (T,)."""
    return np.concatenate([run.arrays[loss_key(model, setting)] for run in runs])


def mean_table(rows: pd.DataFrame, model: str, metric: str = "L") -> pd.Series:
    """Return the mean over seeds of a model's metric, indexed by setting."""
    chosen = rows[(rows["model"] == model) & (rows["metric"] == metric)]
    return chosen.groupby("setting", sort=False)["value"].mean()


def comparison(runs: Sequence[StoredRun], keys: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """Return mean L, its standard error over targets, their number and the time of a fit.

    Parameters
    ----------
    runs
        Runs of one experiment.
    keys
        The (model, setting) pairs to show.

    Returns
    -------
    DataFrame
        Columns ``method``, ``setting``, ``L``, ``standard error``, ``targets``, ``ms``; sorted
        by L.
    """
    lines = []
    for model, setting in keys:
        values = losses(runs, model, setting)
        times = [run.provenance["costs"].get(cost_key(model, setting), np.nan) for run in runs]
        lines.append(
            {
                "method": model,
                "setting": setting.split(" n=")[0],
                "L": values.mean(),
                "standard error": values.std(ddof=1) / np.sqrt(len(values)),
                "targets": len(values),
                "ms": float(np.median(times)),
            }
        )
    return pd.DataFrame(lines).sort_values("L", ignore_index=True)


def keys_of(runs: Sequence[StoredRun]) -> list[tuple[str, str]]:
    """Return the (model, setting) pairs that a run has losses of, in its order."""
    rows = runs[0].rows
    pairs = rows.loc[rows["metric"] == "L", ["model", "setting"]]
    return [(str(model), str(setting)) for model, setting in pairs.to_numpy()]


def paired(
    runs: Sequence[StoredRun], ours: tuple[str, str], models: Sequence[str]
) -> dict[str, Any]:
    """Compare a rule, target by target, with the best of other models' settings.

    The best is chosen on the same targets, in its favour.

    Parameters
    ----------
    runs
        Runs of table 1 or 2.
    ours
        Model and setting of our rule.
    models
        Models to compare with, such as ``algorithm-1`` and ``algorithm-2``.

    Returns
    -------
    dict
        ``best`` (model, setting), ``paper`` and ``ours`` (L per target), ``gain`` (mean
        difference), ``error`` (its standard error), ``t``, ``p`` (paired t test), ``wilcoxon_p``,
        ``better`` (share of targets).
    """
    cells = [key for key in keys_of(runs) if key[0] in models]
    values = {key: losses(runs, *key) for key in cells}
    best = min(cells, key=lambda key: values[key].mean())
    paper, rule = values[best], losses(runs, *ours)
    difference = paper - rule
    test = stats.ttest_rel(paper, rule)
    return {
        "best": best,
        "paper": paper,
        "ours": rule,
        "gain": float(difference.mean()),
        "error": float(difference.std(ddof=1) / np.sqrt(len(difference))),
        "t": float(test.statistic),
        "p": float(test.pvalue),
        "wilcoxon_p": float(stats.wilcoxon(difference).pvalue),
        "better": float((difference > 0).mean()),
    }


def published_sampling(
    runs: Sequence[StoredRun], targets: Sequence[Target], n_experiments: int
) -> pd.DataFrame:
    """Ask of each published mean whether few experiments explain its distance from ours.

    From our losses, means of as many random targets as the paper averaged are drawn.

    Parameters
    ----------
    runs
        Runs of the table.
    targets
        Its published cells.
    n_experiments
        Random targets that the paper's means are over.

    Returns
    -------
    DataFrame
        Columns ``model``, ``setting``, ``paper``, ``ours``, ``difference`` (ours over the
        paper's, less 1), ``low``, ``high`` (95 % range of a mean of ``n_experiments``) and
        ``share`` (of such means that are as far from ours as the paper's).
    """
    rng = np.random.default_rng(0)
    lines = []
    for target in targets:
        values = losses(runs, target.model, target.setting)
        means = rng.choice(values, (_DRAWS, n_experiments)).mean(axis=1)
        assert target.value is not None
        distance = abs(target.value - values.mean())
        low, high = np.quantile(means, [0.025, 0.975])
        lines.append(
            {
                "model": target.model,
                "setting": target.setting,
                "paper": target.value,
                "ours": values.mean(),
                "difference": values.mean() / target.value - 1,
                "low": low,
                "high": high,
                "share": float((np.abs(means - values.mean()) >= distance).mean()),
            }
        )
    return pd.DataFrame(lines)
