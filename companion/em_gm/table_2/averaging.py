"""What the page on averaging and dividing shows: a table of ways by K, from stored rows."""

from __future__ import annotations

import pandas as pd

from companion.em_gm.table_2.average_or_divide import EPOCHS

APART, DIVIDED, LONGER = "K flows apart, averaged", "divided by one EM", "divided, K times as long"
BLOCKS, NEARLY_EQUAL = "blocks, an EM each", "divided at T = D"
WAYS = (APART, BLOCKS, DIVIDED, LONGER, NEARLY_EQUAL)


def by_way(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return a metric by data set, way, K and seed, and what it is above one flow of that seed.

    Parameters
    ----------
    rows
        Of ``em-gm/average-or-divide``.
    metric
        Such as ``test_accuracy``.

    Returns
    -------
    pandas.DataFrame
        Columns ``dataset``, ``way``, ``k``, ``seed``, ``value`` and ``gain``; one flow, whose
        gain is 0, stands in every way at K = 1.
    """
    found = rows[rows["metric"] == metric]
    table = pd.DataFrame(
        {
            "dataset": found["dataset"],
            "way": [_way(line) for line in found.to_dict("records")],
            "k": found["config_n_components"],
            "seed": found["seed"],
            "value": found["value"],
        }
    )
    single = table[table["k"] == 1].set_index(["dataset", "seed"])["value"]
    each = [table[table["k"] == 1].assign(way=way) for way in WAYS]
    table = pd.concat([*each, table[table["k"] > 1]], ignore_index=True)
    alone = pd.MultiIndex.from_frame(table[["dataset", "seed"]])
    return table.assign(gain=table["value"] - single.reindex(alone).to_numpy())


def _way(line: dict[str, object]) -> str:
    k, blocks = line["config_n_components"], line["config_n_blocks"]
    longer = line["config_epochs"] != EPOCHS.get(str(line["dataset"]), line["config_epochs"])
    if k == blocks:
        return APART
    if blocks != 1:
        return BLOCKS
    if line["config_posterior_temperature"] == "per_dimension":
        return NEARLY_EQUAL
    return LONGER if longer else DIVIDED


def means(table: pd.DataFrame, column: str = "value") -> pd.DataFrame:
    """Return the mean over seeds, a line per data set and way, a column per K."""
    order = pd.CategoricalIndex(table["way"], categories=WAYS, ordered=True)
    wide = table.assign(way=order).pivot_table(
        index=["dataset", "way"], columns="k", values=column, observed=True, sort=False
    )
    return wide.sort_index(level="dataset", sort_remaining=True).sort_index(axis=1)
