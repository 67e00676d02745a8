"""VMoNF's core: the ELBO, its gap and the network's posterior, against sums written out."""

import math

import pytest
import torch
from torch import nn

from mixflow.flows import Glow, VectorFlow
from mixflow.mixtures import GenMM, VMoNF, base, functional

WEIGHTS = (0.5, 0.2, 0.3)


def network(n_features=2, k=3):
    return nn.Sequential(nn.Linear(n_features, 8), nn.Tanh(), nn.Linear(8, k))


@pytest.fixture
def model(perturb):
    torch.manual_seed(0)
    mixture = GenMM(VectorFlow(3, 2, n_layers=3, hidden_features=8)).double()
    mixture.initialize(torch.randn(3, 100, 2).double() + 2 * torch.randn(3, 1, 2).double())
    model = perturb(VMoNF(mixture, network().double()), 0.2)
    mixture.log_weights.copy_(torch.tensor(WEIGHTS, dtype=torch.double).log())
    return model.eval().requires_grad_(False)


@pytest.fixture
def x():
    return 2 * torch.randn(40, 2, generator=torch.Generator().manual_seed(3)).double()


def brute_force(model, x, temperature):
    """Return log p(x), the ELBO and KL(q || posterior) by sums over samples and components."""
    out = []
    for sample in x:
        logits = model.network(sample[None])[0] / temperature
        q = [math.exp(v) for v in logits.tolist()]
        q = [v / sum(q) for v in q]
        joint = []
        for k in range(3):
            part = model.mixture.select(torch.tensor([k]))
            joint.append(WEIGHTS[k] * math.exp(part.log_prob_each(sample[None, None]).item()))
        p = sum(joint)
        elbo = sum(a * (math.log(b) - math.log(a)) for a, b in zip(q, joint, strict=True))
        kl = sum(a * (math.log(a) - math.log(b / p)) for a, b in zip(q, joint, strict=True))
        out.append([math.log(p), elbo, kl])
    return torch.tensor(out, dtype=torch.double).T


@pytest.mark.parametrize("temperature", [1.0, 0.3, 4.0])
def test_elbo_and_gap_are_the_sums(model, x, temperature):
    model.temperature.fill_(temperature)
    log_p, elbo, kl = brute_force(model, x, temperature)
    torch.testing.assert_close(model.mixture.log_prob(x), log_p, rtol=0, atol=1e-10)
    torch.testing.assert_close(model.elbo(x), elbo, rtol=0, atol=1e-10)
    torch.testing.assert_close(model.gap(x), kl, rtol=0, atol=1e-10)


@pytest.mark.parametrize("temperature", [1.0, 0.02])
def test_the_elbo_is_a_bound_whose_gap_is_the_divergence(model, x, temperature):
    model.temperature.fill_(temperature)
    log_p, elbo = model.mixture.log_prob(x), model.elbo(x)
    gap = model.gap(x)
    assert (elbo <= log_p).all()
    assert (gap >= 0).all()
    assert gap.max() > 0.1
    torch.testing.assert_close(log_p - elbo, gap, rtol=1e-10, atol=1e-10)


def test_the_exact_posterior_closes_the_gap(model, x):
    class Exact(nn.Module):
        def forward(self, x):
            return model.mixture.log_joint(x) + 7.0  # logits are free up to a constant

    exact = VMoNF(model.mixture, Exact())
    torch.testing.assert_close(exact.elbo(x), model.mixture.log_prob(x), rtol=0, atol=1e-12)
    assert exact.gap(x).abs().max() < 1e-12
    torch.testing.assert_close(exact.log_q(x).exp(), model.mixture.posterior(x))


def test_the_temperature_divides_the_logits(model, x):
    torch.testing.assert_close(model.log_q(x).exp(), torch.softmax(model.network(x), 1))
    model.temperature.fill_(0.25)
    expected = torch.softmax(model.network(x) / 0.25, 1)
    torch.testing.assert_close(model.log_q(x).exp(), expected)
    model.temperature.fill_(1e-6)
    assert model.log_q(x).isfinite().all()


def test_density_integrates_to_one(model):
    grid = torch.linspace(-20, 20, 401).double()
    density = model.mixture.log_prob(torch.cartesian_prod(grid, grid)).exp()
    assert density.sum().item() * 0.1**2 == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("shape", [lambda n: (n, 4), lambda n: (n, 2), lambda n: (n,)])
def test_a_network_of_the_wrong_shape_is_named(model, x, shape):
    class Wrong(nn.Module):
        def forward(self, x):
            return x.new_zeros(shape(len(x)))

    wrong = VMoNF(model.mixture, Wrong())
    for method in (wrong.log_q, wrong.elbo, wrong.gap):
        with pytest.raises(ValueError, match=r"logits of shape \(40, 3\), got \(40"):
            method(x)


def test_chunks_change_nothing(model, x, monkeypatch):
    whole = model.elbo(x), model.gap(x)
    monkeypatch.setattr(base, "ROWS", 5)
    assert model.mixture.chunk == 1
    torch.testing.assert_close((model.elbo(x), model.gap(x)), whole, rtol=0, atol=1e-12)


def test_images(perturb):
    torch.manual_seed(0)
    mixture = GenMM(Glow(2, (1, 4, 4), n_levels=1, n_steps=1, hidden_features=4)).double()
    head = nn.Sequential(nn.Flatten(), nn.Linear(16, 2)).double()
    model = perturb(VMoNF(mixture, head)).eval()
    x = torch.randn(6, 1, 4, 4).double()
    torch.testing.assert_close(mixture.log_prob(x) - model.elbo(x), model.gap(x))
    assert model.n_components == 2


def test_every_parameter_gets_a_gradient(model, x):
    model.requires_grad_(True)
    model.elbo(x).mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_an_impossible_sample_has_no_nan(model):
    """Its density is 0 under every component; the posterior is then the prior."""
    x = torch.full((1, 2), 1e200, dtype=torch.double)
    assert model.elbo(x).item() == -math.inf
    assert not model.gap(x).isnan().any()


def test_divergence_is_scipys():
    from scipy.special import rel_entr

    rng = torch.Generator().manual_seed(0)
    p, q = (torch.softmax(3 * torch.randn(4, 5, 3, generator=rng).double(), -1) for _ in range(2))
    expected = torch.from_numpy(rel_entr(q.numpy(), p.numpy()).sum(-1))
    torch.testing.assert_close(functional.divergence(q.log(), p.log()), expected)


def test_divergence_counts_nothing_where_q_is_zero():
    log_q = torch.tensor([[0.0, -math.inf], [0.0, -200.0]])
    log_p = torch.tensor([[0.5, 0.5], [1.0, 0.0]]).log()
    expected = torch.tensor([math.log(2), 0.0])
    torch.testing.assert_close(functional.divergence(log_q, log_p), expected)
    assert functional.divergence(torch.zeros(1, 2) - math.log(2), log_p[1:]).item() == math.inf
