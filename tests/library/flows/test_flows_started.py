"""Flows that start at Gaussians, and maps of every feature by itself."""

import numpy as np
import pytest
import torch
from scipy.stats import norm

from mixflow.flows.marginals import Marginals, normal_quantiles, through
from mixflow.flows.started import StartedSplines
from mixflow.flows.whitening import RATE, Whitening
from mixflow.mixtures.functional import standard_normal_log_prob
from mixflow.mixtures.gaussian import GaussianMixture


def mixture(k=3, d=4):
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(k, d, d, generator=generator).double()
    covariances = root @ root.mT + 0.1 * torch.eye(d)
    means = 3 * torch.randn(k, d, generator=generator).double()
    return GaussianMixture(torch.full((k,), 1 / k).double(), means, covariances)


def started(gaussians, **settings):
    generator = torch.Generator().manual_seed(1)
    return StartedSplines(gaussians.means, gaussians.precisions_cholesky, generator, **settings)


def bent(flow):
    """Give the networks weights of their own."""
    generator = torch.Generator().manual_seed(2)
    for name, parameter in flow.named_parameters():
        if "conditioner" in name:
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.data.add_(0.3 * noise.to(parameter))
    return flow.double().eval()


def log_prob(flow, x):
    z, log_det = flow.forward_groups(x[None])
    return (standard_normal_log_prob(z) + log_det).T


def points(n=50, d=4, size=3.0):
    return size * torch.randn(n, d, generator=torch.Generator().manual_seed(3)).double()


def test_a_flow_starts_at_its_gaussians():
    gaussians = mixture()
    x = points()
    expected = gaussians.log_prob_components(x)
    flow = started(gaussians).double().eval()
    torch.testing.assert_close(log_prob(flow, x), expected, rtol=1e-13, atol=1e-12)
    assert not torch.allclose(log_prob(bent(flow), x), expected, atol=0.1)


def test_far_out_a_flow_stays_its_gaussian():
    gaussians = mixture()
    signs = torch.tensor([[1.0, 1, 1, 1], [1, -1, 1, -1]]).double()
    flow = bent(started(gaussians))
    whitening = Whitening(gaussians.means, gaussians.precisions_cholesky)
    # Outside the box in every feature, in whitened units of every component.
    white = 1e4 * signs.expand(3, -1, -1)
    x = whitening.inverse(white)[0]
    z, log_det = flow(x)
    expected = standard_normal_log_prob(white) + whitening(x)[1]
    torch.testing.assert_close(standard_normal_log_prob(z) + log_det, expected, rtol=1e-9, atol=0)


def test_the_generator_alone_draws():
    before = torch.get_rng_state()
    first, second = started(mixture()), started(mixture())
    assert torch.equal(before, torch.get_rng_state())
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name])


def test_corrections_move_at_a_tenth_of_the_rate():
    gaussians = mixture()
    whitening = Whitening(gaussians.means, gaussians.precisions_cholesky)
    x = points()[None].expand(3, -1, -1)
    before = whitening(x)[0].detach()
    optimizer = torch.optim.Adam(whitening.parameters(), lr=0.01)
    whitening(x)[0].sum().backward()
    whitening.upper.grad = whitening.log_diagonal.grad = None
    optimizer.step()
    moved = (whitening(x)[0] - before).abs()
    torch.testing.assert_close(moved, torch.full_like(moved, RATE * 0.01), rtol=1e-4, atol=0)


# Marginals -----------------------------------------------------------------------------------


@pytest.fixture
def marginals():
    knots = torch.tensor([[-2.0, -1.0], [-0.5, 0.0], [1.0, 3.0]]).double()
    heights = torch.tensor([[-1.0, -2.0], [0.0, 0.5], [0.5, 1.0]]).double()
    slopes = torch.tensor([[1.0, 2.0], [0.5, 1.0], [30.0, 0.1]]).double()
    raw = through(knots, heights, slopes, 5.0)
    shift, scale = torch.tensor([10.0, -3.0]).double(), torch.tensor([2.0, 0.5]).double()
    return Marginals(shift, scale, raw, 5.0), knots, heights, slopes


def test_splines_go_through_their_knots(marginals):
    flow, knots, heights, slopes = marginals
    x = (flow.shift + flow.scale * knots).requires_grad_()
    z, log_det = flow(x)
    torch.testing.assert_close(z[0], heights, rtol=0, atol=1e-10)
    (gradient,) = torch.autograd.grad(z.sum(), x)
    torch.testing.assert_close(gradient[0] * flow.scale[0], slopes, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(log_det[0], gradient[0].log().sum(1))


def test_marginals_are_undone_and_the_identity_outside(marginals):
    flow = marginals[0]
    x = flow.shift[0] + flow.scale[0] * points(200, 2)
    z, log_det = flow(x[None])
    back, opposite = flow.inverse(z)
    torch.testing.assert_close(back[0], x)
    torch.testing.assert_close(opposite, -log_det)
    far = torch.tensor([[6.0, -1e6], [-5.5, 5.0]]).double()
    torch.testing.assert_close(flow(flow.shift + flow.scale * far)[0][0], far)


def test_quantiles_are_the_normals():
    p = np.array([1e-4, 0.2, 0.5, 0.999])
    np.testing.assert_allclose(normal_quantiles(torch.from_numpy(p)), norm.ppf(p), rtol=1e-8)
