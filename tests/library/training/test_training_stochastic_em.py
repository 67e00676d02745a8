"""EM on every batch, and Fisher's identity: its gradient is that of log p(x)."""

import pytest
import torch

from mixflow.flows import Chain, Shared, VectorFlow
from mixflow.mixtures import GenMM
from mixflow.training import LoopSettings, StochasticEM, StochasticEMSettings, fit

K = 3
WEIGHTS = torch.tensor([0.5, 0.2, 0.3], dtype=torch.double)


@pytest.fixture
def build(perturb):
    def build(posterior="exact", *, trunk=False, labels=None, **settings):
        torch.manual_seed(0)
        flow = VectorFlow(K, 2, n_layers=2, hidden_features=5)
        if trunk:
            flow = Chain([Shared(VectorFlow(1, 2, n_layers=1, hidden_features=5), K), flow])
        mixture = perturb(GenMM(flow).double(), 0.3)
        mixture.log_weights.copy_(WEIGHTS.log())
        x = 1.5 * torch.randn(30, 2, generator=torch.Generator().manual_seed(1)).double()
        values = {"batch_size": 100, "start_share": 0.0, "learn_weights": False, **settings}
        objective = StochasticEM(
            *(mixture, mixture, x, labels, None),
            StochasticEMSettings(posterior=posterior, **values),
        )
        torch.manual_seed(2)
        objective.plan()
        return objective

    return build


def gradients(objective):
    parameters = [*objective.mixture.parameters()]
    return torch.autograd.grad(objective.loss(0), parameters)


def largest_difference(one, other):
    return max((a - b).abs().max().item() for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("trunk", [False, True])
@pytest.mark.parametrize("labelled", [False, True])
def test_fishers_identity(build, trunk, labelled):
    labels = (torch.arange(30) % 4 - 1) if labelled else None
    exact = gradients(build("exact", trunk=trunk, labels=labels))
    plain = gradients(build("gradient", trunk=trunk, labels=labels))
    assert all(g.abs().max() > 0 for g in exact)
    assert largest_difference(exact, plain) < 1e-12


@pytest.mark.parametrize("posterior", ["per_dimension", "hard"])
def test_other_posteriors_have_another_gradient(build, posterior):
    assert largest_difference(gradients(build(posterior)), gradients(build("gradient"))) > 1e-3


def naive_responsibilities(log_joint, posterior):
    r = torch.zeros_like(log_joint)
    for n, row in enumerate(log_joint):
        if posterior == "hard":
            r[n, row.argmax()] = 1.0
            continue
        temperature = {"exact": 1.0, "per_dimension": 2.0}[posterior]
        log_p = row - WEIGHTS.log()
        values = WEIGHTS * (log_p / temperature).exp()
        r[n] = values / values.sum()
    return r


@pytest.mark.parametrize("posterior", ["exact", "per_dimension", "hard"])
def test_it_climbs_q_under_the_batch_s_own_posteriors(build, posterior):
    em = build(posterior)
    log_joint = em.mixture.log_joint(em.x)
    r = naive_responsibilities(log_joint.detach(), posterior)
    expected = -(r * log_joint).sum(1).mean()
    torch.testing.assert_close(em.loss(0), expected)
    theirs = torch.autograd.grad(expected, [*em.mixture.parameters()])
    assert largest_difference(gradients(em), theirs) < 1e-12


def test_the_gradient_method_s_loss_is_minus_log_p(build):
    em = build("gradient")
    torch.testing.assert_close(em.loss(0), -em.mixture.log_prob(em.x).mean())


@pytest.mark.parametrize("posterior", ["exact", "per_dimension", "hard", "gradient"])
def test_weights_follow_the_responsibilities(build, posterior):
    em = build(posterior, learn_weights=True)
    kind = "exact" if posterior == "gradient" else posterior
    r = naive_responsibilities(em.mixture.log_joint(em.x).detach(), kind)
    em.loss(0)
    expected = 0.98 * WEIGHTS + 0.02 * r.mean(0)
    torch.testing.assert_close(em.mixture.log_weights.exp(), expected)


@pytest.mark.parametrize("posterior", ["exact", "gradient"])
def test_annihilation_penalises_the_mean_responsibility(build, posterior):
    em = build(posterior, annihilation=2.5)
    log_joint = em.mixture.log_joint(em.x)
    r = log_joint.exp() / log_joint.exp().sum(1, keepdim=True)
    mean = r.mean(0)
    expected = -em.mixture.log_prob(em.x).mean() - 2.5 * (mean * mean.log()).sum()
    theirs = torch.autograd.grad(expected, [*em.mixture.parameters()])
    assert largest_difference(gradients(em), theirs) < 1e-11


def test_labelled_samples_climb_their_own_component(build):
    y = torch.arange(30) % K
    em = build(labels=y, label_weight=0.5)
    own = em.mixture.log_joint(em.x)[torch.arange(30), y]
    torch.testing.assert_close(em.loss(0), -0.5 * own.mean())


def test_log_p_rises():
    torch.manual_seed(0)
    x = torch.randn(200, 2)
    x[:, 1] = x[:, 0].square() + 0.2 * x[:, 1]  # no Gaussian, which flows start as
    x[100:] += 5
    mixture = GenMM(VectorFlow(2, 2, n_layers=1, hidden_features=4))
    r = torch.eye(2)[torch.arange(200) // 100]
    settings = StochasticEMSettings(max_epochs=20, batch_size=50)
    em = StochasticEM(mixture, mixture, x, None, r, settings)
    em.initialize()
    before = mixture.log_prob(x).mean().item()
    fit(em, LoopSettings(max_epochs=20, learning_rate=1e-2))
    assert mixture.log_prob(x).mean().item() > before + 0.1
    torch.testing.assert_close(mixture.log_weights.exp().sum(), torch.tensor(1.0))
