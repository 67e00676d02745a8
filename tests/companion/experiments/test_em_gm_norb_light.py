"""Toys left out one by one: the plan, what is fitted to and what is classified."""

import numpy as np
import pandas as pd
import pytest

from companion import figures
from companion.em_gm.table_2 import left_out, norb_light, ways
from companion.em_gm.table_2.data import Cell
from companion.runs.experiment import RunContext
from companion.runs.registry import find


def test_the_plan_leaves_every_toy_out_at_every_k_raw_and_normalised():
    configs = find("em-gm/norb-light").configs("laptop")
    assert {(c.dataset, c.n_components, c.seed) for c in configs} == {
        (dataset, k, toy)
        for dataset in ("norb-8x16", "norb-8x16-normalised")
        for k in norb_light.COMPONENTS
        for toy in range(norb_light.TOYS)
    }


def test_a_toy_of_every_class_is_left_out_and_the_test_split_is_not_looked_at(
    monkeypatch, tmp_path
):
    """Toy 4 lies where its own class is, toy 6 where the other class is: it is taken for that."""
    rng = np.random.default_rng(0)
    y, toy = np.repeat([0, 1], 60), np.tile([4, 4, 6], 40)
    place = np.where(toy == 4, y, 1 - y)
    x = 8.0 * place[:, None] + rng.normal(size=(120, 3))
    nothing = np.full((2, 3), np.nan)
    cell = Cell(x, y, nothing, y[:2], 0.0, np.ones(2) / 2, group=toy)
    monkeypatch.setattr(left_out, "load_cell", lambda *_: cell)
    config = norb_light.EXPERIMENT.configure(
        "laptop", dataset="norb-8x16-normalised", epochs=3, evaluate_every=100, seed=1
    )
    context = RunContext(checkpoint=tmp_path, progress=False)
    rows = norb_light.run(config, context).rows
    assert set(rows["dataset"]) == {"norb-8x16-normalised"}
    assert (set(rows["setting"]), set(rows["seed"])) == ({"K=1"}, {1})
    found = rows.set_index("metric")["value"]
    assert (found["left_out_accuracy"], found["seen_accuracy"]) == (0, 1)
    assert found["left_out_nll"] > found["seen_nll"] + 5


def test_smoke_runs(tmp_path):
    for config in norb_light.EXPERIMENT.configs("smoke"):
        context = RunContext(checkpoint=tmp_path / config.digest(), progress=False)
        result = norb_light.run(config, context)
        assert result.rows.set_index("metric").loc["left_out_accuracy", "value"] > 0.5


def test_what_was_left_out_is_shown_by_toy_and_k():
    lines = [
        {"dataset": dataset, "model": "GenMM", "metric": metric, "seed": toy}
        | {"config_n_components": k, "config_split_seed": 0, "value": base + toy / 10 + slope * k}
        for dataset, sign in (("norb-8x16", -1), ("norb-8x16-normalised", 1))
        for metric, base, slope in (
            ("left_out_accuracy", 0.5, 0.01 * sign),
            ("seen_accuracy", 0.6, 0.0),
            ("left_out_nll", 40.0, -1.0 * sign),
            ("seen_nll", 40.0, -2.0),
        )
        for toy in range(4)
        for k in norb_light.COMPONENTS
    ]
    rows = pd.DataFrame(lines)
    tables = ways.left_out(rows)
    assert list(tables) == ["grey values as they are", "each image normalised"]
    assert tables["each image normalised"].loc[2, 10] == pytest.approx(0.8)
    drawn = ways.left_out_drawn(tables)
    assert "each image normalised: on average 0.6600 at K=1, 0.6900 at K=4" in drawn
    shown = ways.left_out_shown(rows)
    assert shown["K"].tolist() == 2 * list(norb_light.COMPONENTS)
    assert shown["accuracy, toy left out"].tolist()[::3] == ["0.6400", "0.6600"]
    assert shown["difference"].tolist() == ["3.0", "12.0", "30.0", "1.0", "4.0", "10.0"]
    raw, normalised = ways.left_out_said(rows)
    assert "changes by -0.0900 on average, with a gain for 0 of 4 toys" in raw
    assert "seen gains +18.0 nats, that of toys left out -9.0" in raw
    assert "changes by +0.0900 on average, with a gain for 4 of 4 toys" in normalised
    panels = figures.left_out(tables).axes
    assert [panel.get_title() for panel in panels] == list(tables)
    assert panels[1].get_lines()[-1].get_ydata().tolist() == pytest.approx([0.66, 0.69, 0.75])
