"""What choosing an epoch costs: by the best of a validation curve, or by its noise."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from companion.em_gm.table_2.data import n_validation
from companion.em_gm.table_2.summary import CHOSEN, OURS, PROTOCOLS
from companion.runs.stored import StoredRun

LATEST = "latest within one standard error"


def latest_within_one_error(accuracy: np.ndarray, n_samples: int) -> int:
    """Return the last point of a curve that is a standard error below its best, or less.

    Parameters
    ----------
    accuracy
        Shares of ``n_samples`` samples, by epoch.
    n_samples
        How many samples they were measured on.
    """
    best = accuracy.max()
    return int(np.flatnonzero(accuracy >= best - np.sqrt(best * (1 - best) / n_samples))[-1])


def choices(runs: Iterable[StoredRun]) -> pd.DataFrame:
    """Return test accuracies of our recipe by how the epoch is chosen, means over seeds.

    Lines are data sets and K; columns the best of the validation curve, the latest point within
    one standard error of that, and the last epoch.
    """
    lines = []
    for run in runs:
        config = run.config
        if config["model"] != OURS or config["split_seed"] or not config["validation_fraction"]:
            continue
        validation, test = (run.arrays[f"{part}_accuracy"] for part in ("validation", "test"))
        n_samples = n_validation(config["dataset"], config["validation_fraction"])
        found = {
            PROTOCOLS[CHOSEN]: test[validation.argmax()],
            LATEST: test[latest_within_one_error(validation, n_samples)],
            "last epoch": test[-1],
        }
        lines.append({"data": run.rows["dataset"].iloc[0], "K": config["n_components"]} | found)
    return pd.DataFrame(lines).groupby(["data", "K"]).mean()


def choices_shown(table: pd.DataFrame) -> pd.DataFrame:
    """Return :func:`choices` as the page shows it."""
    return table.map("{:.4f}".format).reset_index()
