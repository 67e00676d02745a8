"""Other recipes on Satimage: the plan, the symmetries of a window, and what is measured."""

import numpy as np
import pandas as pd
import pytest

from companion.em_gm.table_2 import left_out, ways
from companion.em_gm.table_2 import satimage_recipes as recipes
from companion.em_gm.table_2.data import Cell, views
from companion.runs.experiment import RunContext
from companion.runs.registry import find

CORNER = 3 * 3 * 4


def test_the_plan_has_every_change_on_every_part_of_the_training_split():
    configs = find("em-gm/satimage-recipes").configs("laptop")
    assert len(configs) == len(recipes.CHANGES) * recipes.PARTS
    assert {(c.validation_fraction, c.dataset) for c in configs} == {(recipes.SHARE, "satimage")}
    told = [recipes.changed(c) for c in configs if c.seed == 0]
    assert told.count(recipes.AS_IS) == 4  # K = 10, 1 and 20, and the other model
    assert "epochs = 60, n_blocks = 10" in told


def test_a_window_has_eight_views_and_all_keep_its_middle():
    x = np.arange(2 * CORNER).reshape(2, CORNER)
    found = views(x, "satimage")
    windows = np.stack(found).reshape(8, 2, 3, 3, 4)
    assert len({view.tobytes() for view in found}) == 8
    assert (windows[:, :, 1, 1] == x.reshape(2, 3, 3, 4)[:, 1, 1]).all()
    assert (np.sort(found, axis=2) == np.sort(x, axis=1)).all()
    assert (windows[0] == x.reshape(2, 3, 3, 4)).all()
    assert (windows[2, :, 0, 0] == windows[0, :, 0, 2]).all()  # a quarter to the left


def test_classes_that_differ_by_a_corner_are_told_apart_until_symmetric(monkeypatch, tmp_path):
    """One class is brighter above on the left, the other below on the right."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 100)
    windows = rng.normal(size=(200, 3, 3, 4))
    windows[y == 0, 0, 0] += 4
    windows[y == 1, 2, 2] += 4
    nothing = np.full((2, CORNER), np.nan)
    cell = Cell(windows.reshape(200, -1), y, nothing, y[:2], 0.0, np.ones(2) / 2)
    monkeypatch.setattr(left_out, "load_cell", lambda *_: cell)
    config = recipes.EXPERIMENT.configure(
        "laptop", dataset="satimage", epochs=2, validation_fraction=0.2, evaluate_every=100
    )
    rows = recipes.run(config, RunContext(checkpoint=tmp_path, progress=False)).rows
    assert set(rows["setting"]) == {"K=1, epochs = 2"}
    found = rows.set_index("metric")["value"]
    assert found["left_out_accuracy"] == 1
    assert 0.2 < found["left_out_accuracy_symmetric"] < 0.8


def test_smoke_runs(tmp_path):
    for config in recipes.EXPERIMENT.configs("smoke"):
        context = RunContext(checkpoint=tmp_path / config.digest(), progress=False)
        found = recipes.run(config, context).rows.set_index("metric")["value"]
        assert found["left_out_accuracy"] > 0.5
        assert found["left_out_accuracy"] == pytest.approx(found["seen_accuracy"], abs=0.25)


def test_changes_are_shown_against_the_table_s_recipe_part_by_part():
    settings = {"K=10, epochs = 60": 0.01, f"K=10, {recipes.AS_IS}": 0.0}
    rows = pd.DataFrame(
        {"model": "GenMM", "setting": setting, "seed": part, "metric": metric}
        | {"value": base + part / 10 + gain * (1 + part)}
        for part in range(3)
        for setting, gain in settings.items()
        for metric, base in (
            ("left_out_accuracy", 0.5),
            ("left_out_accuracy_symmetric", 0.51),
            ("seen_accuracy", 0.6),
        )
    )
    table = ways.recipes(rows)
    assert table["gain"].tolist() == pytest.approx([0, 0.02])
    assert table["se"].tolist() == pytest.approx([0, 0.01 / 3**0.5])
    shown = ways.recipes_shown(table)
    assert shown["setting"].tolist() == list(settings)[::-1]
    assert shown.iloc[1, 2:].tolist() == ["0.6200", "+2.00\u00a0±\u00a00.58", "+1.00", "0.7200"]
    said = ways.recipes_said(table)
    assert "*GenMM, K=10, epochs = 60*: +2.00 points, 3.5 standard errors" in said
    assert "give +1.00 points with the table's recipe, and +1.00 on average" in said
    without = ways.recipes(rows[rows["metric"] != "left_out_accuracy_symmetric"])
    assert "symmetries" not in ways.recipes_said(without)
