"""LatMM: its density against SciPy's, its prior, what its components share."""

import numpy as np
import pytest
import torch
from scipy import stats

from mixflow.flows import Glow, Shared, VectorFlow
from mixflow.mixtures import LatMM
from mixflow.mixtures.latmm import Sources

K = 3
WEIGHTS = torch.tensor([0.5, 0.2, 0.3]).double()


@pytest.fixture
def build(perturb):
    def build(k=K, n_flows=1, **settings):
        torch.manual_seed(0)
        flow = VectorFlow(n_flows, 2, n_layers=2, hidden_features=6)
        mixture = perturb(LatMM(flow, k, **settings).double(), 0.3)
        if k == K:
            mixture.log_weights.copy_(WEIGHTS.log())
        return mixture.eval()

    return build


@pytest.fixture
def images(perturb):
    def build(**settings):
        torch.manual_seed(0)
        flow = Glow(1, (1, 8, 8), n_levels=2, n_steps=1, hidden_features=4)
        return perturb(LatMM(flow, 2, **settings).double(), 0.2)

    return build


def samples(n=20):
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(3)).double()


def flow_of(mixture):
    return next(part for part in mixture.modules() if isinstance(part, Shared)).bijection


def test_density_is_scipys_of_the_latents(build):
    mixture, x = build(), samples()
    h, log_det = (t[0].detach().numpy() for t in flow_of(mixture)(x[None]))
    mean = mixture.sources.mean.detach().numpy()
    sd = np.exp(-mixture.sources.log_precision.detach().numpy())
    expected = [
        stats.multivariate_normal(mean[k], np.diag(sd[k] ** 2)).logpdf(h) + log_det
        for k in range(K)
    ]
    joint = np.stack(expected, 1) + WEIGHTS.log().numpy()
    np.testing.assert_allclose(mixture.log_joint(x).detach(), joint, atol=1e-10)
    np.testing.assert_allclose(
        mixture.log_prob(x).detach(), np.logaddexp.reduce(joint, 1), atol=1e-10
    )


def test_density_integrates_to_one(build):
    grid = torch.linspace(-30, 30, 601).double()
    with torch.no_grad():
        density = build().log_prob(torch.cartesian_prod(grid, grid)).exp()
    assert density.sum().item() * 0.1**2 == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("per_position", [False, True])
def test_images_have_the_mixture_in_the_last_levels_latents(images, per_position):
    mixture = images(per_position=per_position)
    assert mixture.sources.mean.shape == ((2, 2, 2, 8) if per_position else (2, 1, 1, 8))
    x = torch.randn(5, 1, 8, 8).double()
    h, log_det = (t[0].detach() for t in flow_of(mixture)(x[None]))
    top, rest = h[:, :32].view(5, 2, 2, 8), h[:, 32:]
    for k in range(2):
        mean, precision = mixture.sources.mean[k], mixture.sources.log_precision[k].exp()
        normal = torch.distributions.Normal(mean.expand(2, 2, 8), 1 / precision)
        expected = normal.log_prob(top).flatten(1).sum(1) + log_det
        expected = expected + torch.distributions.Normal(0, 1).log_prob(rest).sum(1)
        torch.testing.assert_close(mixture.log_prob_components(x)[:, k], expected)


def test_sources_are_invertible_and_their_log_det_is_the_jacobians(perturb):
    sources = perturb(Sources(2, (10,), (2, 2, 2)).double(), 0.4)
    h = torch.randn(2, 3, 10).double()
    z, log_det = sources(h)
    back, back_log_det = sources.inverse(z)
    torch.testing.assert_close(back, h, rtol=0, atol=1e-12)
    torch.testing.assert_close(back_log_det, -log_det)
    for k in range(2):
        jacobian = torch.autograd.functional.jacobian(
            lambda v, k=k: sources(v.expand(2, 1, 10))[0][k, 0], h[k, 0]
        )
        torch.testing.assert_close(log_det[k, 0], torch.linalg.slogdet(jacobian).logabsdet)


@pytest.mark.parametrize("per_position", [False, True])
def test_sources_start_at_the_moments_of_their_samples(per_position):
    sources = Sources(2, (10,), (2, 2, 2), per_position=per_position).double()
    h = 3 * torch.randn(2, 400, 10).double() + torch.arange(10)
    h[1] -= 7
    sources.initialize(h)
    for k in range(2):
        top = h[k, :, :8].view(400, 2, 2, 2).numpy()
        axes = 0 if per_position else (0, 1, 2)
        np.testing.assert_allclose(sources.mean[k].detach().squeeze(), top.mean(axes))
        sd = sources.log_precision[k].detach().neg().exp().squeeze()
        np.testing.assert_allclose(sd, top.std(axes))


def test_a_constant_latent_gets_a_finite_scale():
    sources = Sources(1, (3,), (3,)).double()
    sources.initialize(torch.ones(1, 5, 3).double())
    assert sources.log_precision.exp().max().item() == pytest.approx(100)


def test_the_gamma_prior_is_scipys(build):
    mixture = build(precision_prior=("gamma", 2.5, 1.5))
    log_precision = mixture.sources.log_precision
    precision = log_precision.exp().detach().numpy()
    expected = stats.gamma(2.5, scale=1 / 1.5).logpdf(precision).sum()
    assert mixture.log_prior().item() == pytest.approx(expected)
    (gradient,) = torch.autograd.grad(mixture.log_prior(), log_precision)
    np.testing.assert_allclose(gradient, 1.5 - 1.5 * precision)


def test_the_l2_prior(build):
    mixture = build(precision_prior=("l2", 0.3))
    log_precision = mixture.sources.log_precision
    precision = log_precision.exp().detach()
    assert mixture.log_prior().item() == pytest.approx(-0.3 * precision.square().sum().item())
    (gradient,) = torch.autograd.grad(mixture.log_prior(), log_precision)
    torch.testing.assert_close(gradient, -0.6 * precision.square())


def test_no_prior(build):
    assert build(precision_prior=None).log_prior() == 0
    assert build().precision_prior == ("gamma", 2.0, 1.0)


@pytest.mark.parametrize(
    "prior",
    [("gamma", 2.0), ("gamma", 0, 1), ("l2", 1, 2), ("l2", -1.0), ("flat", 1.0), "gamma", ()],
)
def test_wrong_priors_are_named(prior):
    with pytest.raises(ValueError, match=r"precision_prior must be \('gamma', a, b\), \('l2'"):
        LatMM(VectorFlow(1, 2), 2, precision_prior=prior)


def test_the_flow_is_evaluated_once(build, monkeypatch):
    mixture, seen = build(), []
    flow = flow_of(mixture)
    run = flow._run
    monkeypatch.setattr(flow, "_run", lambda x, *rest: seen.append(x.shape[:2]) or run(x, *rest))
    mixture.log_joint(samples(7))
    assert seen == [(1, 7)]


def test_each_components_own_batch_is_scored_alike(build):
    mixture, x = build(), samples(K * 4).view(K, 4, 2)
    each = mixture.log_prob_each(x)
    for k in range(K):
        torch.testing.assert_close(each[k], mixture.log_prob_components(x[k])[:, k])


def test_samples_follow_the_density(build):
    """E[1/p(x)] over a box, on the samples in it, is the box's area."""
    mixture = build()
    torch.manual_seed(0)
    x, component = mixture.sample(40_000)
    share = torch.bincount(component, minlength=K) / 40_000
    torch.testing.assert_close(share.double(), WEIGHTS, rtol=0, atol=0.015)
    inside = (x.abs() < 1).all(1)
    area = (1 / mixture.log_prob(x[inside]).exp()).sum().item() / 40_000
    assert area == pytest.approx(4, rel=0.1)


def test_encode_and_decode_undo_each_other(build, images):
    for mixture, x in ((build(), samples()), (images(), torch.randn(6, 1, 8, 8).double())):
        component = torch.arange(len(x)) % 2
        z = mixture.encode(x, component)
        torch.testing.assert_close(mixture.decode(z, component), x, rtol=0, atol=1e-9)


def test_relabelling_leaves_the_density(build):
    mixture, x = build(), samples()
    other = mixture.select(torch.tensor([2, 0, 1]))
    torch.testing.assert_close(other.log_prob(x), mixture.log_prob(x))
    assert (other.n_flows, other.n_parts) == (1, 1)


def test_one_component_with_the_standard_source_is_the_flow(build):
    mixture, x = build(k=1), samples()
    with torch.no_grad():
        mixture.sources.mean.zero_()
        mixture.sources.log_precision.zero_()
    h, log_det = flow_of(mixture)(x[None])
    normal = torch.distributions.Normal(0, 1).log_prob(h).sum(2)
    torch.testing.assert_close(mixture.log_prob(x), (normal + log_det)[0])


def test_flows_with_sources_of_their_own(build):
    """GenMM with LatMM sources: two flows of two sources are two LatMMs."""
    mixture, x = build(k=4, n_flows=2), samples()
    assert (mixture.n_flows, mixture.n_parts, mixture.is_separable) == (2, 2, False)
    for first in (0, 2):
        alone = mixture.select(torch.tensor([first, first + 1]))
        assert alone.n_flows == 1
        expected = mixture.log_joint(x)[:, first : first + 2]
        torch.testing.assert_close(alone.log_joint(x), expected)


def test_every_parameter_gets_a_gradient(build):
    mixture = build()
    (-mixture.log_prob(samples()).mean() - mixture.log_prior()).backward()
    assert all(p.grad.abs().max() > 0 for p in mixture.parameters() if p.numel() > 1)


def test_wrong_input_is_named(build):
    with pytest.raises(ValueError, match=r"x must have shape \(N, 2\), got \(5, 3\)"):
        build().log_prob(torch.zeros(5, 3).double())
    with pytest.raises(ValueError, match="3 components cannot share 2 flows evenly"):
        LatMM(VectorFlow(2, 2), 3)
