"""The table of ways to average or divide, on rows made up."""

import pandas as pd
import pytest

from companion.em_gm.table_2.averaging import (
    APART,
    BLOCKS,
    DIVIDED,
    LONGER,
    NEARLY_EQUAL,
    by_way,
    means,
)

# K, blocks, temperature, epochs (60 is Letter's plan), and the way.
POINTS = [
    (10, 10, "1.0", 60, APART),
    (10, 2, "1.0", 60, BLOCKS),
    (10, 1, "1.0", 60, DIVIDED),
    (10, 1, "1.0", 600, LONGER),
    (10, 1, "per_dimension", 60, NEARLY_EQUAL),
    (2, 2, "1.0", 60, APART),
]


@pytest.fixture
def rows():
    lines = [
        ("letter", seed, k, blocks, temperature, epochs, 0.9 + k / 1000 + seed / 100 + n / 1e4)
        for seed in (0, 1)
        for n, (k, blocks, temperature, epochs, _) in enumerate([(1, 1, "1.0", 60, ""), *POINTS])
    ]
    names = ["n_components", "n_blocks", "posterior_temperature", "epochs"]
    columns = ["dataset", "seed", *(f"config_{name}" for name in names), "value"]
    return pd.DataFrame(lines, columns=columns).assign(metric="test_accuracy")


def test_every_point_has_its_way(rows):
    table = by_way(rows, "test_accuracy")
    found = table[(table["k"] > 1) & (table["seed"] == 0)]
    assert found["way"].tolist() == [way for *_, way in POINTS]


def test_gains_are_over_one_flow_of_the_same_seed(rows):
    table = by_way(rows, "test_accuracy")
    apart = table[(table["way"] == APART) & (table["k"] == 10)]
    assert apart["gain"].tolist() == pytest.approx([0.009 + 1e-4] * 2)
    assert (table.loc[table["k"] == 1, "gain"] == 0).all()


def test_means_have_columns_in_the_order_of_k(rows):
    shown = means(by_way(rows, "test_accuracy"))
    assert shown.columns.tolist() == [1, 2, 10]
    assert shown.loc[("letter", APART), 10] == pytest.approx(0.9151)
    assert shown.index.get_level_values("way").tolist() == [
        APART, BLOCKS, DIVIDED, LONGER, NEARLY_EQUAL,
    ]  # fmt: skip
