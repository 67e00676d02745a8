"""Shifted class priors: Bayes' rule, and EM that learns them."""

import numpy as np
import pytest
from scipy.special import log_softmax
from scipy.stats import norm

from mixflow.estimators.priors import estimate_priors, with_priors

CENTRES = np.array([-1.0, 0.0, 1.5])
OLD = np.array([0.2, 0.3, 0.5])


def log_proba(x, priors):
    return log_softmax(norm.logpdf(x[:, None], CENTRES) + np.log(priors), axis=1)


@pytest.fixture
def shifted():
    rng = np.random.default_rng(0)
    new = np.array([0.7, 0.25, 0.05])
    y = rng.choice(3, size=20_000, p=new)
    return rng.normal(CENTRES[y]), new


def test_new_priors_give_the_posterior_of_a_model_with_them(shifted):
    x, new = shifted
    np.testing.assert_allclose(with_priors(log_proba(x, OLD), OLD, new), log_proba(x, new))


def test_em_finds_the_priors_without_labels(shifted):
    x, new = shifted
    found = estimate_priors(log_proba(x, OLD), OLD)
    assert found.sum() == pytest.approx(1)
    np.testing.assert_allclose(found, new, atol=0.02)


def test_a_step_of_em_is_the_mean_posterior(shifted):
    before = log_proba(shifted[0], OLD)
    one, two = (estimate_priors(before, OLD, max_iter=n) for n in (1, 2))
    np.testing.assert_allclose(one, np.exp(before).mean(0))
    np.testing.assert_allclose(two, np.exp(with_priors(before, OLD, one)).mean(0))


def test_em_climbs_the_likelihood(shifted):
    x, _ = shifted
    before = log_proba(x, OLD)

    def log_likelihood(priors):
        return np.logaddexp.reduce(before + np.log(priors) - np.log(OLD), axis=1).mean()

    steps = [log_likelihood(estimate_priors(before, OLD, max_iter=n)) for n in range(6)]
    assert np.all(np.diff(steps) > 0)


def test_a_class_that_is_gone_gets_no_prior():
    x = np.concatenate([np.full(50, -4.0), np.full(50, -3.0)])
    found = estimate_priors(log_proba(x, OLD), OLD)
    assert found[2] < 1e-3
    assert np.isfinite(found).all()


def test_what_cannot_be_corrected_is_refused():
    with pytest.raises(ValueError, match="excluded"):
        with_priors(np.zeros((2, 2)), np.array([0.0, 1.0]), np.array([0.5, 0.5]))
    with pytest.raises(ValueError, match="expected"):
        with_priors(np.zeros((2, 3)), np.ones(2) / 2, np.ones(2) / 2)
