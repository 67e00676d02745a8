"""Table I's flow trained on: it begins where that one ended, and stands for K = 1 of table I."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from companion.em_gm.images.compute import epochs_of
from companion.em_gm.images.data import log_density
from companion.em_gm.images.further_epochs import say
from companion.evidence.answers.em_gm import FURTHER_SETTING
from companion.evidence.questions import load_questions, load_targets
from companion.runs.registry import find
from companion.runs.runner import execute
from companion.runs.store import Store
from mixflow.metrics import nats_per_pixel

TABLE_1, FURTHER = find("em-gm/table-1"), find("em-gm/further-epochs")
SMALL = {
    **{"n_steps": (1, 1), "hidden_features": 8, "base_epochs": 2, "em_every": 1},
    **{"n_noisy": 20, "n_held_out": 20, "trials": 2, "n_generated": 20},
}


def test_it_goes_on_where_table_1_ended(tmp_path):
    store = Store(tmp_path)
    config = FURTHER.configure("smoke", **SMALL, epochs=3)
    run = execute(FURTHER, config, store, progress=False)
    (of_table,) = store.runs(TABLE_1.name)
    assert (of_table.config["optimizer"], config.optimizer) == ("adamw", "muon")
    assert of_table.config["keep"]
    before, curve = of_table.arrays["curve_nll"], run.arrays["curve_nll"]
    np.testing.assert_allclose(curve[: len(before)], before)
    epochs = run.arrays["curve_epoch"]
    assert epochs[len(before)] == epochs_of(of_table.config)
    assert epochs[-1] == epochs_of(of_table.config) + 3
    # The E-step that it begins with is of the same flow, with noise of its own.
    assert curve[len(before)] == pytest.approx(before[-1], abs=0.05)
    assert curve[-1] < curve[len(before)]


def test_its_number_is_a_row_of_its_own():
    of_flow = {q.target.setting: q.answer for q in load_questions() if q.target.item == "table-1"}
    names = {s: {c.experiment for c in a.our_recipe} for s, a in of_flow.items()}
    assert names["K=1"] == names["K=7"] == {TABLE_1.name}
    assert names[FURTHER_SETTING] == {FURTHER.name}
    assert all(c.n_components == 1 for c in FURTHER.configs("paper"))


def test_log_densities_are_read_back_from_nats_per_pixel():
    log_prob = np.array([-2000.0, 3100.0])
    np.testing.assert_allclose(log_density(nats_per_pixel(log_prob, 1024), 1024), log_prob)


@pytest.fixture
def trained():
    """Return a flow of table I after 120 epochs, and the same after 45 more."""

    def run(epochs, nll, **more):
        values = {"nll_train": nll, "nll_held_out": nll + 0.3, "FID": 8.0 - nll}
        config = {"dataset": "fashion-mnist", "seed": 0, "n_components": 1, "base_epochs": 60}
        return SimpleNamespace(
            config=config | {"epochs": epochs} | more,
            rows=pd.DataFrame({"metric": values.keys(), "value": values.values()}),
            provenance={"costs": {"fit_seconds": 3600.0}, "torch_threads": 2},
        )

    return run(60, 2.3751), run(45, 2.35, optimizer="muon", learning_rate=5e-4)


def test_the_page_says_what_further_epochs_changed(trained):
    one, further = trained
    said = say([further], [one], load_targets())
    assert "120 epochs, then 45 more by Muon at a learning rate of at most 0.0005" in said
    assert "2.3751, then **2.3500** (published, 400 epochs: 2.3571)" in said
    assert "held-out ones 2.6751, then 2.6500; Fréchet distance 5.62, then 5.65" in said
    assert "60 minutes on 2 threads" in said
    assert say([further], [], load_targets()) == ""
