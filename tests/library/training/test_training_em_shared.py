"""EM of mixtures whose components share parameters or have a prior."""

import pandas as pd
import pytest
import torch

from mixflow.flows import Chain, Shared, VectorFlow
from mixflow.mixtures import GenMM, LatMM
from mixflow.training import EM, EMSettings, Groups, LoopSettings, fit

N, D, K = 40, 2, 4


def data(n=N):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, D, generator=generator, dtype=torch.double)
    return x + 4 * (torch.arange(n) % 2)[:, None]


def flow(n_flows):
    return VectorFlow(n_flows, D, n_layers=1, hidden_features=5)


def mixture(kind, n_groups=1):
    torch.manual_seed(0)
    n = n_groups
    if kind == "LatMM":
        return LatMM(flow(n), n * K).double()
    if kind == "GenMM with LatMM sources":
        return LatMM(flow(2 * n), n * K, precision_prior=("l2", 0.1)).double()
    return GenMM(Chain([Shared(flow(n), n * K), flow(n * K)])).double()


KINDS = ["LatMM", "GenMM with LatMM sources", "common and individual"]
every_kind = pytest.mark.parametrize("kind", KINDS)


def make(kind, groups=None, **settings):
    x, groups = data(), groups or Groups.single(N)
    generator = torch.Generator().manual_seed(0)
    shape = groups.n_groups, groups.size, K
    r = torch.softmax(2 * torch.randn(shape, generator=generator, dtype=torch.double), 2)
    em = EM(mixture(kind, groups.n_groups), x, groups, r, EMSettings(**settings))
    em.start()
    return em


@every_kind
def test_the_bound_with_the_prior_never_falls(kind):
    em = make(kind, em_every=1)
    assert em.exact
    history = pd.DataFrame(
        fit(em, LoopSettings(max_epochs=30, learning_rate=5e-4, schedule="constant")).history
    )
    values = (history["lower_bound"] + history["log_prior"]).dropna()
    assert len(values) >= 29
    assert (values.diff().dropna() > -1e-12).all()
    assert values.iloc[-1] > values.iloc[0] + 1e-3


@every_kind
def test_the_exact_loss_per_part_is_minus_q_and_the_log_prior(kind, perturb):
    weight = torch.rand(N).double()
    em = make(kind, Groups.single(N, weight))
    perturb(em.mixture)
    log_prob = em.mixture.log_prob_components(em.x)
    q = (log_prob * em.responsibilities[0] * weight[:, None]).sum() / weight.sum()
    expected = -(q + em.mixture.log_prior()) * em.mixture.n_parts
    torch.testing.assert_close(em.loss(0), expected)


def gradient(em, draws):
    """Return the mean gradient of an epoch's steps over draws."""
    em.mixture.zero_grad()
    for _ in range(draws):
        em.plan()
        sum(em.loss(step) for step in range(em.steps_per_epoch)).backward()
    flat = torch.cat([p.grad.flatten() for p in em.mixture.parameters()])
    return flat / draws / em.steps_per_epoch


@pytest.mark.parametrize("m_step", ["dense", "sparse"])
@every_kind
def test_drawn_m_steps_follow_q_on_average(kind, m_step, perturb):
    torch.manual_seed(0)
    exact, drawn = make(kind), make(kind, m_step=m_step, batch_size=20)
    assert (exact.exact, drawn.exact, drawn.dense) == (True, False, m_step == "dense")
    for em in (exact, drawn):
        perturb(em.mixture)
        em.responsibilities[0, :, 1] *= 0.2  # unequal masses
        em.responsibilities /= em.responsibilities.sum(2, keepdim=True)
    expected = gradient(exact, 1)
    error = (gradient(drawn, 150) - expected).norm() / expected.norm()
    assert error < 0.12


@every_kind
def test_a_bank_of_groups_trains_as_each_alone(kind, perturb):
    groups = Groups.by_label(torch.tensor([0] * 15 + [1] * 25), 2)
    x, together = data(), perturb(mixture(kind, 2))
    r = torch.softmax(torch.randn(2, 25, K).double(), 2)
    settings = EMSettings(m_step="dense", em_every=2, min_mass=0)
    loop = LoopSettings(max_epochs=5, learning_rate=1e-2, clip_norm=0.5)
    alone = [together.select(torch.arange(K) + g * K) for g in range(2)]
    fit(EM(together, x, groups, r, settings), loop)
    for g, part in enumerate((x[:15], x[15:])):
        own = Groups.single(len(part))
        fit(EM(alone[g], part, own, r[g : g + 1, : len(part)], settings), loop)
        expected = together.select(torch.arange(K) + g * K).state_dict()
        for name, tensor in alone[g].state_dict().items():
            torch.testing.assert_close(tensor, expected[name], rtol=0, atol=1e-10, msg=name)


def test_one_flow_sees_every_sample_unless_told_otherwise():
    em = make("LatMM", batch_size=10)
    assert (em.dense, em.per_step, em.steps_per_epoch) == (True, 10, 4)
    assert not make("LatMM", batch_size=10, m_step="sparse").dense
    em = make("GenMM with LatMM sources", batch_size=10)
    assert (em.dense, em.per_step) == (False, 5)
    em.plan()
    assert em.draws.shape == (2, 20)


def dead(indices):
    em = make("GenMM with LatMM sources")
    with torch.no_grad():
        em.mixture.sources.mean[indices] = 1e4
    return em


def test_a_dead_source_is_restarted_from_its_own_flow():
    em = dead([0])
    assert em.e_step(1.0)["dead"] == 1
    sources = em.mixture.sources
    assert torch.equal(sources.mean[0], sources.mean[1])
    assert not torch.equal(sources.mean[0], sources.mean[2])
    assert em.responsibilities.sum(1).min() > 1


def test_a_dead_flow_is_restarted_as_a_copy_of_another():
    em = dead([2, 3])
    em.e_step(1.0)
    state = [p for p in em.mixture.parameters() if len(p) == 2]
    assert state
    assert all(torch.equal(p[0], p[1]) for p in state)
    assert em.e_step(1.0)["dead"] == 0
