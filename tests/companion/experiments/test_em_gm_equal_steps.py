"""K flows that share K times the epochs of one: as many steps each, and what is said of them."""

from types import SimpleNamespace

import pandas as pd

from companion.em_gm.images import equal_steps
from companion.evidence.questions import load_targets
from companion.runs.registry import find


def test_a_flow_takes_as_many_steps_as_one_alone():
    one = find("em-gm/table-1")
    for profile in ("smoke", "laptop", "paper"):
        single = one.configure(profile)
        for config in equal_steps.EXPERIMENT.configs(profile):
            assert config.model == "GenMM per dimension"
            assert config.epochs == config.n_components * single.epochs
            assert config.em_every == config.n_components * single.em_every
            same = {"dataset", "profile", "base_epochs", "batch_size", "learning_rate", "n_steps"}
            ours = config.model_copy(update={"dataset": single.dataset})
            assert ours.model_dump(include=same) == single.model_dump(include=same)


def run(model, k, **metrics):
    rows = [{"model": model, "metric": name, "value": value} for name, value in metrics.items()]
    config = {"dataset": "mnist", "model": model, "n_components": k, "seed": 0}
    return SimpleNamespace(config=config, rows=pd.DataFrame(rows))


def test_it_says_what_is_gained_by_the_noise_alone():
    mixture = run("GenMM per dimension", 3, nll_train=2.001, gain_own_noise=0.015)
    one = run("GenMM", 1, nll_train=2.0)
    said = equal_steps.say([mixture], [one, mixture], load_targets())
    assert said == (
        "- **MNIST, K = 3**: -0.0010 nat/pixel with shared noise, +0.0140 with noise of their own; "
        "published +0.0132."
    )
    assert equal_steps.say([mixture], [], load_targets()) == ""
