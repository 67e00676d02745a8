"""How an epoch is chosen from a curve."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from companion.em_gm.table_2 import choices

CURVE = np.array([0.5, 0.9, 0.86, 0.8, 0.88])


@pytest.mark.parametrize(
    ("n_samples", "point"),
    [
        (100, 4),  # error .03: .88 is within, and so is everything from .87
        (400, 1),  # error .015
        (400_000, 1),
    ],
)
def test_the_latest_point_within_an_error_of_the_best_is_chosen(n_samples, point):
    assert choices.latest_within_one_error(CURVE, n_samples) == point


def test_the_best_is_chosen_where_all_are_right():
    assert choices.latest_within_one_error(np.array([0.9, 1.0, 1.0]), 100) == 2


def run(seed, test, model="GenMM", split_seed=0):
    config = {"dataset": "digits", "n_components": 2, "model": model, "split_seed": split_seed}
    return SimpleNamespace(
        config=config | {"seed": seed, "validation_fraction": 0.1},
        rows=pd.DataFrame([{"dataset": "digits"}]),
        arrays={"validation_accuracy": CURVE, "test_accuracy": np.array(test)},
    )


def test_choices_are_means_over_the_seeds_of_our_recipe(monkeypatch):
    monkeypatch.setattr(choices, "n_validation", lambda *_: 100)
    runs = [
        run(0, [0.1, 0.2, 0.3, 0.4, 0.5]),
        run(1, [0.1, 0.4, 0.3, 0.4, 0.7]),
        run(0, [0.0] * 5, model="LatMM"),
        run(0, [0.0] * 5, split_seed=1),
    ]
    table = choices.choices(runs)
    assert table.loc[("digits", 2)].to_numpy() == pytest.approx([0.3, 0.6, 0.6])
    (line,) = choices.choices_shown(table).to_dict("records")
    assert line == {
        **{"data": "digits", "K": 2, "validation-chosen": "0.3000"},
        **{choices.LATEST: "0.6000", "last epoch": "0.6000"},
    }
