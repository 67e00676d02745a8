"""VI: the loss and its gradient against an ELBO written out, term by term."""

import math

import pytest
import torch
from torch import nn

from mixflow.flows import VectorFlow
from mixflow.mixtures import GenMM, VMoNF
from mixflow.training import VI, LoopSettings, VISettings, fit

N, K, MAX_EPOCHS = 30, 3, 5
WEIGHTS = (0.5, 0.2, 0.3)


@pytest.fixture
def build(perturb):
    def build(labels=None, start=None, **settings):
        torch.manual_seed(0)
        mixture = GenMM(VectorFlow(K, 2, n_layers=2, hidden_features=5)).double()
        network = nn.Sequential(nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, K)).double()
        module = perturb(VMoNF(mixture, network), 0.3)
        mixture.log_weights.copy_(torch.tensor(WEIGHTS, dtype=torch.double).log())
        common = {"batch_size": 7, "max_epochs": MAX_EPOCHS, "start_share": 0.0}
        values = {**common, "learn_weights": False, **settings}
        x = 1.5 * torch.randn(N, 2, generator=torch.Generator().manual_seed(1)).double()
        vi = VI(module, mixture, x, labels, start, VISettings(**values))
        torch.manual_seed(2)
        vi.plan()
        return vi

    return build


def labels(n_labelled=9):
    y = torch.full((N,), -1)
    y[:n_labelled] = torch.arange(n_labelled) % K
    return y


def joint(vi, x):
    """Return log pi_k + log p_k(x) from the flows alone, with a graph: (n, K)."""
    z, log_det = vi.mixture.flow(x.expand(K, *x.shape))
    normal = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(2)
    return (normal + log_det).T + torch.tensor(WEIGHTS, dtype=torch.double).log()


def probabilities(vi, x, temperature=1.0):
    exponentials = (vi.module.network(x) / temperature).exp()
    return exponentials / exponentials.sum(1, keepdim=True)


def elbo(vi, x, temperature=1.0):
    """Return E_q log p(x|c) + E_q log p(c) + H(q), summed over the components: (n,)."""
    q, log_joint = probabilities(vi, x, temperature), joint(vi, x)
    return sum(q[:, k] * (log_joint[:, k] - q[:, k].log()) for k in range(K))


def assert_same_gradients(vi, loss, expected):
    names, parameters = zip(*vi.module.named_parameters(), strict=True)
    torch.testing.assert_close(loss, expected, rtol=1e-9, atol=1e-9)
    ours = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    theirs = torch.autograd.grad(expected, parameters, allow_unused=True)
    for name, one, other in zip(names, ours, theirs, strict=True):
        assert (one is None) == (other is None), name
        if one is not None:
            torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-9, msg=name)


def test_unlabelled_it_is_the_elbo(build):
    vi = build()
    expected = -elbo(vi, vi.x[vi.batches[1]]).mean()
    assert_same_gradients(vi, vi.loss(1), expected)


@pytest.mark.parametrize(
    ("label_weight", "cross_entropy_weight"), [(1.0, 1.0), (0.3, 1.0), (1.0, 4.0), (0.0, 0.0)]
)
def test_labelled_terms(build, label_weight, cross_entropy_weight):
    settings = {"label_weight": label_weight, "cross_entropy_weight": cross_entropy_weight}
    vi = build(labels(), **settings)
    free, known = vi.batches[2], vi.labelled_batches[2]
    x, y = vi.x[known], vi.labels[known]
    rows = torch.arange(len(known))
    log_p = joint(vi, x)[rows, y].sum() / len(known)
    log_q = probabilities(vi, x)[rows, y].log().sum() / len(known)
    expected = (
        -(21 / 30) * elbo(vi, vi.x[free]).mean()
        - label_weight * (9 / 30) * log_p
        - cross_entropy_weight * log_q
    )
    assert_same_gradients(vi, vi.loss(2), expected)


def test_the_network_learns_the_labels_rather_than_their_contrary(build):
    """The released code has the sign of the cross-entropy wrong."""
    y = (torch.arange(N) % K).long()
    vi = build(y, label_weight=0.0, batch_size=100)
    before = probabilities(vi, vi.x)[torch.arange(N), y].log().mean()
    optimizer = torch.optim.SGD(vi.module.parameters(), lr=0.1)
    vi.loss(0).backward()
    optimizer.step()
    assert probabilities(vi, vi.x)[torch.arange(N), y].log().mean() > before


def test_the_temperature_moves_with_every_step(build):
    vi = build(temperature=(4.0, 0.25))
    seen = []
    for epoch, step in ((0, 0), (0, 3), (2, 1), (4, 3)):
        vi.update(epoch, epoch / MAX_EPOCHS)
        share = (epoch * 4 + step) / (MAX_EPOCHS * 4)
        temperature = 4.0 * (0.25 / 4.0) ** share
        expected = -elbo(vi, vi.x[vi.batches[step]], temperature).mean()
        assert_same_gradients(vi, vi.loss(step), expected)
        seen.append(temperature)
    assert seen == sorted(seen, reverse=True)


def test_a_constant_temperature(build):
    vi = build(temperature=0.5)
    assert_same_gradients(vi, vi.loss(0), -elbo(vi, vi.x[vi.batches[0]], 0.5).mean())


def test_noise_is_drawn_anew_for_every_sample(build):
    vi = build(labels(), noise=0.2)
    free, known = vi.batches[0], vi.labelled_batches[0]
    torch.manual_seed(9)
    moved = vi.x[free] + 0.2 * torch.randn_like(vi.x[free])
    own = vi.x[known] + 0.2 * torch.randn_like(vi.x[known])
    y = vi.labels[known]
    rows = torch.arange(len(known))
    expected = (
        -(21 / 30) * elbo(vi, moved).mean()
        - (9 / 30) * joint(vi, own)[rows, y].mean()
        - probabilities(vi, own)[rows, y].log().mean()
    )
    torch.manual_seed(9)
    assert_same_gradients(vi, vi.loss(0), expected)
    assert vi.loss(0) != vi.loss(0)


def test_learned_weights_follow_the_mean_of_q(build):
    vi = build(temperature=0.5, learn_weights=True)
    q = probabilities(vi, vi.x[vi.batches[0]], 0.5).mean(0).detach()
    vi.loss(0)
    expected = 0.98 * torch.tensor(WEIGHTS, dtype=torch.double) + 0.02 * q
    torch.testing.assert_close(vi.weights, expected)
    torch.testing.assert_close(vi.mixture.log_weights.exp(), expected)


def test_weights_that_are_not_learned_stay(build):
    vi = build()
    before = vi.mixture.log_weights.clone()
    vi.loss(0)
    assert torch.equal(vi.mixture.log_weights, before)


def test_annihilation_penalises_the_entropy_of_the_mean(build):
    vi = build(annihilation=1.7)
    x = vi.x[vi.batches[0]]
    mean = probabilities(vi, x).mean(0)
    expected = -elbo(vi, x).mean() - 1.7 * (mean * mean.log()).sum()
    assert_same_gradients(vi, vi.loss(0), expected)


def test_annihilation_empties_components(build):
    """The penalty alone: after a few steps the mean of q is less spread."""

    def entropy(vi):
        mean = probabilities(vi, vi.x).mean(0)
        return -(mean * mean.log()).sum().item()

    vi = build(annihilation=1000.0, batch_size=100)
    optimizer = torch.optim.SGD(vi.module.network.parameters(), lr=5e-4)
    seen = [entropy(vi)]
    for _ in range(20):
        optimizer.zero_grad()
        vi.loss(0).backward()
        optimizer.step()
        seen.append(entropy(vi))
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] < 0.8 * seen[0]


def test_it_starts_from_the_responsibilities_and_then_climbs_the_elbo(build):
    r = torch.softmax(torch.randn(N, K, generator=torch.Generator().manual_seed(5)).double(), 1)
    vi = build(labels(), r, start_share=0.25, smoothing=0.2, annihilation=3.0)
    n_start = 0
    for epoch in range(MAX_EPOCHS):
        vi.update(epoch, epoch / MAX_EPOCHS)
        for step in range(vi.steps_per_epoch):
            free, known = vi.batches[step], vi.labelled_batches[step]
            x, rows = vi.x[free], torch.arange(len(known))
            y, own = vi.labels[known], vi.x[known]
            labelled = (
                -(9 / 30) * joint(vi, own)[rows, y].mean()
                - probabilities(vi, own)[rows, y].log().mean()
            )
            if (epoch * 3 + step) / 15 < 0.25:
                n_start += 1
                target = 0.8 * r[free] + 0.2 / K
                taught = -(target * probabilities(vi, x).log()).sum(1).mean()
                unlabelled = -(r[free] * joint(vi, x)).sum(1).mean() + taught
            else:
                mean = probabilities(vi, x).mean(0)
                unlabelled = -elbo(vi, x).mean() - 3.0 * (mean * mean.log()).sum()
            assert_same_gradients(vi, vi.loss(step), 21 / 30 * unlabelled + labelled)
    assert n_start == 4
    assert vi.steps_per_epoch == 3


def test_weights_stay_while_it_starts(build):
    r = torch.full((N, K), 1 / K).double()
    vi = build(None, r, start_share=0.5, learn_weights=True)
    before = vi.mixture.log_weights.clone()
    vi.loss(0)
    assert torch.equal(vi.mixture.log_weights, before)


@pytest.mark.parametrize("annihilation", [0.0, 2.0])
@pytest.mark.parametrize("dtype", [torch.float, torch.double])
def test_gradients_are_finite_where_q_underflows(build, dtype, annihilation):
    vi = build(annihilation=annihilation, temperature=0.01, learn_weights=True)
    vi.module.to(dtype)
    vi.x, vi.weights = vi.x.to(dtype), vi.weights.to(dtype)
    with torch.no_grad():
        vi.module.network[-1].bias.copy_(torch.tensor([1e3, 0.0, -1e3]))
    vi.module.temperature.fill_(0.01)
    q = vi.module.log_q(vi.x).exp()
    assert (q[:, 1:] == 0).all()
    vi.loss(0).backward()
    for name, parameter in vi.module.named_parameters():
        assert parameter.grad.isfinite().all(), name
    assert vi.mixture.log_weights.isfinite().all()


def test_consistency_vanishes_without_noise_and_teaches_the_network_alone(build):
    still = build(consistency=5.0, consistency_noise=0.0)
    plain = build()
    torch.testing.assert_close(still.loss(0), plain.loss(0))
    moved = build(consistency=5.0, consistency_noise=0.5)
    assert moved.loss(0) > plain.loss(0)
    extra = moved.loss(0)
    flows = [*moved.mixture.parameters()]
    ours = torch.autograd.grad(extra, flows)
    theirs = torch.autograd.grad(build().loss(0), [*plain.mixture.parameters()], allow_unused=True)
    assert all(g.isfinite().all() for g in ours)
    assert len(theirs) == len(ours)


def test_consistency_compares_at_one_temperature(build):
    """x' equal to x costs nothing, whatever the temperature."""
    still = build(consistency=5.0, consistency_noise=0.0, temperature=0.5)
    torch.testing.assert_close(still.loss(0), build(temperature=0.5).loss(0))


def test_a_fit_closes_the_gap_and_raises_the_density():
    """Two blobs: q ends near the exact posterior, and log p near that of the truth."""
    torch.manual_seed(0)
    side = torch.arange(400) % 2
    x = 0.5 * torch.randn(400, 2) + 4.0 * (side[:, None] - 0.5)
    mixture = GenMM(VectorFlow(2, 2, n_layers=1, hidden_features=4))
    module = VMoNF(mixture, nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2)))
    r = torch.eye(2)[side]
    vi = VI(module, mixture, x, None, r, VISettings(batch_size=100, max_epochs=40))
    vi.initialize()
    fit(vi, LoopSettings(max_epochs=40, learning_rate=1e-2))
    entropy = math.log(2) + math.log(2 * math.pi * math.e * 0.25)  # of the true density
    with torch.no_grad():
        assert module.gap(x).mean() < 0.05
        assert mixture.log_prob(x).mean().item() == pytest.approx(-entropy, abs=0.15)
