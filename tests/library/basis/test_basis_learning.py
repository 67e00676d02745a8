"""Both algorithms against the loops over points that the paper prints; EM on the weights."""

import numpy as np
import pytest
import torch
from scipy.stats import norm

from mixflow import basis


def algorithm_1(x, low, high, n, *, sigma, learning_sigma, step):
    """Update all weights at every point, from masses of regions around the nearest mean."""
    r = (high - low) / n
    means = low + r * (np.arange(n) + 0.5)
    spread = r * (sigma if learning_sigma is None else learning_sigma)

    def mass(start, stop):
        return norm.cdf(stop, means, spread) - norm.cdf(start, means, spread)

    weights = np.full(n, 1 / n)
    for value in x:
        mu, d = means[np.abs(value - means).argmin()], r / 2
        middle = mass(mu - d, mu + d)
        sides = (mass(mu - r, mu - d) + mass(mu + d, mu + r)) / 2
        weights += step * (middle - sides)
    weights = np.maximum(weights, 0)
    return weights / weights.sum()


def algorithm_2(x, low, high, n, *, step):
    """Update the weight of the nearest mean at every point."""
    means = low + (high - low) * (np.arange(n) + 0.5) / n
    weights = np.full(n, 1 / n)
    for value in x:
        weights[np.abs(value - means).argmin()] += step
    return weights / weights.sum()


@pytest.fixture
def x():
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(0, 1, 150), rng.normal(6, 0.3, 100)])


def counts_of(x, n):
    low, high = x.min(), x.max()
    return basis.bin_counts(x[:, None], low, high, n)[0], low, high


@pytest.mark.parametrize("step", [1.0, 0.02])
@pytest.mark.parametrize("learning_sigma", [0.5, None])
def test_algorithm_1_is_its_loop(x, learning_sigma, step):
    counts, low, high = counts_of(x, 40)
    loop = algorithm_1(x, low, high, 40, sigma=2.0, learning_sigma=learning_sigma, step=step)
    ours = basis.region_weights(counts, learning_sigma=learning_sigma or 2.0, step=step)
    np.testing.assert_allclose(ours[0], loop, atol=1e-14)
    if learning_sigma is None:
        assert (loop > 0).any()


@pytest.mark.parametrize("step", [1.0, 1 / 40, 7.0])
def test_algorithm_2_is_its_loop(x, step):
    counts, low, high = counts_of(x, 40)
    loop = algorithm_2(x, low, high, 40, step=step)
    np.testing.assert_allclose(basis.nearest_weights(counts, step=step)[0], loop, atol=1e-15)


def test_no_points_leave_the_uniform_start():
    np.testing.assert_allclose(basis.nearest_weights(np.zeros((2, 8), int)), 1 / 8)
    np.testing.assert_allclose(basis.region_weights(np.zeros((2, 8), int)), 1 / 8)


@pytest.mark.parametrize(("regions", "total"), [("average", 0.5), ("sum", 0.0), ("cells", -1.0)])
@pytest.mark.parametrize("sigma", [0.3, 1.0, 4.0])
def test_kernels_sum_to_what_their_regions_say(regions, total, sigma):
    kernel = basis.region_kernel(200, sigma, regions).numpy()
    assert kernel[0] + 2 * kernel[1:].sum() == pytest.approx(total, abs=1e-12)


def test_the_sum_of_sides_learns_a_curvature():
    cells = np.arange(100)
    line, parabola = 1000 + 10.0 * cells, 1000 + (cells - 50.0) ** 2
    moved = basis.region_kernel(100, 0.5, "sum").numpy()[np.abs(cells[:, None] - cells)]
    inner = slice(20, 80)
    assert np.abs((line @ moved)[inner]).max() < 1e-9
    curved = (parabola @ moved)[inner]
    np.testing.assert_allclose(curved, curved[0], rtol=1e-9)
    assert curved[0] < -0.1


def test_descent_puts_weight_where_there_are_no_points(x):
    counts, _, _ = counts_of(x, 60)
    weights = basis.region_weights(counts, ascent=False)[0]
    assert weights[counts[0] > counts[0].max() / 2].sum() < 1e-3


def test_wrong_regions_and_clipped_weights_are_errors():
    with pytest.raises(ValueError, match="'average', 'sum', 'cells'"):
        basis.region_kernel(5, 1.0, "mean")
    with pytest.raises(ValueError, match="clipped to zero"):
        basis.region_weights(np.full((1, 6), 100), regions="cells")


def em_step(weights, counts, sigma):
    n = len(counts)
    edges = np.arange(n + 1)
    masses = np.diff(norm.cdf(edges[:, None], np.arange(n) + 0.5, sigma), axis=0)
    weights = weights * (masses.T @ (counts / (masses @ weights)))
    return weights / weights.sum()


@pytest.mark.parametrize("sigma", [0.6, 2.0, 15.0])
def test_em_steps_are_those_on_the_masses(x, sigma):
    counts = counts_of(x, 50)[0][0]
    start = basis.nearest_weights(counts[None])
    expected = em_step(em_step(start[0], counts, sigma), counts, sigma)
    ours = basis.em_weights(start, counts[None], sigma, n_steps=2)
    np.testing.assert_allclose(ours[0], expected, atol=1e-12)


def test_em_raises_the_likelihood_of_the_counts(x):
    counts = counts_of(x, 80)[0]
    weights, last = basis.nearest_weights(counts), -np.inf
    for _ in range(30):
        masses = basis.cell_masses(weights, 2.5)[:, 1:-1]
        likelihood = (counts * np.log(masses)).sum()
        assert likelihood >= last
        weights, last = basis.em_weights(weights, counts, 2.5), likelihood


def test_every_feature_has_its_own_sigma(x):
    counts = np.repeat(counts_of(x, 50)[0], 3, axis=0)
    start, sigma = basis.nearest_weights(counts), np.array([0.7, 2.0, 5.0])
    together = basis.em_weights(start, counts, sigma, n_steps=3)
    for d in range(3):
        alone = basis.em_weights(start[d : d + 1], counts[d : d + 1], sigma[d], n_steps=3)
        np.testing.assert_allclose(together[d], alone[0], atol=1e-15)


def test_em_survives_points_far_from_any_weight():
    counts, weights = np.zeros((1, 100)), np.zeros((1, 100))
    counts[0, [5, 95]], weights[0, 5] = [50, 1], 1.0
    out = basis.em_weights(weights, counts, 0.5, n_steps=5)
    assert np.isfinite(out).all()
    assert out[0, 5] == pytest.approx(1)


def test_tensors_give_tensors():
    counts = torch.tensor([[1, 5, 3, 0]])
    for weights in (basis.nearest_weights(counts), basis.region_weights(counts)):
        assert isinstance(weights, torch.Tensor)
        assert weights.dtype == torch.float64
    assert basis.nearest_weights(counts.float()).dtype == torch.float32
