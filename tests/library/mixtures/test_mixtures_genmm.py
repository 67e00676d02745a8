"""What every mixture must do, on GenMM."""

import math

import pytest
import torch

from mixflow.flows import ActNorm, Glow, VectorFlow
from mixflow.mixtures import GenMM, Mixture, base

WEIGHTS = (0.5, 0.2, 0.3)


@pytest.fixture
def build(perturb):
    def build(n_features=2, k=3, weights=WEIGHTS, **settings):
        torch.manual_seed(0)
        flow = VectorFlow(k, n_features, n_layers=3, hidden_features=8, **settings)
        mixture = GenMM(flow).double()
        centres = 2 * torch.randn(k, 1, n_features).double()
        mixture.initialize(torch.randn(k, 100, n_features).double() + centres)
        perturb(mixture, 0.2)
        if weights:
            mixture.log_weights.copy_(torch.tensor(weights).double().log())
        return mixture.eval()

    return build


def samples(n, n_features=2):
    return 2 * torch.randn(n, n_features, generator=torch.Generator().manual_seed(3)).double()


@pytest.mark.parametrize("mixing", ["rotation", "lu", "reverse"])
def test_density_integrates_to_one_in_1d(build, mixing):
    mixture = build(1, mixing=mixing)
    grid = torch.linspace(-60, 60, 12001).double()
    with torch.no_grad():
        density = mixture.log_prob(grid[:, None]).exp()
    assert torch.trapezoid(density, grid).item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("settings", [{}, {"mixing": "lu"}, {"scale": "sigmoid"}])
def test_density_integrates_to_one_in_2d(build, settings):
    mixture = build(2, **settings)
    grid = torch.linspace(-20, 20, 401).double()
    with torch.no_grad():
        density = mixture.log_prob(torch.cartesian_prod(grid, grid)).exp()
    assert density.sum().item() * 0.1**2 == pytest.approx(1, abs=1e-3)


def test_sum_over_components_by_hand(build):
    mixture, x = build(), samples(20)
    log_p = torch.stack(
        [mixture.select(torch.tensor([k])).log_prob_each(x[None])[0] for k in range(3)], 1
    )
    joint = log_p + torch.tensor(WEIGHTS).double().log()
    torch.testing.assert_close(mixture.log_prob_components(x), log_p)
    torch.testing.assert_close(mixture.log_joint(x), joint)
    torch.testing.assert_close(mixture.log_prob(x), joint.exp().sum(1).log())
    posterior = joint.exp() / joint.exp().sum(1, keepdim=True)
    torch.testing.assert_close(mixture.posterior(x), posterior)
    assert torch.equal(mixture.predict(x), posterior.argmax(1))


def test_one_component_is_its_flow(build):
    mixture, x = build(k=1, weights=None), samples(30)
    z, log_det = mixture.flow(x[None])
    normal = torch.distributions.Normal(0, 1).log_prob(z).sum(2)
    torch.testing.assert_close(mixture.log_prob(x), (normal + log_det)[0], rtol=0, atol=1e-12)
    assert (mixture.posterior(x) == 1).all()


@pytest.mark.parametrize("rows", [1, 10, 3 * 41])
def test_chunks_change_nothing(build, monkeypatch, rows):
    mixture, x = build(), samples(100)
    whole = mixture.log_joint(x)
    monkeypatch.setattr(base, "ROWS", rows)
    torch.testing.assert_close(mixture.log_joint(x), whole, rtol=0, atol=1e-12)


def test_relabelling_leaves_the_density(build):
    mixture, x = build(), samples(50)
    order = torch.tensor([2, 0, 1])
    other = mixture.select(order)
    torch.testing.assert_close(other.log_prob(x), mixture.log_prob(x), rtol=0, atol=1e-12)
    torch.testing.assert_close(other.posterior(x), mixture.posterior(x)[:, order])


def test_posterior_rows_sum_to_one(build):
    x = samples(200)
    for temperature in (0.1, 1.0, 2.0, 100.0):
        total = build().posterior(x, temperature).sum(1)
        torch.testing.assert_close(total, torch.ones(200).double())


def test_samples_are_grouped_and_as_frequent_as_weights(build):
    mixture = build()
    torch.manual_seed(0)
    x, component = mixture.sample(20_000)
    assert x.shape == (20_000, 2)
    assert x.dtype == torch.double
    assert component.shape == (20_000,)
    assert torch.equal(component, component.sort().values)
    share = torch.bincount(component, minlength=3) / 20_000
    torch.testing.assert_close(share, torch.tensor(WEIGHTS), rtol=0, atol=0.015)


def test_samples_follow_the_density(build):
    """E[1/p(x)] over a box, on the samples in it, is the box's area."""
    mixture = build()
    torch.manual_seed(0)
    x = mixture.sample(40_000)[0]
    inside = (x.abs() < 1).all(1)
    area = (1 / mixture.log_prob(x[inside]).exp()).sum() / 40_000
    assert area.item() == pytest.approx(4, rel=0.1)


def test_samples_are_their_components_own(build):
    mixture = build()
    torch.manual_seed(0)
    x, component = mixture.sample(300)
    z = mixture.encode(x, component)
    assert z.mean(0).abs().max() < 0.25
    assert (z.std(0) - 1).abs().max() < 0.15


def test_many_samples_are_decoded_in_parts(build, monkeypatch):
    mixture, sizes = build(), []
    torch.manual_seed(5)
    whole = mixture.sample_each(40)
    monkeypatch.setattr(base, "ROWS", 3 * 16)
    decode = mixture.decode_each
    monkeypatch.setattr(mixture, "decode_each", lambda z: sizes.append(z.shape[1]) or decode(z))
    torch.manual_seed(5)
    torch.testing.assert_close(mixture.sample_each(40), whole)
    assert sizes == [16, 16, 8]


def test_zero_weight_is_never_sampled(build):
    component = build(weights=(0.5, 0.0, 0.5)).sample(500)[1]
    assert set(component.tolist()) == {0, 2}


def test_encode_and_decode_undo_each_other(build):
    mixture, x = build(), samples(40)
    component = torch.randint(3, (40,), generator=torch.Generator().manual_seed(0))
    z = mixture.encode(x, component)
    torch.testing.assert_close(mixture.decode(z, component), x, rtol=0, atol=1e-10)
    for k in range(3):
        own = mixture.select(torch.tensor([k])).encode_each(x[None])[0]
        torch.testing.assert_close(z[component == k], own[component == k])


def test_pairs_are_entries_of_the_matrix(build):
    mixture, x = build(), samples(40)
    component = torch.arange(40) % 2  # one component without any
    expected = mixture.log_prob_components(x)[torch.arange(40), component]
    torch.testing.assert_close(mixture.log_prob_pairs(x, component), expected)


def test_select_copies_and_join_appends(build):
    mixture, x = build(), samples(10)
    two = mixture.select(torch.tensor([2, 0]))
    assert (two.n_components, two.flow.n_components) == (2, 2)
    joined = two.join(mixture.select(torch.tensor([1])))
    assert joined.n_components == 3
    torch.testing.assert_close(joined.log_joint(x), mixture.log_joint(x)[:, [2, 0, 1]])
    with torch.no_grad():
        for parameter in two.parameters():
            parameter.zero_()
    torch.testing.assert_close(joined.log_joint(x), mixture.log_joint(x)[:, [2, 0, 1]])


def test_select_may_repeat(build):
    x = samples(10)
    twice = build().select(torch.tensor([1, 1]))
    joint = twice.log_joint(x)
    torch.testing.assert_close(joint[:, 0], joint[:, 1])


def test_mixture_of_images(perturb):
    torch.manual_seed(0)
    flow = Glow(2, (1, 4, 4), n_levels=1, n_steps=1, hidden_features=4)
    mixture = perturb(GenMM(flow).double())
    x = torch.randn(6, 1, 4, 4).double()
    assert mixture.n_features == 16
    assert mixture.log_joint(x).shape == (6, 2)
    assert mixture.sample(5)[0].shape == (5, 1, 4, 4)
    component = torch.tensor([0, 1] * 3)
    back = mixture.decode(mixture.encode(x, component), component)
    torch.testing.assert_close(back, x, rtol=0, atol=1e-10)


def test_wrong_input_is_named(build):
    mixture = build()
    with pytest.raises(ValueError, match=r"x must have shape \(N, 2\), got \(5, 3\)"):
        mixture.log_prob(torch.zeros(5, 3).double())
    with pytest.raises(ValueError, match=r"component must have shape \(5,\), got \(4,\)"):
        mixture.encode(torch.zeros(5, 2).double(), torch.zeros(4, dtype=torch.int64))
    for outside in (3, -1):
        with pytest.raises(ValueError, match=r"component must lie in 0\.\.2"):
            mixture.encode(torch.zeros(1, 2).double(), torch.tensor([outside]))
    with pytest.raises(ValueError, match="latents must be vectors"):
        GenMM(ActNorm(2, (4, 4, 1)))
    with pytest.raises(NotImplementedError):
        Mixture(2, (3,)).log_prob(torch.zeros(4, 3))


def test_weights_start_uniform():
    mixture = GenMM(VectorFlow(4, 2))
    torch.testing.assert_close(mixture.log_weights, torch.full((4,), -math.log(4)))


def test_nothing_to_score_gives_nothing(build):
    assert build().log_joint(torch.zeros(0, 2).double()).shape == (0, 3)


def test_an_impossible_sample_has_the_prior_as_posterior(build):
    x = torch.full((1, 2), 1e200, dtype=torch.double)
    mixture = build()
    assert mixture.log_prob(x).item() == -math.inf
    torch.testing.assert_close(mixture.posterior(x)[0], torch.tensor(WEIGHTS).double())
