"""Table I's flows by Muon: other weights from the same start, and the same settings else."""

import numpy as np

from companion.em_gm.images.single_flow import EXPERIMENT as SINGLE
from companion.runs.registry import find
from companion.runs.runner import execute
from companion.runs.store import Store

TABLE_1, MUON = find("em-gm/table-1"), find("em-gm/optimizer")
SMALL = {
    **{"n_steps": (1, 1), "hidden_features": 8, "base_epochs": 2, "epochs": 1, "em_every": 1},
    **{"n_noisy": 20, "n_held_out": 20, "trials": 2, "n_generated": 20},
}


def test_the_flow_that_mixtures_start_from_is_trained_by_it_too(tmp_path):
    store = Store(tmp_path)
    for experiment in (TABLE_1, MUON):
        config = experiment.configure("smoke", n_components=1, **SMALL)
        execute(experiment, config, store, progress=False)
    singles = {run.config["optimizer"]: run for run in store.runs(SINGLE.name)}
    assert set(singles) == {"adamw", "muon"}
    nll = {name: run.rows["value"].iloc[0] for name, run in singles.items()}
    assert np.isfinite(list(nll.values())).all()
    assert nll["adamw"] != nll["muon"]


def test_every_point_has_a_twin_by_adamw():
    others = {
        c.digest() for name in (TABLE_1, find("em-gm/long-flow")) for c in name.configs("laptop")
    }
    for config in MUON.configs("laptop"):
        assert config.optimizer == "muon"
        twin = config.model_copy(update={"optimizer": "adamw"})
        kept = twin.model_copy(update={"keep": True})
        assert {twin.digest(), kept.digest()} & others
