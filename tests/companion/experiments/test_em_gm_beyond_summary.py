"""What the page beyond Glow says, from runs made up."""

from types import SimpleNamespace

import pandas as pd
import pytest
import torch

from companion.em_gm.images import beyond_summary
from companion.evidence.targets import Target
from companion.figures.em_gm_beyond_glow import tones
from mixflow.flows import ToneCurve

BOTH = {"positional_bias": True, "tone_curve": True}


def a_run(k, nll, more=None, dataset="mnist", epochs=8, seed=0):
    """Return a run; one without additions may be from before there were any."""
    metrics = {"nll_train": nll, "nll_held_out": nll + 0.5}
    rows = [{"metric": m, "value": v, "model": "GenMM"} for m, v in metrics.items()]
    rows.append({"metric": "nll_train", "value": 99.0, "model": "real images"})
    config = {"dataset": dataset, "n_components": k, "base_epochs": 8, "epochs": epochs}
    return SimpleNamespace(config=config | {"seed": seed} | (more or {}), rows=pd.DataFrame(rows))


RUNS = [
    *[a_run(1, 2.0), a_run(3, 1.9), a_run(1, 1.8, epochs=52), a_run(1, 3.0, dataset="digits")],
    *[a_run(1, 1.5, BOTH, seed=0), a_run(1, 1.7, BOTH, seed=1), a_run(3, 1.7, BOTH)],
    a_run(1, 1.75, {"tone_curve": True, "positional_bias": False}),
    a_run(1, 2.5, BOTH, dataset="fashion-mnist"),
]


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ({}, "Glow"),
        ({"tone_curve": False, "positional_bias": False}, "Glow"),
        ({"tone_curve": True, "positional_bias": False}, "tone curve"),
        (BOTH, "both"),
        ({"optimizer": "adamw"}, "Glow"),
        ({"optimizer": "muon"}, "Glow, by Muon"),
    ],
)
def test_kinds_are_named_and_old_runs_are_plain(more, kind):
    assert beyond_summary.kind(more) == kind
    assert kind in beyond_summary.KINDS


def test_lines_are_those_of_flows_with_additions():
    table = beyond_summary.by_kind(RUNS, "nll_train", digits=2)
    assert list(table.index) == [("MNIST", 1, 16), ("MNIST", 3, 16), ("Fashion-MNIST", 1, 16)]
    first = [cell.replace("\u00a0", " ") for cell in table.iloc[0]]
    assert first == ["2.00", "1.75", "1.60 ± 0.14"]
    assert list(table) == ["Glow", "tone curve", "both"], "no column for what was not run"
    assert list(table["Glow"]) == ["2.00", "1.90", ""]
    held_out = beyond_summary.by_kind(RUNS, "nll_held_out", digits=2)
    assert list(held_out["both"])[1:] == ["2.20", "3.00"]


def test_published_numbers_stand_beside_their_k():
    same = {"paper": "em-gm", "item": "table-1", "dataset": "mnist", "model": "GenMM"}
    fields = {name: "" for name in Target.__dataclass_fields__}
    target = Target(**fields | same | {"setting": "K=3", "value": 1.88})
    table = beyond_summary.by_kind(RUNS, "nll_train")
    published = beyond_summary.with_published(table, [target])["published"]
    assert list(published) == ["", "1.8800", ""]


def test_gains_are_over_one_flow_of_the_same_kind_and_epochs():
    said = beyond_summary.say_gains(RUNS)
    assert "**MNIST, Glow alone**: +0.1000 (+0.1000) with K = 3." in said
    assert "**MNIST, both additions**: -0.1000 (-0.1000) with K = 3." in said
    assert "Fashion" not in said, "no mixture was trained there"


def test_the_best_flow_is_of_the_data_set_and_has_both():
    assert "**1.6000** in 16 epochs" in beyond_summary.say_best(RUNS, "mnist")
    assert beyond_summary.say_best(RUNS, "digits") == ""


def test_a_mean_of_few_images_is_said_to_be_one():
    far = a_run(1, 1.9, {"positional_bias": True})
    far.rows.loc[far.rows["metric"] == "nll_held_out", "value"] = 47000.0
    for run, error in ((far, 46990.0), (usual := a_run(3, 1.9), 0.002)):
        line = {"metric": "nll_held_out_error", "value": error, "model": "GenMM"}
        run.rows.loc[len(run.rows)] = line
    said = beyond_summary.say_outliers([far, usual, a_run(5, 1.9)])
    assert said.startswith("- **MNIST, K = 1, positional bias**: 4.7e+04 ± 4.699e+04 (standard")
    assert said.count("- ") == 1


def test_muon_stands_beside_adamw():
    muon = {"optimizer": "muon"}
    runs = [*RUNS, a_run(1, 1.95, muon), a_run(1, 1.7, muon, epochs=52)]
    table = beyond_summary.by_kind(runs, "nll_train")
    assert table.loc[("MNIST", 1, 60), ["Glow", "Glow, by Muon"]].tolist() == ["1.8000", "1.7000"]
    assert "**1.7000** in 60 epochs" in beyond_summary.say_by_muon(runs, "mnist")
    assert beyond_summary.say_by_muon(RUNS, "mnist") == ""


def test_resizing_and_padding_stand_side_by_side():
    rows = pd.DataFrame(
        [
            {"model": model, "setting": setting, "metric": metric, "value": value}
            for metric, model, setting, value in [
                ("nll_train", "positional bias", "resized", 1.8),
                ("nll_train", "positional bias", "padded", 1.75),
                ("nll_train", "Glow", "resized", 2.0),
                ("nll_train", "positional bias, tone curve", "resized", 1.5),
                ("free_pixels", "Glow", "resized", 784.0),
            ]
        ]
    )
    table = beyond_summary.by_resizing(rows)
    assert list(table.index) == ["Glow", "positional bias", "positional bias, tone curve"]
    assert list(table["resized, training"]) == ["2.0000", "1.8000 (+0.2000)", "1.5000 (+0.5000)"]
    assert list(table["padded, training"]) == ["", "1.7500", ""]
    assert "**784 are free**" in beyond_summary.say_resizing(rows, 1024)
    assert "other 240 follow" in beyond_summary.say_resizing(rows, 1024)
    assert "gains" not in beyond_summary.say_resizing(rows, 1024), "padded Glow was not run"
    last = {"model": "Glow", "setting": "padded", "metric": "nll_train", "value": 1.76}
    said = beyond_summary.say_resizing(pd.concat([rows, pd.DataFrame([last])]), 1024)
    expected = "bias alone gains **0.2000** nat/pixel on resized images, **0.0100** on padded ones"
    assert expected in said
    assert "tone curve" not in said, "it was not run alone"
    assert beyond_summary.say_resizing(rows[:4], 1024) == ""


def test_tones_show_every_pixels_slope_at_black():
    curve = ToneCurve(2, (4, 3, 1))
    with torch.no_grad():
        curve.log_height[0, :, 1, 2] += 3.0
    figure = tones(curve, {"one": (1, 2), "other": (0, 0)})
    left, right = figure.axes[:2]
    slope = right.images[0].get_array()
    assert slope.shape == (4, 3)
    assert slope.argmax() == 1 * 3 + 2
    lines = {line.get_label(): line for line in left.lines}
    x = torch.tensor([-0.499, -0.5, -0.501]).view(1, 3, 1, 1, 1).expand(2, 3, 4, 3, 1)
    z = curve(x)[0][0, :, 0, 0, 0].detach()
    assert 10 ** slope[0, 0] == pytest.approx(float((z[0] - z[2]) / 0.002), rel=1e-3)
    assert set(lines) == {"one", "other", "no curve"}
