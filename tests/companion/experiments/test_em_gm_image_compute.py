"""What mixtures of images cost, and how far one flow gets for that."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from companion.em_gm.images import compute
from companion.runs.registry import find


def test_cost_of_an_image_is_both_passes():
    costs = {"FLOPs of an image, forward": 2.0, "FLOPs of an image, backward": 4.0, "seconds": 9.0}
    assert compute.flops_of_image(costs) == 6
    assert compute.epochs_of({"base_epochs": 8, "epochs": 5}) == 13


@pytest.mark.parametrize(
    ("nll", "said"),
    [
        (
            (2.06, 2.02),
            "every doubling gained 0.0200 nat/pixel; at that pace 1.98 takes about 64",
        ),
        ((2.02, 1.98), "every doubling gained 0.0200 nat/pixel."),
    ],
)
def test_the_pace_of_a_flow_is_that_of_its_doublings(nll, said):
    """From 4 to 16 epochs: two doublings; two more from 2.02 to 1.98."""
    runs = [
        SimpleNamespace(
            config={"base_epochs": 2, "epochs": epochs - 2},
            rows=pd.DataFrame([{"metric": "nll_train", "value": value}]),
        )
        for epochs, value in zip((4, 16), nll, strict=True)
    ]
    assert said in compute.say_pace(*runs)


@pytest.mark.parametrize(("threads", "said"), [(1, "1 thread."), (2, "2 threads.")])
def test_training_time_is_said_in_minutes(threads, said):
    record = {"costs": {"fit_seconds": 4500.0}, "torch_threads": threads}
    run = SimpleNamespace(provenance=record)
    assert compute.say_time(run) == f"Training took 75 minutes on {said}"
    record["resumed"] = True
    assert compute.say_time(run) == f"What followed its last interruption took 75 minutes on {said}"


def a_run(k, nll, epochs=8, model="GenMM", dataset="mnist"):
    """Return a run of 2 epochs before; a pass forward takes 1 FLOP, forward and backward 3."""
    return SimpleNamespace(
        config={"base_epochs": 2, "epochs": epochs, "em_every": 4, "n_components": k}
        | {"model": model, "dataset": dataset},
        provenance={"costs": {"FLOPs of an image, forward": 1, "FLOPs of an image, backward": 2}},
        rows=pd.DataFrame(
            {"metric": ["nll_train", "nll_held_out"], "value": [nll, nll + 0.5]},
        ),
    )


def test_e_steps_pass_through_all_flows():
    """Ten epochs, and two E-steps unless there is one flow only."""
    assert compute.flops_of(a_run(1, 2.0)) == 30
    assert compute.flops_of(a_run(5, 2.0)) == 30 + 2 * 5
    assert compute.flops_of(a_run(5, 2.0, model="LatMM")) == 30 + 2


def test_one_flow_at_equal_compute_is_interpolated_on_log_flops():
    """One flow at 30 and 120 FLOPs; the mixture of 15 spends 60, halfway."""
    flows = [a_run(1, 1.8, epochs=38), a_run(1, 2.0), a_run(1, 9.0, dataset="fashion-mnist")]
    mixtures = [a_run(15, 1.95), a_run(99, 1.0), a_run(15, 1.0, dataset="fashion-mnist")]
    (line,) = compute.at_equal_compute(mixtures, flows).to_dict("records")
    assert (line["data"], line["K"], line["GFLOP an image"]) == ("MNIST", 15, "0.00")
    assert (line["one flow, training"], line["gained, training"]) == ("1.9000", "-0.0500")
    assert (line["NLL, held out"], line["gained, held out"]) == ("2.4500", "-0.0500")


def test_the_longer_flows_of_the_plan_cost_as_much_as_the_largest_mixture():
    def spent(config):
        passes = {"FLOPs of an image, forward": 1.0, "FLOPs of an image, backward": 2.0}
        return compute.flops_of(
            SimpleNamespace(config=config.model_dump(), provenance={"costs": passes})
        )

    largest = find("em-gm/table-1").configure("laptop", n_components=9)
    longer = find("em-gm/long-flow").configs("laptop")
    assert {c.dataset for c in longer} == {"mnist", "fashion-mnist"}
    assert 1 <= min(spent(c) for c in longer) / spent(largest) < 1.05
    assert np.argmax([c.epochs for c in longer]) == 0
