import doctest

import numpy as np
import pytest

from mixflow.datasets import circles, moons, pinwheel, registry, spirals, synthetic

DRAW = {
    "pinwheel": lambda seed: pinwheel(20, random_state=seed),
    "circles": lambda seed: circles(101, random_state=seed),
    "moons": lambda seed: moons(101, random_state=seed),
    "spirals": lambda seed: spirals(101, n_arms=3, random_state=seed),
}


@pytest.mark.parametrize("name", DRAW)
def test_shapes_and_seeds(name):
    x, y = DRAW[name](0)
    assert x.shape == (len(y), 2)
    assert (x.dtype, y.dtype) == (np.float64, np.int64)
    assert np.isfinite(x).all()
    counts = np.bincount(y)
    assert counts.max() - counts.min() <= 1
    assert len(np.unique(y[:20])) > 1, "samples are shuffled"
    again, other = DRAW[name](0), DRAW[name](1)
    assert np.array_equal(x, again[0])
    assert np.array_equal(y, again[1])
    assert not np.array_equal(x, other[0])
    from_generator, _ = DRAW[name](np.random.default_rng(0))
    assert np.array_equal(x, from_generator)
    assert not np.array_equal(DRAW[name](None)[0], DRAW[name](None)[0])


def test_doctests():
    for module in (synthetic, registry):
        result = doctest.testmod(module)
        assert result.attempted
        assert not result.failed


def _unwind(x, y, *, n_wings, rate, scale):
    """Undo the turning of a pinwheel whose points lie on the middle of their wing."""
    radius = np.hypot(*x.T) / scale
    angle = -np.arctan2(x[:, 1], x[:, 0])
    return (angle - 2 * np.pi * y / n_wings - rate * np.exp(radius) + np.pi) % (2 * np.pi) - np.pi


def test_pinwheel_follows_its_definition():
    x, y = pinwheel(200, n_wings=3, rate=0.25, radial_std=0.1, tangential_std=0.0, random_state=0)
    assert np.abs(_unwind(x, y, n_wings=3, rate=0.25, scale=0.5)).max() < 1e-9


def test_pinwheel_matches_the_rotation_matrices_of_its_authors():
    x, y = pinwheel(4, n_wings=5, random_state=7)
    rng = np.random.default_rng(7)
    features = rng.standard_normal((20, 2)) * [0.3, 0.05]
    features[:, 0] += 1
    wing = np.repeat(np.arange(5), 4)
    expected = []
    for point, k in zip(features, wing, strict=True):
        angle = 2 * np.pi * k / 5 + 0.4 * np.exp(point[0])
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        expected.append(10 * (point @ turn) / 20)
    order = rng.permutation(20)
    assert np.allclose(x, np.array(expected)[order])
    assert np.array_equal(y, wing[order])


def test_pinwheel_radii_and_symmetry():
    x, y = pinwheel(5000, random_state=0)
    radius = np.hypot(*x.T)
    assert radius.mean() == pytest.approx(0.5, abs=0.01)
    assert radius.std() == pytest.approx(0.15, abs=0.01)
    centres = np.array([x[y == k].mean(0) for k in range(5)])
    turn = 2 * np.pi / 5
    clockwise = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    assert np.allclose(centres @ clockwise.T, np.roll(centres, -1, axis=0), atol=0.02)


def test_pinwheel_scale_is_a_factor():
    small, _ = pinwheel(5, random_state=0)
    large, _ = pinwheel(5, scale=10, random_state=0)
    assert np.allclose(20 * small, large)


def test_circles_have_radial_noise_only():
    x, y = circles(4000, radii=(0.8, 0.4), noise=0.05, random_state=0)
    for k, radius in enumerate((0.8, 0.4)):
        ring = np.hypot(*x[y == k].T)
        assert ring.mean() == pytest.approx(radius, abs=0.005)
        assert ring.std() == pytest.approx(0.05, abs=0.003)
    quadrant = np.bincount((x[:, 0] > 0) * 2 + (x[:, 1] > 0)) / len(x)
    assert quadrant == pytest.approx(0.25, abs=0.03)


def test_moons_without_noise():
    x, y = moons(500, noise=0.0, random_state=0)
    upper, lower = x[y == 0], x[y == 1]
    assert np.hypot(*upper.T) == pytest.approx(1)
    assert np.hypot(*(lower - [1, 0.5]).T) == pytest.approx(1)
    assert upper[:, 1].min() >= 0
    assert lower[:, 1].max() <= 0.5


def test_spirals_without_noise():
    x, y = spirals(600, n_arms=3, turns=0.75, noise=0.0, random_state=0)
    radius = np.hypot(*x.T)
    assert radius.max() <= 1
    angle = np.arctan2(x[:, 1], x[:, 0]) - 2 * np.pi * (0.75 * radius + y / 3)
    assert np.cos(angle) == pytest.approx(1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pinwheel(0), "n_samples_per_wing must be a whole number >= 1, got 0"),
        (lambda: pinwheel(2.5), "n_samples_per_wing"),
        (lambda: pinwheel(True), "n_samples_per_wing"),
        (lambda: pinwheel(5, n_wings=0), "n_wings"),
        (lambda: pinwheel(5, radial_std=-1), "radial_std must not be negative"),
        (lambda: pinwheel(5, tangential_std=np.nan), "tangential_std must be a finite number"),
        (lambda: pinwheel(5, rate="fast"), "rate must be a finite number"),
        (lambda: pinwheel(5, scale=0), "scale must be positive"),
        (lambda: pinwheel(5, random_state=-1), "random_state"),
        (lambda: pinwheel(5, random_state="seed"), "random_state"),
        (lambda: circles(10, radii=()), "one or more"),
        (lambda: circles(10, radii=0.8), "list of one or more"),
        (lambda: circles(10, radii=(1, 0)), "radii must be positive"),
        (lambda: circles(10, radii=(1, np.inf)), "finite"),
        (lambda: circles(1), "n_samples must be at least 2"),
        (lambda: circles(10, noise=-0.1), "noise must not be negative"),
        (lambda: moons(1), "at least 2"),
        (lambda: moons(10, noise=np.inf), "noise must be a finite number"),
        (lambda: spirals(10, n_arms=0), "n_arms"),
        (lambda: spirals(2, n_arms=3), "at least 3"),
        (lambda: spirals(10, turns=-1), "turns must not be negative"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
