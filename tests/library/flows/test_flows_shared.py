"""A trunk that components share: the same as applying it to each of them."""

import pytest
import torch

from mixflow.flows import Chain, Glow, Shared, VectorFlow
from mixflow.mixtures import GenMM

K = 3


@pytest.fixture
def trunk(perturb):
    torch.manual_seed(0)
    return perturb(VectorFlow(1, 2, n_layers=2, hidden_features=6).double(), 0.3)


@pytest.fixture
def shared(trunk):
    return Shared(trunk, K)


@pytest.fixture
def mixture(shared, perturb):
    own = perturb(VectorFlow(K, 2, n_layers=1, hidden_features=4).double(), 0.3)
    return GenMM(Chain([shared, own])).double()


def batch(n=7):
    return torch.randn(K, n, 2, generator=torch.Generator().manual_seed(1)).double()


@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_it_applies_the_trunk_to_each(shared, trunk, direction):
    x = batch()
    value, log_det = getattr(shared, direction)(x)
    for k in range(K):
        one, own = getattr(trunk, direction)(x[k : k + 1])
        torch.testing.assert_close(value[k], one[0], rtol=0, atol=1e-12)
        torch.testing.assert_close(log_det[k], own[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("mixing", ["rotation", "lu", "reverse"])
@pytest.mark.parametrize("n_layers", [0, 2])
@pytest.mark.parametrize("n_features", [1, 3])
def test_inverse_undoes_forward_and_log_det_is_the_jacobians(perturb, mixing, n_layers, n_features):
    torch.manual_seed(0)
    trunk = VectorFlow(1, n_features, n_layers=n_layers, hidden_features=4, mixing=mixing)
    shared = perturb(Shared(trunk.double(), K))
    x = torch.randn(K, 4, n_features).double()
    z, log_det = shared(x)
    back, back_log_det = shared.inverse(z)
    torch.testing.assert_close(back, x, rtol=0, atol=1e-10)
    torch.testing.assert_close(back_log_det, -log_det, rtol=0, atol=1e-10)

    def flat(values):
        return shared(torch.cat([x[:2], values.view(1, 1, -1).expand(1, 4, -1)]))[0][2, 0]

    jacobian = torch.autograd.functional.jacobian(flat, x[2, 1])
    expected = torch.linalg.slogdet(jacobian).logabsdet
    torch.testing.assert_close(log_det[2, 1], expected, rtol=0, atol=1e-8)


def test_batches_that_are_expanded_are_read_right(mixture):
    """A mixture hands one batch to all components without copying it."""
    x = batch()[0]
    each = mixture.log_prob_each(x.expand(K, *x.shape).contiguous())
    torch.testing.assert_close(mixture.log_prob_components(x), each.T)


def test_images(perturb):
    torch.manual_seed(0)
    trunk = perturb(Glow(1, (1, 4, 4), n_levels=1, n_steps=1, hidden_features=4).double())
    shared = Shared(trunk, 2)
    x = torch.randn(2, 3, 1, 4, 4).double()
    z, log_det = shared(x)
    assert z.shape == (2, 3, *trunk.latent_shape)
    torch.testing.assert_close(shared.inverse(z)[0], x, rtol=0, atol=1e-10)
    torch.testing.assert_close(log_det[1], trunk(x[1:])[1][0])


def test_it_is_initialised_on_the_samples_of_all(shared, trunk):
    """Whitening: the pooled output of a trunk without couplings has moments 0 and 1."""
    plain = Shared(VectorFlow(1, 2, n_layers=0, reg_covar=1e-9).double(), K)
    x = 5 * batch(200) + torch.arange(K)[:, None, None]
    z = plain.initialize(x)
    pooled = z.flatten(0, 1)
    torch.testing.assert_close(z, plain(x)[0])
    assert pooled.mean(0).abs().max() < 1e-8
    covariance = torch.cov(pooled.T, correction=0)
    torch.testing.assert_close(covariance, torch.eye(2).double(), rtol=0, atol=1e-6)
    assert z[0].mean(0).abs().max() > 0.1  # no component by itself


def test_gradients_reach_the_trunk_from_all(shared, trunk):
    x = batch()
    total = [torch.zeros_like(p) for p in trunk.parameters()]
    for k in range(K):
        z, log_det = trunk(x[k : k + 1])
        gradients = torch.autograd.grad(z.pow(3).sum() + log_det.sum(), [*trunk.parameters()])
        assert max(g.abs().max() for g in gradients) > 1e-3
        total = [t + g for t, g in zip(total, gradients, strict=True)]
    z, log_det = shared(x)
    gradients = torch.autograd.grad(z.pow(3).sum() + log_det.sum(), [*trunk.parameters()])
    torch.testing.assert_close(list(gradients), total)


def test_select_keeps_the_trunk(mixture):
    x = batch()[0]
    two = mixture.select(torch.tensor([2, 0]))
    assert two.n_components == 2
    assert two.log_weights.shape == (2,)
    torch.testing.assert_close(two.log_joint(x), mixture.log_joint(x)[:, [2, 0]])
    inner = next(part for part in two.modules() if isinstance(part, Shared))
    assert (inner.n_components, inner.bijection.n_components) == (2, 1)
    assert torch.equal(two.select(torch.tensor([1])).log_joint(x), two.log_joint(x)[:, 1:])
    assert two.sample_each(4).shape == (2, 4, 2)


def test_a_selected_trunk_is_a_copy(mixture):
    x = batch()[0]
    before = mixture.log_joint(x)
    copy = mixture.select(torch.arange(K))
    with torch.no_grad():
        for parameter in copy.parameters():
            parameter.zero_()
    torch.testing.assert_close(mixture.log_joint(x), before)


def test_select_of_a_single_component_bank(perturb):
    """K = 1: a trunk's tensors then have the length of a bank's, and still belong to no row."""
    torch.manual_seed(0)
    trunk = Shared(VectorFlow(1, 2, n_layers=1).double(), 1)
    mixture = perturb(GenMM(Chain([trunk, VectorFlow(1, 2, n_layers=1).double()])).double())
    x = batch()[0]
    twice = mixture.select(torch.tensor([0, 0])).log_prob_components(x)
    torch.testing.assert_close(twice, mixture.log_prob_components(x).expand(-1, 2))


@pytest.fixture
def pair(perturb):
    """Return a mixture of four components; two flows are shared by two each."""
    torch.manual_seed(1)
    trunks = Shared(VectorFlow(2, 2, n_layers=1, hidden_features=4).double(), 4)
    own = VectorFlow(4, 2, n_layers=1, hidden_features=4).double()
    return perturb(GenMM(Chain([trunks, own])).double(), 0.3)


def trunks_of(mixture):
    return next(part for part in mixture.modules() if isinstance(part, Shared))


def test_each_group_has_its_flow(pair):
    trunks, x = trunks_of(pair), torch.randn(4, 5, 2).double()
    for k in range(4):
        alone = pair.select(torch.tensor([k]))
        assert torch.equal(alone.log_prob_each(x[k : k + 1])[0], pair.log_prob_each(x)[k])
    z, log_det = trunks(x)
    back, back_log_det = trunks.inverse(z)
    torch.testing.assert_close(back, x, rtol=0, atol=1e-10)
    torch.testing.assert_close(back_log_det, -log_det, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("index", "n_trunks"),
    [([2, 3], 1), ([0, 2], 2), ([3, 0, 1], 3), ([0, 1, 2], 3), ([2, 3, 0, 1], 2), ([1] * 4, 1)],
)
def test_select_keeps_as_few_flows_as_it_can(pair, index, n_trunks):
    x = batch()[0]
    some = pair.select(torch.tensor(index))
    torch.testing.assert_close(some.log_joint(x), pair.log_joint(x)[:, index])
    assert trunks_of(some).bijection.n_components == n_trunks


def test_a_batch_for_each_group_is_the_same_as_repeated(pair):
    x = torch.randn(4, 5, 2).double()
    for rows in (1, 2, 4):
        each = pair.log_prob_each(x[:rows].repeat_interleave(4 // rows, 0))
        torch.testing.assert_close(pair.log_prob_groups(x[:rows]), each)
    trunk = trunks_of(pair)
    six = Shared(trunk.bijection, 6)
    z, log_det = six.forward_groups(x[:3])  # three groups, two flows
    expected = six(x[:3].repeat_interleave(2, 0))
    torch.testing.assert_close((z, log_det), expected)
    with pytest.raises(ValueError, match=r"\(G, N, 2\) with G a divisor of 4, got \(3, 5, 2\)"):
        pair.log_prob_groups(x[:3])


def test_what_is_shared_is_computed_once(pair, monkeypatch):
    seen, trunk = [], trunks_of(pair).bijection
    run = trunk._run
    monkeypatch.setattr(trunk, "_run", lambda x, *rest: seen.append(x.shape[:2]) or run(x, *rest))
    pair.log_prob_groups(torch.randn(1, 5, 2).double())
    assert seen == [(2, 5)]


def test_join_appends_flows_and_components(pair):
    x = batch()[0]
    both = pair.join(pair.select(torch.tensor([2, 3])))
    torch.testing.assert_close(both.log_joint(x), pair.log_joint(x)[:, [0, 1, 2, 3, 2, 3]])
    assert trunks_of(both).bijection.n_components == 3


def test_join_raises(mixture):
    plain = GenMM(VectorFlow(K, 2)).double()
    two = mixture.select(torch.tensor([0, 1]))
    for left, right in ((mixture, two), (mixture, plain), (plain, mixture)):
        with pytest.raises(ValueError, match="equally many components share a flow"):
            left.join(right)


def test_parts_share_nothing(mixture, pair):
    assert (mixture.n_parts, mixture.is_separable) == (1, False)
    assert (pair.n_parts, pair.is_separable) == (2, False)
    plain = GenMM(VectorFlow(K, 2))
    assert (plain.n_parts, plain.n_flows, plain.is_separable) == (K, K, True)


def test_uneven_sharing_is_an_error():
    with pytest.raises(ValueError, match="3 components cannot share 2 flows evenly"):
        Shared(VectorFlow(2, 2), 3)


def test_wrong_shapes_are_named(shared):
    with pytest.raises(ValueError, match=r"x must have shape \(3, N, 2\), got \(1, 5, 2\)"):
        shared(torch.zeros(1, 5, 2).double())
