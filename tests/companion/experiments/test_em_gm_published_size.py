"""What is said of mixtures at the published size follows from the runs."""

from types import SimpleNamespace

import pandas as pd
import pytest

from companion.em_gm.images import published_size
from companion.em_gm.images.measures import COPIES
from companion.evidence.questions import load_targets


def run(dataset, k, seed=0, model="GenMM", **metrics):
    config = {
        "dataset": dataset, "n_components": k, "model": model, "seed": seed, "base_epochs": 60,
        "epochs": 60, "n_steps": [4, 4, 4], "hidden_features": 512, "batch_size": 64,
    }  # fmt: skip
    same = {"dataset": dataset, "model": model, "setting": f"K={k}", "seed": seed}
    rows = pd.DataFrame([{**same, "metric": m, "value": v} for m, v in metrics.items()])
    return SimpleNamespace(rows=rows, config=config)


@pytest.fixture
def large():
    return [
        run("mnist", 5, nll_train=1.86, nll_held_out=2.10, FID=2.0),
        run("fashion-mnist", 7, nll_train=2.40, nll_held_out=2.80, FID=4.0),
    ]


@pytest.fixture
def small():
    return [
        run("mnist", 5, seed=0, nll_train=2.00, nll_held_out=2.02, FID=9.0),
        run("mnist", 5, seed=1, nll_train=2.04, nll_held_out=2.06, FID=11.0),
        run("mnist", 5, model="LatMM", nll_train=0.0, nll_held_out=0.0, FID=0.0),
    ]


def test_the_table_has_a_line_for_each_run_and_what_stands_beside_it(large, small):
    near = [run("mnist", 5, samples_nearer_to_training=0.6)]
    table = published_size.table(large, small, load_targets(), near).set_index(["data", "K"])
    line = table.loc["MNIST", 5]
    assert line[["training", "published", "held out"]].tolist() == ["1.8600", "1.8719", "2.1000"]
    assert line["laptop, training"] == "2.0200"
    assert line["laptop's"] == "10.00"
    assert line["samples nearer to training"] == "60%"
    beside = ["laptop, training", "samples nearer to training"]
    assert table.loc[("Fashion-MNIST", 7), beside].tolist() == ["", ""]


def test_it_says_what_is_met_and_what_held_out_images_say(large, small):
    said = published_size.say(large, small, load_targets())
    assert "of the 8 numbers of table I 2 were run, and **1 of these are lower than" in said
    assert "for 120 epochs where the paper takes 400" in said
    assert "0.240 to 0.240 nat/pixel higher" in said
    assert "small flows: 0.020 to 0.020" in said
    assert "in 1 of 1 cases" in said


def test_flows_that_were_trained_for_longer_stand_for_the_others(small):
    large = [
        run("fashion-mnist", 1, nll_train=2.40, nll_held_out=2.60, FID=8.0),
        run("fashion-mnist", 3, nll_train=2.30, nll_held_out=2.70, FID=6.0),
    ]
    further = [run("fashion-mnist", 1, nll_train=2.35, nll_held_out=2.70, FID=8.0)]
    said = published_size.say(large, small, load_targets())
    assert "**1 of these are lower than published, or at most 0.01 nat/pixel higher** " in said
    assert "with the flows" not in said
    said = published_size.say(large, small, load_targets(), further)
    assert "(noise shared by all components), **2** with the flows" in said


@pytest.fixture
def divided():
    """K = 1 and 3 of GenMM and LatMM on MNIST, with what noise of their own gives."""
    copies = {f"gain_copies_{k}{end}": k / 1000 for k in COPIES for end in ("", "_error")}
    own = {"gain_own_noise": 0.01, "gain_own_noise_error": 0.001}
    return [
        run("mnist", 1, nll_train=1.90, FID=3.0, **copies),
        run("mnist", 3, nll_train=1.88, FID=2.0, **own),
        run("mnist", 3, model="LatMM", nll_train=1.905, FID=3.5, **own),
    ]


def test_gains_by_noise_stand_beside_the_published(divided):
    rows = pd.concat([run.rows for run in divided])
    line = published_size.noise_table(rows, load_targets()).loc["MNIST", 3]
    assert line.to_dict() == {
        "published": "+0.0132",
        "copies of one flow, noise of their own": "+0.0030",
        "GenMM, noise shared": "+0.0200",
        "GenMM, noise of their own": "+0.0300",
        "LatMM, noise shared": "-0.0050",
        "LatMM, noise of their own": "+0.0050",
    }
    said = published_size.say_noise(rows, load_targets())
    assert "- **MNIST**: 0.0030 ± 0.0059 for 0.0132 (K = 3), 0.0050 ± 0.0098 for 0.0210" in said
    without_one = rows[~rows["metric"].str.startswith("gain_copies")]
    assert published_size.noise_table(without_one, load_targets()).empty
    assert published_size.say_noise(without_one, load_targets()) == ""


def test_latmm_stands_beside_one_flow_and_genmm(divided):
    said = published_size.say_sources(divided)
    assert "training NLL +0.0050 to +0.0050 nat/pixel from that of one flow" in said
    assert "at K = 3 the Fréchet distance is 1.75 times GenMM's" in said
    assert published_size.say_sources(divided[1:]) == ""


def test_without_runs_it_says_how_to_make_them():
    assert published_size.say([], [], load_targets()) == published_size.MISSING
    assert published_size.table([], [], load_targets(), {}).empty
