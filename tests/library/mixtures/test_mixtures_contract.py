"""What every mixture must do, for a registry of constructors."""

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from mixflow.flows import Chain, Shared, VectorFlow
from mixflow.mixtures import GenMM, LatMM

COUNTS, SEEDS = st.integers(1, 4), st.integers(0, 2**31)


def flow(n_flows, n_features):
    return VectorFlow(n_flows, n_features, n_layers=1, hidden_features=5)


# Of K components on D features.
REGISTRY = {
    "GenMM": lambda k, d: GenMM(flow(k, d)),
    "GenMM on a trunk": lambda k, d: GenMM(Chain([Shared(flow(1, d), k), flow(k, d)])),
    "LatMM": lambda k, d: LatMM(flow(1, d), k),
    "LatMM without a prior": lambda k, d: LatMM(flow(1, d), k, precision_prior=None),
    "LatMM of K flows": lambda k, d: LatMM(flow(k, d), k),
}


@pytest.fixture(params=REGISTRY)
def build(request, perturb):
    """Return a function that makes a mixture in float64, neither its weights nor else at rest."""

    def build(k=3, d=2, seed=0):
        torch.manual_seed(seed)
        mixture = REGISTRY[request.param](k, d).double()
        mixture.initialize(torch.randn(k, 50, d).double() + 2 * torch.randn(k, 1, d).double())
        mixture.log_weights.copy_(torch.randn(k).double().log_softmax(0))
        return perturb(mixture, 0.2)

    return build


def samples(n, mixture, seed=3):
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(n, *mixture.event_shape, generator=generator, dtype=torch.double)


def close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-10)


@given(k=COUNTS, d=st.integers(1, 4), n=st.integers(0, 6), seed=SEEDS)
def test_all_follows_from_each_components_density(build, k, d, n, seed):
    mixture = build(k, d)
    x = samples(n, mixture, seed)
    each = mixture.log_prob_each(x.expand(k, -1, -1))
    joint = each.T + mixture.log_weights
    assert each.shape == (k, n)
    close(mixture.log_joint(x), joint)
    close(mixture.log_prob(x), joint.logsumexp(1))
    close(mixture.posterior(x), joint.softmax(1))
    close(mixture.posterior(x).sum(1), torch.ones(n).double())
    assert torch.equal(mixture.predict(x), joint.argmax(1))


@given(k=COUNTS, seed=SEEDS)
def test_components_score_batches_of_their_own(build, k, seed):
    mixture = build(k)
    x = samples(4 * k, mixture, seed).view(k, 4, 2)
    alone = [mixture.log_prob_components(x[i])[:, i] for i in range(k)]
    close(mixture.log_prob_each(x), torch.stack(alone))
    close(mixture.log_prob_groups(x[:1]), mixture.log_prob_components(x[0]).T)


@given(k=COUNTS, order=st.permutations(range(6)), seed=SEEDS)
def test_a_sample_is_scored_alike_wherever_it_stands(build, k, order, seed):
    mixture = build(k)
    x = samples(len(order), mixture, seed)
    close(mixture.log_joint(x[order]), mixture.log_joint(x)[order])


@given(order=COUNTS.flatmap(lambda k: st.permutations(range(k))), seed=SEEDS)
def test_relabelling_leaves_the_density(build, order, seed):
    mixture = build(len(order))
    x = samples(5, mixture, seed)
    other = mixture.select(torch.tensor(order))
    close(other.log_prob(x), mixture.log_prob(x))
    close(other.posterior(x), mixture.posterior(x)[:, order])


@given(k=COUNTS, data=st.data())
def test_chosen_components_score_as_they_did(build, k, data):
    mixture = build(k)
    x = samples(5, mixture)
    index = data.draw(st.lists(st.integers(0, k - 1), min_size=1, max_size=4))
    chosen = mixture.select(torch.tensor(index))
    assert chosen.n_components == len(index)
    close(chosen.log_joint(x), mixture.log_joint(x)[:, index])
    twice = chosen.join(chosen)
    close(twice.log_joint(x), torch.cat([chosen.log_joint(x)] * 2, dim=1))


@given(k=COUNTS, seed=SEEDS)
def test_a_saved_mixture_reads_as_it_was(build, k, seed):
    mixture, other = build(k), build(k, seed=1)
    x = samples(5, mixture, seed)
    state = {name: t.contiguous() for name, t in mixture.state_dict().items()}
    other.load_state_dict(safetensors.torch.load(safetensors.torch.save(state)))
    torch.testing.assert_close(other.log_joint(x), mixture.log_joint(x), rtol=0, atol=0)


@given(k=COUNTS, n=st.integers(1, 30), seed=SEEDS)
def test_the_generator_alone_decides_what_is_sampled(build, k, n, seed):
    mixture = build(k)
    state = torch.get_rng_state()
    drawn = [mixture.sample(n, torch.Generator().manual_seed(seed)) for _ in range(2)]
    assert torch.equal(torch.get_rng_state(), state)
    (x, component), (again, _) = drawn
    assert x.shape == (n, 2)
    assert component.shape == (n,)
    assert torch.equal(component, component.sort().values)
    assert torch.equal(x, again)


def test_density_integrates_to_one(build):
    grid = torch.linspace(-40, 40, 801).double()
    with torch.no_grad():
        density = build().log_prob(torch.cartesian_prod(grid, grid)).exp()
    assert density.sum().item() * 0.1**2 == pytest.approx(1, abs=1e-3)


def test_samples_follow_the_density(build):
    """E[1/p(x)] over a box, on the samples in it, is the box's area."""
    mixture = build()
    x = mixture.sample(40_000, torch.Generator().manual_seed(0))[0]
    inside = (x - x.mean(0)).abs().amax(1) < 1
    with torch.no_grad():
        area = (1 / mixture.log_prob(x[inside]).exp()).sum().item() / len(x)
    assert area == pytest.approx(4, rel=0.1)


def test_every_parameter_gets_a_gradient(build):
    mixture = build()
    (-mixture.log_prob(samples(40, mixture)).mean() - mixture.log_prior()).backward()
    for name, parameter in mixture.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


def test_other_shapes_are_named(build):
    with pytest.raises(ValueError, match=r"x must have shape \(N, 2\), got \(5, 3\)"):
        build().log_prob(torch.zeros(5, 3).double())
