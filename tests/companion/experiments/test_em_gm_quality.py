"""Rows of figures 4 and 5: trials that share no image, floors, and each measure in its place."""

import numpy as np
import pytest

from companion.em_gm.images import quality
from companion.em_gm.images.feature_network import Extracted
from companion.em_gm.images.quality import METRICS, real_floor, sample_quality, summary
from mixflow import metrics


def extracted(n, shift=0.0, seed=0):
    rng = np.random.default_rng(seed)
    return Extracted(
        rng.normal(size=(n, 4)) + shift, rng.dirichlet(np.full(3, 0.5 + abs(shift)), size=n)
    )


def test_one_trial_of_all_images_is_each_measure_of_all():
    real, generated = extracted(50), extracted(50, 0.5, 1)
    rows = sample_quality(real, generated, n_samples=50, n_trials=1)
    values = rows.set_index("metric")["value"]
    x, y = real.features, generated.features
    nearest = metrics.nearest_neighbor_accuracy(x, y)
    precision, recall = metrics.precision_and_recall(x, y)
    density, coverage = metrics.density_and_coverage(x, y)
    expected = {
        "IS": metrics.inception_score(generated.probabilities),
        "FID root": np.sqrt(metrics.frechet_distance(x, y)),
        "FID": metrics.frechet_distance(x, y),
        "MMD": metrics.maximum_mean_discrepancy(x, y),
        "1NN": nearest.overall,
        "1NN real": nearest.real,
        "1NN generated": nearest.generated,
        "precision": precision,
        "recall": recall,
        "density": density,
        "coverage": coverage,
    }
    assert list(values.index) == list(METRICS)
    assert values.to_dict() == pytest.approx(expected)


@pytest.fixture
def pairs(monkeypatch):
    """The images that are compared, by their only feature, a number each."""
    seen = []

    def look(real, generated):
        seen.append((real.features.ravel(), generated.features.ravel()))
        return {"FID": 0.0}

    monkeypatch.setattr(quality, "_measures", look)
    return seen


def numbered(n):
    return Extracted(np.arange(n, dtype=float)[:, None], np.ones((n, 1)))


def test_trials_share_no_image(pairs):
    sample_quality(numbered(30), numbered(36), n_samples=10, n_trials=3)
    real, generated = (np.concatenate(side) for side in zip(*pairs, strict=True))
    assert len(pairs) == 3
    assert sorted(real) == list(range(30))
    assert len(set(generated)) == 30
    assert set(generated) - set(range(30))


def test_floor_compares_different_images(pairs):
    real_floor(numbered(41), n_samples=10, n_trials=2)
    used = np.concatenate([np.concatenate(pair) for pair in pairs])
    assert len(pairs) == 2
    assert len(set(used)) == len(used) == 40


def test_real_against_real_is_the_floor_of_a_worse_model():
    real, generated = extracted(400), extracted(200, 1.0, 1)
    settings = {"n_samples": 40, "n_trials": 5}
    floor = summary(real_floor(real, **settings))
    model = summary(sample_quality(real, generated, **settings))
    assert (floor["high"] < model["low"])[["FID", "FID root", "MMD", "1NN"]].all()
    assert floor.loc["coverage", "low"] > model.loc["coverage", "high"]
    assert floor.loc["1NN", "mean"] == pytest.approx(0.5, abs=0.1)


def test_seed_draws_the_trials():
    real, generated = extracted(60), extracted(60, 0.2, 1)
    settings = {"n_samples": 20, "n_trials": 2}
    first, again, other = (
        sample_quality(real, generated, seed=seed, **settings) for seed in (0, 0, 1)
    )
    assert first.equals(again)
    assert not first.equals(other)


def test_summary_gives_mean_and_range_in_the_order_of_the_figures():
    rows = sample_quality(extracted(60), extracted(60, 0.5, 1), n_samples=20, n_trials=3)
    table = summary(rows.sample(frac=1, random_state=0))
    assert list(table.index) == list(METRICS)
    values = rows.query("metric == 'MMD'")["value"]
    assert table.loc["MMD"].tolist() == pytest.approx([values.mean(), values.min(), values.max()])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sample_quality(extracted(59), extracted(60), n_samples=20, n_trials=3), "real"),
        (
            lambda: sample_quality(extracted(60), extracted(59), n_samples=20, n_trials=3),
            "3 trials of 20 generated images each need 60, got 59",
        ),
        (lambda: real_floor(extracted(60), n_samples=20, n_trials=2), "need 80"),
        (lambda: sample_quality(extracted(60), extracted(60), n_samples=5), "6 or more"),
        (lambda: sample_quality(extracted(60), extracted(60), n_trials=0), "1 or more"),
    ],
)
def test_too_few_images_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
