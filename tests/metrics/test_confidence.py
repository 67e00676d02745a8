"""Calibration and rejection: against loops, scikit-learn, torchmetrics and known answers."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from sklearn.metrics import brier_score_loss, log_loss
from torchmetrics.functional.classification import multiclass_calibration_error

from mixflow.metrics.confidence import (
    accuracy_by_coverage,
    best_temperature,
    brier_score,
    expected_calibration_error,
    log_doubt,
    reliability,
    temperature_scaled,
)


@pytest.fixture
def honest():
    """Log posteriors, and classes drawn from them: a classifier that is calibrated."""
    rng = np.random.default_rng(0)
    log_proba = log_softmax(2 * rng.normal(size=(4000, 5)), axis=1)
    y = np.array([rng.choice(5, p=p) for p in np.exp(log_proba)])
    return log_proba, y


def test_reliability_by_hand():
    proba = np.array([[0.9, 0.1], [0.6, 0.4], [0.45, 0.55], [0.0, 1.0]])
    bins = reliability(proba, np.array([0, 1, 1, 1]), n_bins=5)
    np.testing.assert_allclose(bins[:, 2], [0, 0, 1, 1, 2])
    np.testing.assert_allclose(bins[2:, 0], [0.55, 0.6, 0.95])
    np.testing.assert_allclose(bins[2:, 1], [1, 0, 1])
    assert np.isnan(bins[:2, :2]).all()
    assert expected_calibration_error(bins) == pytest.approx((0.45 + 0.6 + 2 * 0.05) / 4)


def test_the_calibration_error_is_that_of_torchmetrics(honest):
    log_proba, y = honest
    theirs = multiclass_calibration_error(
        torch.as_tensor(np.exp(log_proba)), torch.as_tensor(y), num_classes=5, n_bins=15
    )
    ours = expected_calibration_error(reliability(np.exp(log_proba), y))
    assert ours == pytest.approx(float(theirs), abs=1e-6)


def test_brier_score_is_that_of_scikit_learn(honest):
    proba, y = np.exp(honest[0][:, :2]), honest[1] % 2
    proba = proba / proba.sum(1, keepdims=True)
    # Of two classes scikit-learn's counts the distance once.
    assert brier_score(proba, y) == pytest.approx(2 * brier_score_loss(y, proba[:, 1]))


@pytest.mark.parametrize("sharpness", [0.3, 1.0, 4.0])
def test_the_best_temperature_undoes_a_wrong_sharpness(honest, sharpness):
    log_proba, y = honest
    wrong = temperature_scaled(log_proba, 1 / sharpness)
    temperature = best_temperature(wrong, y)
    assert temperature == pytest.approx(sharpness, rel=0.1)
    losses = [log_loss(y, np.exp(temperature_scaled(wrong, t))) for t in (1.0, temperature)]
    assert losses[1] <= losses[0]


def test_accuracy_by_coverage_takes_the_surest_first():
    confidence = np.array([0.2, 0.9, 0.5, 0.7])
    correct = np.array([False, True, False, True])
    np.testing.assert_allclose(accuracy_by_coverage(confidence, correct), [1, 1, 2 / 3, 1 / 2])


def test_doubt_ranks_what_is_sure_to_the_last_digit():
    log_proba = log_softmax(np.array([[0.0, -50, -60], [0.0, -70, -80], [0.0, -1, -2]]), axis=1)
    assert (np.exp(log_proba[:2]).max(1) == 1).all()
    doubt = log_doubt(log_proba)
    assert doubt.argsort().tolist() == [1, 0, 2]
    assert np.exp(doubt[2]) == pytest.approx(1 - np.exp(log_proba[2, 0]))


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"expected \(N, C\)"):
        reliability(np.ones((3, 2)) / 2, np.zeros(2, dtype=int))
    with pytest.raises(ValueError, match="classes 0 ... 1"):
        brier_score(np.ones((2, 2)) / 2, np.array([0, 2]))
