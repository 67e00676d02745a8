"""Exact densities of the generated sets, against samples, closed forms and a naive search."""

import doctest

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import multivariate_normal, norm

from mixflow.datasets import circles, densities, pinwheel
from mixflow.datasets.densities import (
    circles_log_density,
    circles_ring_log_densities,
    pinwheel_log_density,
    pinwheel_wing_log_densities,
)

FIVE = {"n_wings": 5, "rate": 0.4}
CURLED = {"n_wings": 3, "rate": 1.2, "radial_std": 0.25, "tangential_std": 0.25, "scale": 0.7}


def cells(half_width, n):
    """Midpoints (n * n, 2) of cells, x slowest, and the area of one."""
    line = (np.arange(n) + 0.5) / n * 2 * half_width - half_width
    return np.stack(np.meshgrid(line, line, indexing="ij"), -1).reshape(-1, 2), (
        2 * half_width / n
    ) ** 2


@pytest.mark.parametrize(
    "settings",
    [FIVE, {"n_wings": 3, "rate": 0.25}, {"n_wings": 7, "rate": -0.4}, {"n_wings": 4, "rate": 0.0}],
)
def test_a_pinwheel_integrates_to_one(settings):
    x, area = cells(1.4, 200)
    assert np.exp(pinwheel_log_density(x, **settings)).sum() * area == pytest.approx(1, abs=1e-3)
    each = np.exp(pinwheel_wing_log_densities(x, **settings)).sum(0) * area
    assert each == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("noise", [0.02, 0.2])
def test_circles_integrate_to_one(noise):
    x, area = cells(2.0, 500)
    assert np.exp(circles_log_density(x, noise=noise)).sum() * area == pytest.approx(1, abs=1e-3)


def naive(x, wing, *, n_wings, rate, radial_std=0.3, tangential_std=0.05, scale=0.5):
    """Log density of a wing at one point: every root found by a scan of a fine grid."""
    radius, angle = np.hypot(*x) / scale, np.arctan2(x[1], x[0])

    def turned(psi):  # the angle that remains, in turns
        clockwise = 2 * np.pi * wing / n_wings + rate * np.exp(radius * np.cos(psi))
        return (psi - clockwise - angle) / (2 * np.pi)

    grid = np.linspace(-np.pi, np.pi, 20001)
    values, total = turned(grid), -np.inf
    for low, high, a, b in zip(grid[:-1], grid[1:], values[:-1], values[1:], strict=True):
        for whole in range(int(np.floor(min(a, b))), int(np.ceil(max(a, b))) + 1):
            if min(a, b) <= whole < max(a, b):
                psi = brentq(lambda psi, n=whole: turned(psi) - n, low, high, xtol=1e-14)
                u, v = radius * np.cos(psi), radius * np.sin(psi)
                mass = norm.logpdf(u, 1, radial_std) + norm.logpdf(v, 0, tangential_std)
                total = np.logaddexp(total, mass - np.log(abs(1 + rate * np.exp(u) * v)))
    return total - 2 * np.log(scale)


@pytest.mark.parametrize("settings", [FIVE, CURLED, CURLED | {"rate": -1.2, "radial_std": 0.15}])
def test_every_root_counts(settings):
    x = np.random.default_rng(0).normal(0, 0.7, (6, 2))
    found = pinwheel_wing_log_densities(x, **settings)
    wings = range(settings["n_wings"])
    expected = np.array([[naive(point, k, **settings) for k in wings] for point in x])
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("settings", [FIVE, CURLED])
def test_samples_fall_where_the_density_says(settings):
    x, _ = pinwheel(120_000 // settings["n_wings"], random_state=0, **settings)
    n, fine = 32, 8
    counts, _, _ = np.histogram2d(*x.T, bins=n, range=[[-1.6, 1.6]] * 2)
    grid, area = cells(1.6, n * fine)
    density = np.exp(pinwheel_log_density(grid, **settings)).reshape(n, fine, n, fine)
    expected = density.sum((1, 3)) * area * len(x)
    enough = expected > 100
    off = ((counts - expected) / np.sqrt(expected))[enough]
    assert np.sqrt(np.median(off**2) / 0.455) < 1.6, "0.455 is the median of chi^2_1"
    assert counts[enough].sum() == pytest.approx(expected[enough].sum(), rel=0.03)


def test_turning_stretches_areas():
    rate, step = 0.4, 1e-6

    def turn(u, v):
        angle = rate * np.exp(u)
        return np.array(
            [u * np.cos(angle) + v * np.sin(angle), v * np.cos(angle) - u * np.sin(angle)]
        )

    u, v = 1.3, 0.2
    columns = [
        (turn(u + step, v) - turn(u - step, v)) / (2 * step),
        (turn(u, v + step) - turn(u, v - step)) / (2 * step),
    ]
    assert np.linalg.det(columns) == pytest.approx(1 + rate * np.exp(u) * v)
    log_density = pinwheel_log_density([turn(u, v)], n_wings=1, rate=rate, scale=1.0)[0]
    expected = norm.logpdf(u, 1, 0.3) + norm.logpdf(v, 0, 0.05) - np.log(1 + rate * np.exp(u) * v)
    assert log_density == pytest.approx(expected)


def test_mean_log_density_of_separate_wings_has_a_closed_form():
    settings = {"n_wings": 3, "rate": 0.4, "radial_std": 0.15, "tangential_std": 0.05, "scale": 0.5}
    x, y = pinwheel(60_000, random_state=1, **settings)
    scores = pinwheel_log_density(x, **settings)
    entropy = np.log(2 * np.pi * np.e * 0.15 * 0.05 * 0.5**2) + np.log(3)
    stretch = 0.5 * 0.4**2 * 0.05**2 * np.exp(2 + 2 * 0.15**2)
    error = scores.std() / np.sqrt(len(x))
    assert scores.mean() == pytest.approx(stretch - entropy, abs=4 * error)
    assert error < 0.003
    assert (pinwheel_wing_log_densities(x, **settings).argmax(1) == y).mean() > 0.9999


@pytest.mark.parametrize("rate", [0.4, -0.4])
def test_the_bayes_classifier_knows_the_wings(rate):
    x, y = pinwheel(4000, n_wings=5, rate=rate, random_state=2)
    each = pinwheel_wing_log_densities(x, n_wings=5, rate=rate)
    assert (each.argmax(1) == y).mean() > 0.998
    mixed = np.log(np.exp(each).mean(1))
    assert pinwheel_log_density(x, n_wings=5, rate=rate) == pytest.approx(mixed)


def test_straight_wings_are_gaussians():
    x = np.random.default_rng(0).normal(0, 0.5, (50, 2))
    found = pinwheel_wing_log_densities(x, n_wings=4, rate=0.0, tangential_std=0.2)
    means = 0.5 * np.array([[1, 0], [0, -1], [-1, 0], [0, 1]])
    for k, mean in enumerate(means):
        variances = (0.25 * np.array([0.09, 0.04]))[:: -1 if k % 2 else 1]
        assert found[:, k] == pytest.approx(multivariate_normal(mean, variances).logpdf(x))


def test_far_points_are_unlikely_and_quiet():
    with np.errstate(all="raise", under="ignore"):
        scores = pinwheel_log_density([[3.0, 0.0], [0.0, 8.0], [1e6, 0.0], [0.0, 0.0]])
    assert scores[0] < -30
    assert scores[1] < scores[0]
    assert scores[2] == -np.inf
    assert np.isfinite(scores[3])


def test_circles_follow_samples_and_classify_them():
    x, y = circles(40_000, random_state=0)
    each = circles_ring_log_densities(x)
    assert (each.argmax(1) == y).mean() > 0.9998
    theta = np.random.default_rng(0).uniform(0, 2 * np.pi)
    r = 0.77
    expected = np.log(norm.pdf(r, 0.8, 0.05) / (2 * np.pi * r) / 2)
    point = [[r * np.cos(theta), r * np.sin(theta)]]
    assert circles_log_density(point)[0] == pytest.approx(expected)


def test_negative_radii_land_on_the_other_side():
    x, _ = circles(100_000, radii=(0.3,), noise=0.3, random_state=0)
    near = np.hypot(*x.T) < 0.1
    grid, area = cells(0.1, 400)
    grid = grid[np.hypot(*grid.T) < 0.1]
    mass = np.exp(circles_log_density(grid, radii=(0.3,), noise=0.3)).sum() * area
    assert near.mean() == pytest.approx(mass, rel=0.03)
    assert mass > 1.5 * (norm.cdf(-0.2 / 0.3) - norm.cdf(-0.3 / 0.3))


def test_doctests():
    result = doctest.testmod(densities)
    assert result.attempted
    assert not result.failed


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pinwheel_log_density([1.0, 2.0]), r"shape \(N, 2\), got \(2,\)"),
        (lambda: pinwheel_log_density([[1.0, np.nan]]), "NaN"),
        (lambda: pinwheel_log_density([[0, 0]], tangential_std=0), "tangential_std must be pos"),
        (lambda: pinwheel_log_density([[0, 0]], n_wings=0), "n_wings must be a whole number"),
        (lambda: pinwheel_log_density([[0, 0]], rate=np.inf), "rate must be a finite number"),
        (lambda: circles_log_density([[0, 1]], noise=0.0), "noise must be positive"),
        (lambda: circles_log_density([[0, 1]], radii=()), "one or more"),
        (lambda: circles_log_density([[0, 1]], radii=(1, -1)), "radii must be positive"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
