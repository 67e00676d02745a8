"""What the classifier's page says follows from its rows."""

import pandas as pd
import pytest

from companion.em_gm.classifier import summary

MODELS = [summary.FLOWS, "forest"]


def rows(metrics, end=""):
    """Return rows of (model, setting) -> metric -> value, for two seeds that differ by 0.02."""
    return pd.DataFrame(
        [
            (model, setting + end, seed, metric, value + 0.02 * seed - 0.01)
            for (model, setting), values in metrics.items()
            for metric, value in values.items()
            for seed in (0, 1)
        ],
        columns=["model", "setting", "seed", "metric", "value"],
    )


@pytest.fixture
def fitted():
    same = {"accuracy_at_90%": 0.95, "accuracy_at_80%": 0.96}
    flows = {"log_loss": 0.5, "mean_confidence": 0.97, "accuracy": 0.93}
    forest = {"log_loss": 0.3, "mean_confidence": 0.8, "accuracy": 0.9}
    return rows(
        {
            (MODELS[0], summary.FITTED): {**same, **flows},
            (MODELS[0], summary.SCALED): {"log_loss": 0.2, "temperature": 1.7},
            (MODELS[1], summary.FITTED): {**forest, "accuracy_at_90%": 0.99, "accuracy_at_80%": 1},
            (MODELS[1], summary.SCALED): {"log_loss": 0.25, "temperature": 0.6},
        }
    )


def test_sharpness_says_who_is_too_sure_and_who_is_best(fitted):
    said = summary.say_sharpness(fitted, MODELS, 16)
    assert "is too sure: its mean confidence is 0.9700, its accuracy 0.9300" in said
    assert "here 1.70 on average, takes its log loss from 0.500 to 0.200 nats" in said
    assert "others: forest 0.60" in said
    assert said.endswith("0.200, is that of: mixture of flows, temperature-scaled.")
    described = summary.describe(fitted, "log_loss", MODELS)
    assert described.startswith("mixture of flows 0.500 as fitted and 0.200 scaled; forest 0.300")


def test_the_most_accurate_are_named_for_each_share(fitted):
    assert summary.say_most_accurate(fitted) == (
        "As fitted, the most accurate are: mixture of flows where all samples are accepted; "
        "forest where one in ten is declined; forest where one in five is."
    )


def test_the_shift_of_priors_is_in_points():
    def accuracies(old, estimated, true):
        names = ("old", "estimated", "true")
        values = zip(names, (old, estimated, true), strict=True)
        return {f"accuracy_{name}_priors": value for name, value in values}

    shifted = {
        (MODELS[0], summary.FITTED): accuracies(0.9, 0.91, 0.92),
        (MODELS[0], summary.SCALED): accuracies(0.9, 0.93, 0.94),
        (MODELS[1], summary.FITTED): accuracies(0.9, 0.85, 0.95),
        (MODELS[1], summary.SCALED): accuracies(0.9, 0.9, 0.95),
        ("another", summary.FITTED): accuracies(0.1, 0.9, 0.9),
    }
    weaker = {key: accuracies(0.5, 0.9, 0.9) for key in shifted}
    both = pd.concat([rows(shifted, ", imbalance 20"), rows(weaker, ", imbalance 5")])
    said = summary.say_shift(both, MODELS, 20)
    assert "by +1.00 points as fitted and +3.00 temperature-scaled" in said
    assert "by +2.00 and +4.00" in said
    assert "The most is gained by: mixture of flows, temperature-scaled (+3.00)" in said
    assert said.endswith("the least by: forest, as fitted (-5.00).")
