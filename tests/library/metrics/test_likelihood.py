"""Likelihoods in several units, against closed forms, and integrals of densities."""

import math

import numpy as np
import pytest
from scipy import stats

from mixflow.metrics import bits_per_dim, integral_2d, nats_per_pixel, negative_log_likelihood


def test_the_mean_of_many_samples_reaches_the_entropy():
    normal = stats.norm(3, 0.2)
    x = normal.rvs(20_000, random_state=0)
    assert negative_log_likelihood(normal.logpdf(x)) == pytest.approx(normal.entropy(), abs=0.02)
    shifted = negative_log_likelihood(stats.norm(3.4, 0.2).logpdf(x))
    assert shifted - normal.entropy() == pytest.approx(0.4**2 / (2 * 0.2**2), abs=0.05)


def test_an_impossible_sample_is_infinitely_unlikely():
    assert negative_log_likelihood([0.0, -math.inf]) == math.inf
    assert str(negative_log_likelihood([0.0])) == "0.0"


def test_units_of_images():
    log_prob = np.array([-300.0, 120.0])
    nats = nats_per_pixel(log_prob, 50)
    np.testing.assert_allclose(nats, [6 + math.log(256), -2.4 + math.log(256)])
    np.testing.assert_allclose(bits_per_dim(log_prob, 50), nats / math.log(2))
    np.testing.assert_allclose(nats_per_pixel(log_prob, 50, n_levels=1), -log_prob / 50)
    assert bits_per_dim(0.0, 50, n_levels=32) == 5


def test_a_change_of_scale_and_its_levels_cancel():
    # The same density of the same grey levels, black and white 1 apart, or 2 bytes to a step.
    levels = np.random.default_rng(0).normal(90, 20, size=(500, 6))
    by_level = stats.norm(90, 20).logpdf(levels).sum(1)
    by_range = stats.norm(90 / 256, 20 / 256).logpdf(levels / 256).sum(1)
    np.testing.assert_allclose(nats_per_pixel(by_range, 6), -by_level / 6)


def test_uniform_noise_gives_a_bound_of_the_nll_of_levels():
    """By quadrature over the noise, for four levels and a normal density."""
    density = stats.norm(0.4, 0.3)
    edges = np.arange(5) / 4
    true = -np.log(np.diff(density.cdf(edges)))
    noise = (np.arange(1000) + 0.5) / 1000
    points = (np.arange(4)[:, None] + noise) / 4
    bound = nats_per_pixel(density.logpdf(points), 1, n_levels=4).mean(1)
    assert (bound >= true).all()
    np.testing.assert_allclose(bound, true, atol=0.1)


def log_normal(mean, covariance):
    return lambda x: stats.multivariate_normal(mean, covariance).logpdf(x)


def test_densities_integrate_to_1_and_others_to_their_mass():
    log_prob = log_normal([1.0, -2.0], [[1.0, 0.8], [0.8, 1.0]])
    points = stats.multivariate_normal([1.0, -2.0], np.eye(2)).rvs(200, random_state=0)
    assert integral_2d(log_prob, points, resolution=100) == pytest.approx(1, abs=1e-3)
    doubled = integral_2d(lambda x: log_prob(x) + math.log(2), points, resolution=100)
    assert doubled == pytest.approx(2, abs=2e-3)


@pytest.mark.parametrize(
    ("log_prob", "message"),
    [
        (lambda x: np.full(len(x), np.nan), "log_prob holds NaN"),
        (lambda x: np.zeros((len(x), 1)), r"log_prob must give shape \(\d+,\)"),
        (lambda x: 0.0, "log_prob must give shape"),
    ],
)
def test_what_is_no_log_density_is_refused(log_prob, message):
    with pytest.raises(ValueError, match=message):
        integral_2d(log_prob, [[0.0, 0.0], [1.0, 1.0]], resolution=10)


def test_points_must_say_where_to_look():
    with pytest.raises(ValueError, match="width in both directions"):
        integral_2d(lambda x: np.zeros(len(x)), [[0.0, 0.0], [1.0, 0.0]])
    with pytest.raises(ValueError, match=r"points must have shape \(N, 2\), got \(2, 3\)"):
        integral_2d(lambda x: np.zeros(len(x)), np.ones((2, 3)))
