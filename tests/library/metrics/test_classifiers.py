"""Scores of classifiers: against loops, scikit-learn, torchmetrics and known answers."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from sklearn import metrics as sk
from torchmetrics.functional.classification import multiclass_calibration_error

from mixflow.metrics import (
    accuracy,
    accuracy_by_coverage,
    best_temperature,
    brier_score,
    expected_calibration_error,
    log_error_probability,
    log_loss,
    reliability_diagram,
    temperature_scaled,
)


@pytest.fixture
def honest():
    """Log posteriors, and classes drawn from them: a classifier that is calibrated."""
    rng = np.random.default_rng(0)
    log_proba = log_softmax(2 * rng.normal(size=(4000, 5)), axis=1)
    y = np.array([rng.choice(5, p=p) for p in np.exp(log_proba)])
    return log_proba, y


def test_reliability_diagram_by_hand():
    proba = np.array([[0.9, 0.1], [0.6, 0.4], [0.45, 0.55], [0.0, 1.0]])
    y = np.array([0, 1, 1, 1])
    bins = reliability_diagram(proba, y, n_bins=5)
    np.testing.assert_allclose(bins[:, 2], [0, 0, 1, 1, 2])
    np.testing.assert_allclose(bins[2:, 0], [0.55, 0.6, 0.95])
    np.testing.assert_allclose(bins[2:, 1], [1, 0, 1])
    assert np.isnan(bins[:2, :2]).all()
    error = expected_calibration_error(proba, y, n_bins=5)
    assert error == pytest.approx((0.45 + 0.6 + 2 * 0.05) / 4)


def test_the_calibration_error_is_that_of_torchmetrics(honest):
    log_proba, y = honest
    theirs = multiclass_calibration_error(
        torch.as_tensor(np.exp(log_proba)), torch.as_tensor(y), num_classes=5, n_bins=15
    )
    ours = expected_calibration_error(np.exp(log_proba), y)
    assert ours == pytest.approx(float(theirs), abs=1e-6)


@pytest.mark.parametrize("n_bins", [1, 4, 15])
def test_the_calibration_error_is_a_loop_over_bins(honest, n_bins):
    proba, y = np.exp(honest[0]), honest[1]
    confidence, right = proba.max(1), proba.argmax(1) == y
    total = 0.0
    for b in range(n_bins):
        last = b == n_bins - 1
        inside = (confidence >= b / n_bins) & ((confidence < (b + 1) / n_bins) | last)
        if inside.any():
            total += abs(right[inside].mean() - confidence[inside].mean()) * inside.mean()
    assert expected_calibration_error(proba, y, n_bins) == pytest.approx(total, abs=1e-12)


def test_a_calibrated_classifier_has_a_small_error_and_a_blunted_one_has_not(honest):
    log_proba, y = honest
    assert expected_calibration_error(np.exp(log_proba), y) < 0.03
    blunted = np.exp(temperature_scaled(log_proba, 4.0))
    assert expected_calibration_error(blunted, y) > 0.2


def test_accuracy_and_log_loss_are_those_of_scikit_learn(honest):
    log_proba, y = honest
    assert accuracy(y, log_proba.argmax(1)) == sk.accuracy_score(y, log_proba.argmax(1))
    assert log_loss(log_proba, y) == pytest.approx(sk.log_loss(y, np.exp(log_proba)))


def test_what_was_held_impossible_costs_infinitely_much():
    impossible = [[0.0, -np.inf], [0.0, -np.inf]]
    assert log_loss(impossible, [0, 1]) == np.inf
    assert str(log_loss(impossible, [0, 0])) == "0.0"
    with pytest.raises(ValueError, match="no temperature mends"):
        best_temperature(impossible, [0, 1])
    with pytest.raises(ValueError, match="no possible class in 1 of 2"):
        log_loss([[-np.inf, -np.inf], [0.0, -np.inf]], [0, 0])


def test_brier_score_is_that_of_scikit_learn(honest):
    proba, y = np.exp(honest[0][:, :2]), honest[1] % 2
    proba = proba / proba.sum(1, keepdims=True)
    # Of two classes scikit-learn's counts the distance once.
    assert brier_score(proba, y) == pytest.approx(2 * sk.brier_score_loss(y, proba[:, 1]))
    proba, y = np.exp(honest[0]), honest[1]
    theirs = sk.brier_score_loss(y, proba, labels=range(5), scale_by_half=False)
    assert brier_score(proba, y) == pytest.approx(theirs)
    assert brier_score(np.full((4, 4), 0.25), [0, 1, 2, 3]) == pytest.approx(1 - 1 / 4)


@pytest.mark.parametrize("sharpness", [0.3, 1.0, 4.0])
def test_the_best_temperature_undoes_a_wrong_sharpness(honest, sharpness):
    log_proba, y = honest
    wrong = temperature_scaled(log_proba, 1 / sharpness)
    temperature = best_temperature(wrong, y)
    assert temperature == pytest.approx(sharpness, rel=0.1)
    losses = [log_loss(temperature_scaled(wrong, t), y) for t in (1.0, temperature)]
    assert losses[1] <= losses[0]


def test_accuracy_by_coverage_takes_the_surest_first():
    confidence = np.array([0.2, 0.9, 0.5, 0.7])
    correct = np.array([False, True, False, True])
    np.testing.assert_allclose(accuracy_by_coverage(confidence, correct), [1, 1, 2 / 3, 1 / 2])
    confidence[0] = np.inf
    np.testing.assert_allclose(accuracy_by_coverage(confidence, correct), [0, 1 / 2, 2 / 3, 1 / 2])


def test_doubt_ranks_what_is_sure_to_the_last_digit():
    log_proba = log_softmax(np.array([[0.0, -50, -60], [0.0, -70, -80], [0.0, -1, -2]]), axis=1)
    assert (np.exp(log_proba[:2]).max(1) == 1).all()
    doubt = log_error_probability(log_proba)
    assert doubt.argsort().tolist() == [1, 0, 2]
    assert np.exp(doubt[2]) == pytest.approx(1 - np.exp(log_proba[2, 0]))


def test_truth_values_are_classes_of_two():
    proba = [[0.8, 0.2], [0.3, 0.7]]
    assert brier_score(proba, [False, True]) == brier_score(proba, [0, 1])


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="y must have one entry for each of 3 samples, got 2"):
        reliability_diagram(np.ones((3, 2)) / 2, np.zeros(2, dtype=int))
    with pytest.raises(ValueError, match=r"outside 0 ... 1 in 1 of 2 .* the first at \[1\]"):
        brier_score(np.ones((2, 2)) / 2, np.array([0, 2]))
    with pytest.raises(ValueError, match="two classes or more"):
        log_error_probability([[0.0]])
