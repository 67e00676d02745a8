"""Samples beside the images that a mixture was trained on."""

from types import SimpleNamespace

import pytest
import torch

from companion.em_gm.images import nearest
from companion.em_gm.images.data import load_images, to_grey
from companion.runs.experiment import RunContext
from companion.runs.registry import find

NEAREST, TABLE_1 = find("em-gm/nearest-images"), find("em-gm/table-1")


@pytest.fixture
def copies():
    """Three images that were trained on, and one that was not."""
    images = load_images("digits")
    return to_grey(torch.cat([images.train[:3], images.held_out[:1]]))


def test_copies_of_training_images_are_nearest_to_these(copies):
    assert nearest.nearer_to_training(copies, load_images("digits")) == 0.75


def test_it_measures_the_samples_of_a_run_of_table_1(tmp_path, copies):
    asked = []

    def require(name, **parameters):
        asked.append(TABLE_1.configure("smoke", **TABLE_1.defaults["smoke"] | parameters))
        return SimpleNamespace(config={"part": "t10k"}, arrays={"samples": copies})

    config = NEAREST.configure("smoke", n_components=3)
    result = NEAREST.run(config, RunContext(tmp_path, require=require))
    run = SimpleNamespace(config=config.model_dump(), rows=result.rows)
    assert nearest.shares([run]) == {("digits", 3): 0.75}
    assert asked[0] in TABLE_1.configs("smoke")


@pytest.mark.parametrize("profile", ["smoke", "laptop", "paper"])
def test_the_plan_reads_runs_of_table_1s_plan(profile):
    planned = [(c.dataset, c.n_components, c.seed, c.model) for c in TABLE_1.configs(profile)]
    for config in NEAREST.configs(profile):
        assert (config.dataset, config.n_components, config.seed, "GenMM") in planned
