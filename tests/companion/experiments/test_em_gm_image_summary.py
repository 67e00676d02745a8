"""What the page of image mixtures says follows from the rows."""

import numpy as np
import pandas as pd
import pytest

from companion.em_gm.images import summary
from companion.em_gm.images.measures import COPIES
from companion.evidence.questions import load_targets

# (model, K, seed) -> NLL of training images.
NLL = {
    ("GenMM", 1, 0): 2.00,
    ("GenMM", 1, 1): 2.10,
    ("GenMM", 3, 0): 1.98,
    ("GenMM", 3, 1): 2.06,
    ("LatMM", 3, 0): 2.01,
}


@pytest.fixture
def rows():
    lines = [(m, k, s, "nll_train", nll) for (m, k, s), nll in NLL.items()]
    for k in COPIES:
        lines += [("GenMM", 1, 0, f"gain_copies_{k}", k / 100)]
        lines += [("GenMM", 1, 0, f"gain_copies_{k}_error", 0.001)]
    lines += [("GenMM", 3, s, "gain_own_noise", 0.01) for s in (0, 1)]
    lines += [("GenMM", 3, s, "gain_own_noise_error", 0.002) for s in (0, 1)]
    for metric in ("nll_held_out", "FID", "IS", "1NN"):
        lines += [("GenMM", k, 0, metric, 10.0 - k) for k in (1, 3)]
    frame = pd.DataFrame(lines, columns=["model", "k", "seed", "metric", "value"])
    return frame.assign(dataset="mnist", setting="K=" + frame["k"].astype(str)).drop(columns="k")


def test_tables_have_means_over_seeds(rows):
    found = summary.table(rows, ["nll_train", "no such metric"])
    line = found.loc["mnist", "GenMM", 3]["nll_train"]
    assert line["mean"] == pytest.approx(2.02)
    assert line["count"] == 2
    assert list(found.columns.unique(0)) == ["nll_train"]
    single = summary.table(rows.query("seed == 0"), ["nll_train"])
    assert single["nll_train", "std"].isna().all()
    read = summary.likelihoods(rows, ["nll_train"])
    assert read.loc[("mnist", "GenMM", 3), "nll train"] == "2.0200\u00a0±\u00a00.0566"
    assert read.loc[("mnist", "LatMM", 3), "nll train"] == "2.0100"


def test_gains_pair_seeds_and_carry_intervals(rows):
    lines = summary.gains(rows)
    shared = lines.loc["GenMM, noise shared"]
    gain = np.array([0.02, 0.04])
    assert shared[3, "mean"] == pytest.approx(0.03)
    student = 12.706  # 97.5 % of Student's t with one degree of freedom
    assert shared[3, "error"] == pytest.approx(student * gain.std(ddof=1) / 2**0.5, rel=1e-3)
    own = lines.loc["GenMM, noise of their own"]
    assert own[3, "mean"] == pytest.approx(0.04)
    assert own[3, "error"] == pytest.approx(1.96 * 0.002)
    assert lines.loc["LatMM, noise shared"][3, "mean"] == pytest.approx(-0.01)
    assert np.isnan(lines.loc["LatMM, noise shared"][3, "error"])
    for k in COPIES:
        assert lines.loc[summary.COPIED][k, "mean"] == pytest.approx(k / 100)
    assert np.isnan(lines.loc["GenMM, noise shared"][9, "mean"])
    assert "0.0300 (K = 3)" in summary.describe_gains({"mnist": lines})


def test_published_gains_are_those_of_table_1():
    gains = summary.published_gains(load_targets())
    assert gains["mnist"][7] == pytest.approx(1.8929 - 1.8579)
    assert gains["fashion-mnist"][3] == pytest.approx(2.3571 - 2.3429)
    assert 1 not in gains["mnist"]


def test_copies_stand_beside_the_published_gains(rows):
    gained = {"mnist": summary.gains(rows)}
    said = summary.say_copies(gained, {"mnist": {3: 0.0132, 5: 0.021}})
    assert said.splitlines()[-1] == (
        "- **MNIST**. K = 3: published 0.0132; copies 0.0300; the mixture, noise shared, 0.0300."
    )
    assert summary.say_copies(gained, {}) == ""


def test_changes_are_against_one_flow(rows):
    shown = summary.changes(rows)
    one, several = shown.loc["MNIST", "GenMM", 1], shown.loc["MNIST", "GenMM", 3]
    nll = "NLL, training (nat/pixel)"
    assert (one[nll], several[nll]) == ("2.0500", "2.0200 (-0.0300)")
    assert several["Fréchet distance"] == "7.00 (-2.00)"
    of_one_seed = shown.loc["MNIST", "LatMM", 3]
    assert of_one_seed[nll] == "2.0100 (+0.0100)"  # against K = 1 with that seed
    assert of_one_seed["Fréchet distance"] == ""  # not measured


def test_gains_over_seeds_are_said_with_their_intervals(rows):
    said = summary.say_gains(rows)
    half = 12.706 * 0.02 / 2**0.5 / 2**0.5  # of .02 and .04, by Student's t
    assert said == f"- **MNIST**: +0.0300 ± {half:.4f} (K = 3) on training images."
    assert summary.say_gains(rows[rows["seed"] == 0]) == ""
