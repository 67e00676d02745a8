"""Flows with more than Glow has: names of their own, and digests of the others kept."""

import numpy as np

from companion.em_gm.images.models import ADDITIONS
from companion.em_gm.images.single_flow import EXPERIMENT as SINGLE
from companion.runs.config import Config
from companion.runs.registry import find
from companion.runs.runner import execute
from companion.runs.store import Store

TABLE_1, BEYOND = find("em-gm/table-1"), find("em-gm/beyond-glow")
SMALL = {
    **{"n_steps": (1, 1), "hidden_features": 8, "base_epochs": 1, "epochs": 1, "em_every": 1},
    **{"n_noisy": 20, "n_held_out": 20, "trials": 2, "n_generated": 20},
}


def test_an_added_parameter_leaves_the_digest_of_runs_without_it():
    class Before(Config):
        size: int = 1

    class After(Before):
        added = ("shape",)
        shape: str = "round"

    for size in (1, 2):
        assert After(size=size).digest() == Before(size=size).digest()
        assert After(size=size, shape="flat").digest() != Before(size=size).digest()
    assert set(BEYOND.config.added) == {*ADDITIONS, "optimizer"}


def test_rows_have_a_name_of_their_own(tmp_path):
    store = Store(tmp_path)
    runs = {
        e.name: execute(e, e.configure("smoke", n_components=1, **SMALL), store, progress=False)
        for e in (TABLE_1, BEYOND)
    }
    assert set(runs[TABLE_1.name].rows["model"]) == {"GenMM", "real images"}
    labelled = "GenMM, positional bias, tone curve"
    assert set(runs[BEYOND.name].rows["model"]) == {labelled, "real images"}
    singles = [run.config["positional_bias"] for run in store.runs(SINGLE.name)]
    assert sorted(singles) == [False, True], "each grew from a flow of its own kind"
    nll = [run.rows.set_index("metric").loc["nll_train", "value"] for run in runs.values()]
    assert np.isfinite(nll).all()
    assert nll[0] != nll[1]


def test_the_plan_has_every_k_at_table_1s_settings_and_what_adds_what():
    planned = BEYOND.configs("laptop")
    ordinary = {c.digest() for c in TABLE_1.configs("laptop")}
    both, *one = sorted({tuple(c.additions) for c in planned}, key=len, reverse=True)
    assert both == tuple(ADDITIONS.values())
    assert sorted(one) == [(title,) for title in sorted(ADDITIONS.values())]
    long = [c for c in planned if c.epochs > c.base_epochs]
    assert [(c.dataset, c.n_components) for c in long] == [("mnist", 1)]
    for config in planned:
        if config not in long:
            twin = config.model_copy(update={**dict.fromkeys(ADDITIONS, False), "keep": True})
            assert twin.digest() in ordinary
