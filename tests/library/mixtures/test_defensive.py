"""Mixtures whose components have several densities."""

import pytest
import torch

from mixflow.flows import Shared
from mixflow.flows.marginals import Marginals
from mixflow.flows.whitening import Whitening
from mixflow.mixtures.defensive import DefensiveMixture
from mixflow.mixtures.functional import stacked_score, stacking_shares

K, D = 2, 3


def whitening(mean, sd):
    means = torch.full((K, D), mean).double()
    means[1] += 1.0
    return Whitening(means, torch.eye(D).double().expand(K, D, D) / sd)


@pytest.fixture
def mixture():
    shift, scale = torch.arange(3.0).double(), torch.tensor([1.0, 2.0, 0.5]).double()
    shares = torch.tensor([[0.7, 0.3], [0.4, 0.6]]).double()
    weights = torch.tensor([0.25, 0.75]).double()
    transform = Shared(Marginals(shift, scale), K)
    flows = [whitening(0.0, 1.0), whitening(-4.0, 0.1)]
    return DefensiveMixture(transform, flows, shares.log(), weights.log())


def by_hand(mixture, x):
    transform = mixture.transform.bijection
    z = (x - transform.shift[0]) / transform.scale[0]
    parts = []
    for flow in mixture.flows:
        factor = flow.factors.diagonal(dim1=1, dim2=2)[:, None]
        normal = torch.distributions.Normal(flow.means, 1 / factor)
        parts.append(normal.log_prob(z[None]).sum(2).exp())
    each = torch.stack(parts, 2) * mixture.log_shares.exp()[:, None]
    return (each.sum(2).T / transform.scale.prod()).log()


def test_densities_are_added_in_their_shares(mixture):
    x = 3 * torch.randn(40, D, generator=torch.Generator().manual_seed(0)).double()
    expected = by_hand(mixture, x)
    torch.testing.assert_close(mixture.log_prob_components(x), expected)
    torch.testing.assert_close(mixture.log_prob_each(x.expand(K, -1, -1)), expected.T)
    total = torch.logsumexp(expected + mixture.log_weights, 1)
    torch.testing.assert_close(mixture.log_prob(x), total)


def test_samples_come_from_the_densities_in_their_shares(mixture):
    x, component = mixture.sample(20_000, torch.Generator().manual_seed(0))
    transform = mixture.transform.bijection
    near = ((x - transform.shift[0]) / transform.scale[0]).mean(1) < -2
    for k, share in enumerate((0.3, 0.6)):
        assert float(near[component == k].double().mean()) == pytest.approx(share, abs=0.02)
    assert float((component == 1).double().mean()) == pytest.approx(0.75, abs=0.02)


def test_components_can_be_selected(mixture):
    x = torch.randn(5, D).double()
    chosen = mixture.select(torch.tensor([1]))
    expected = mixture.log_prob_components(x)[:, 1:]
    torch.testing.assert_close(chosen.log_prob_components(x), expected)


def test_far_out_is_no_nan(mixture):
    x = torch.full((1, D), 1e200, dtype=torch.double)
    assert not mixture.log_prob(x).isnan().any()


# Shares --------------------------------------------------------------------------------------


def test_shares_make_samples_likeliest():
    generator = torch.Generator().manual_seed(0)
    own = torch.rand(4000, generator=generator) < 0.3
    x = torch.randn(4000, generator=generator) + 3.0 * own
    normal = torch.distributions.Normal(torch.tensor([[0.0], [3.0], [50.0]]), 1.0)
    log_prob, weight = normal.log_prob(x).double(), torch.ones(4000).double()
    shares = stacking_shares(log_prob, weight)
    torch.testing.assert_close(shares[:2], torch.tensor([0.7, 0.3]).double(), atol=0.02, rtol=0)
    assert 0 < shares[2] < 1e-3
    for density in log_prob[:2]:
        assert stacked_score(log_prob, weight) > float(density.mean())


def test_shares_count_weights_as_repeated_samples():
    log_prob = torch.randn(2, 30, generator=torch.Generator().manual_seed(0)).double()
    count = torch.arange(30) % 3
    repeated = log_prob.repeat_interleave(count, 1)
    torch.testing.assert_close(
        stacking_shares(log_prob, count.double()),
        stacking_shares(repeated, torch.ones(repeated.shape[1]).double()),
    )
