"""The density of Gaussian mixtures, beside scipy's, and far from all data."""

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from mixflow.mixtures import gaussian
from mixflow.mixtures.gaussian import GaussianMixture


@pytest.fixture
def mixture():
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(4, 3, 3))
    covariances = factors @ factors.transpose(0, 2, 1) + 0.1 * np.eye(3)
    parameters = rng.dirichlet(np.ones(4)), 3 * rng.normal(size=(4, 3)), covariances
    return GaussianMixture(*(torch.from_numpy(p) for p in parameters))


def scipy_log_joint(mixture, x):
    parameters = (mixture.weights, mixture.means, mixture.covariances)
    parts = zip(*(p.numpy() for p in parameters), strict=True)
    return np.stack([np.log(w) + multivariate_normal(m, c).logpdf(x) for w, m, c in parts], 1)


def test_densities_are_scipys_whatever_the_chunks(mixture, monkeypatch):
    x = 3 * np.random.default_rng(1).normal(size=(50, 3))
    expected = scipy_log_joint(mixture, x)
    monkeypatch.setattr(gaussian, "VALUES", 7 * 12)
    points = torch.from_numpy(x)
    np.testing.assert_allclose(mixture.log_joint(points), expected, rtol=1e-12)
    np.testing.assert_allclose(mixture.log_prob(points), logsumexp(expected, 1), rtol=1e-12)
    responsibilities = np.exp(expected - logsumexp(expected, 1, keepdims=True))
    np.testing.assert_allclose(mixture.posterior(points), responsibilities, atol=1e-12)


def test_factors_whiten_their_components(mixture):
    factor = mixture.precisions_cholesky
    assert torch.equal(factor, factor.triu())
    white = factor.mT @ mixture.covariances @ factor
    torch.testing.assert_close(white, torch.eye(3).double().expand_as(white))


def test_a_rescaled_mixture_is_the_density_of_rescaled_samples(mixture):
    x = torch.from_numpy(np.random.default_rng(1).normal(size=(50, 3)))
    shift, scale = torch.tensor([5.0, -1e6, 0.0]).double(), torch.tensor([1e-3, 1e3, 2.0]).double()
    moved = mixture.rescaled(shift, scale).log_prob(shift + scale * x)
    torch.testing.assert_close(moved, mixture.log_prob(x) - scale.log().sum(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("size", [1e4, 1e150, 1e160, 1e308])
def test_far_out_densities_are_small_and_no_nan(mixture, size):
    signs = torch.tensor([[1.0, 1, 1], [1, -1, 0], [-1, 0, 1]]).double()
    x = size * signs
    log_prob = mixture.log_prob(x)
    assert (log_prob < -1e6).all()
    torch.testing.assert_close(mixture.posterior(x).sum(1), torch.ones(3).double())
