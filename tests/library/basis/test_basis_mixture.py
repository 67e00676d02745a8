"""Densities on the basis: integrals, distribution, quantiles, samples, and the loss."""

import numpy as np
import pytest
import torch
from scipy import integrate
from scipy.stats import kstest, norm

from mixflow import basis

N, SIGMA = 30, np.array([0.6, 2.0, 9.0])


@pytest.fixture
def weights():
    values = np.random.default_rng(0).random((3, N)) ** 4
    values[:, 10:14] = 0
    return values / values.sum(1, keepdims=True)


def test_the_density_is_the_sum_of_the_gaussians(weights):
    u = np.random.default_rng(1).uniform(-5, N + 5, (40, 3))
    centres = np.arange(N) + 0.5
    expected = np.stack(
        [norm.pdf(u[:, d, None], centres, SIGMA[d]) @ weights[d] for d in range(3)], axis=1
    )
    np.testing.assert_allclose(np.exp(basis.log_prob(u, weights, SIGMA)), expected, rtol=1e-12)
    in_x = basis.log_prob(u, weights, SIGMA, np.array([0.1, 1.0, 4.0]))
    np.testing.assert_allclose(np.exp(in_x), expected / [0.1, 1.0, 4.0], rtol=1e-12)


def test_densities_integrate_to_one_and_to_their_distribution(weights):
    for d in range(3):
        w, s = weights[d : d + 1], SIGMA[d]

        def density(u, w=w, s=s):
            return float(np.exp(basis.log_prob(np.array([[u]]), w, s))[0, 0])

        points = list(np.arange(N) + 0.5)
        whole, _ = integrate.quad(density, -60, N + 60, points=points, limit=500)
        part, _ = integrate.quad(density, -60, 12.3, points=points[:12], limit=500)
        assert whole == pytest.approx(1, abs=1e-8)
        assert part == pytest.approx(float(basis.cdf(np.array([[12.3]]), w, s)[0, 0]), abs=1e-8)


def test_far_out_the_log_density_stays_finite(weights):
    values = basis.log_prob(np.array([[1e4] * 3, [-1e4] * 3]), weights, SIGMA)
    assert np.isfinite(values).all()
    assert (values < -1e4).all()


def test_masses_are_differences_of_the_distribution(weights):
    edges = np.repeat(np.arange(N + 1.0)[:, None], 3, axis=1)
    values = basis.cdf(edges, weights, SIGMA)
    masses = basis.cell_masses(weights, SIGMA)
    np.testing.assert_allclose(masses[:, 1:-1], np.diff(values, axis=0).T, atol=1e-14)
    np.testing.assert_allclose(masses[:, 0], values[0], atol=1e-14)
    np.testing.assert_allclose(masses.sum(1), 1, atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_quantiles_undo_the_distribution(weights, dtype):
    p = np.random.default_rng(2).random((200, 3)).astype(dtype)
    p[:3] = np.array([1e-6, 0.5, 1 - 1e-6], dtype)[:, None]
    u = basis.quantile(p, weights.astype(dtype), SIGMA)
    tolerance = 1e-12 if dtype == np.float64 else 3e-6
    np.testing.assert_allclose(basis.cdf(u, weights.astype(dtype), SIGMA), p, atol=tolerance)
    assert u.dtype == dtype


def test_quantiles_at_the_ends_and_beyond(weights):
    ends = basis.quantile(np.array([[0.0] * 3, [1.0] * 3]), weights, SIGMA)
    assert (ends[0] == -np.inf).all()
    assert (ends[1] == np.inf).all()
    with pytest.raises(ValueError, match="between 0 and 1"):
        basis.quantile(np.full((1, 3), 1.1), weights, SIGMA)


def test_quantiles_are_in_order_across_gaps(weights):
    narrow = np.full(3, 0.05)
    p = np.repeat(np.linspace(0.001, 0.999, 500)[:, None], 3, axis=1)
    u = basis.quantile(p, weights, narrow)
    assert (np.diff(u, axis=0) >= 0).all()
    np.testing.assert_allclose(basis.cdf(u, weights, narrow), p, atol=1e-9)


def test_samples_follow_the_distribution(weights):
    generator = torch.Generator().manual_seed(0)
    u = basis.sample(4000, weights, SIGMA, generator=generator)
    assert u.shape == (4000, 3)
    for d in range(3):
        w, s = weights[d : d + 1], SIGMA[d]
        test = kstest(u[:, d], lambda v, w=w, s=s: basis.cdf(v[:, None], w, s)[:, 0])
        assert test.pvalue > 1e-3
    again = basis.sample(4000, weights, SIGMA, generator=torch.Generator().manual_seed(0))
    np.testing.assert_array_equal(u, again)


def test_chunks_do_not_matter(weights, monkeypatch):
    u = np.random.default_rng(3).uniform(0, N, (50, 3))
    whole = basis.log_prob(u, weights, SIGMA)
    monkeypatch.setattr(
        "mixflow.basis.density.blocks", lambda n, size: [slice(i, i + 7) for i in range(0, n, 7)]
    )
    np.testing.assert_array_equal(basis.log_prob(u, weights, SIGMA), whole)


# The loss ------------------------------------------------------------------------------------


def test_the_loss_is_its_sum_over_cells_and_tails(weights):
    centres, target = np.arange(N) + 0.5, norm(12, 4)
    for d in range(3):
        borders = np.concatenate([[-np.inf], np.arange(N + 1), [np.inf]])
        mine = np.array([weights[d] @ norm.cdf(b, centres, SIGMA[d]) for b in borders])
        expected = np.abs(np.diff(target.cdf(borders)) - np.diff(mine)).sum()
        loss = basis.basis_loss(weights[d : d + 1], SIGMA[d], target.cdf(np.arange(N + 1.0))[None])
        assert loss[0] == pytest.approx(expected, abs=1e-13)


def test_the_loss_is_between_0_and_2(weights):
    own = basis.cell_masses(weights, SIGMA)[:, :-1].cumsum(1)
    np.testing.assert_allclose(basis.basis_loss(weights, SIGMA, own), 0, atol=1e-13)
    elsewhere = np.ones((3, N + 1))  # all of the target is below the grid
    np.testing.assert_allclose(basis.basis_loss(weights[:1], 0.01, elsewhere[:1]), 2, atol=1e-9)


def test_shapes_that_do_not_fit_are_errors(weights):
    with pytest.raises(ValueError, match="do not fit"):
        basis.basis_loss(weights, SIGMA, np.zeros((3, N)))


def test_arrays_that_must_not_be_written_are_copied(weights):
    weights.flags.writeable = False
    assert np.isfinite(basis.log_prob(np.zeros((1, 3)), weights, SIGMA)).all()
