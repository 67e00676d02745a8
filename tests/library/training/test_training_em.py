"""EM: what its steps are, and what they may not do."""

import subprocess
import sys
from dataclasses import replace

import pandas as pd
import pytest
import torch

from mixflow.flows import VectorFlow
from mixflow.mixtures import GenMM
from mixflow.training import EM, EMSettings, Groups, LoopSettings, fit
from mixflow.training.checkpoints import load_checkpoint
from mixflow.training.resume import CHECKPOINT

N, D = 40, 2


def data(n=N, seed=0):
    """Return two clusters, alternating."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, D, generator=generator, dtype=torch.double)
    return x + 4 * (torch.arange(n) % 2)[:, None]


def bank(k, n_layers=1, **settings):
    torch.manual_seed(0)
    return GenMM(VectorFlow(k, D, n_layers=n_layers, hidden_features=5, **settings)).double()


def start(groups, k, seed=0):
    generator = torch.Generator().manual_seed(seed)
    r = torch.randn(groups.n_groups, groups.size, k, generator=generator, dtype=torch.double)
    return torch.softmax(2 * r, 2)


def make(k=3, groups=None, x=None, **settings):
    x = data() if x is None else x
    groups = groups or Groups.single(len(x))
    mixture = bank(k * groups.n_groups)
    em = EM(mixture, x, groups, start(groups, k), EMSettings(**settings))
    em.start()
    return em


def test_e_step_is_bayes_rule(perturb):
    em = make()
    perturb(em.mixture)
    log_joint = em.mixture.log_joint(em.x).detach()
    record = em.e_step(1.0)
    torch.testing.assert_close(em.responsibilities[0], log_joint.softmax(1))
    torch.testing.assert_close(em.mixture.log_weights.exp(), log_joint.softmax(1).mean(0))
    log_p = log_joint.logsumexp(1).mean().item()
    assert record["log_likelihood"] == pytest.approx(log_p)
    assert record["lower_bound"] == pytest.approx(log_p)
    assert record["largest_responsibility"] == pytest.approx(
        log_joint.softmax(1).amax(1).mean().item()
    )
    assert (record["temperature"], record["dead"]) == (1.0, 0.0)


def test_tempered_e_step(perturb):
    em = make(temperature="per_dimension")
    perturb(em.mixture)
    log_prob = em.mixture.log_prob_components(em.x).detach()
    expected = (log_prob / D + em.mixture.log_weights).softmax(1)
    record = em.update(5, 0.5)
    assert record["temperature"] == D
    torch.testing.assert_close(em.responsibilities[0], expected)
    assert record["lower_bound"] < record["log_likelihood"]


def test_groups_see_their_own_samples_and_components(perturb):
    x = data()
    groups = Groups.by_label((torch.arange(N) > 24).long(), 2, torch.rand(N).double() + 0.5)
    em = make(2, groups, x, min_mass=0)
    perturb(em.mixture)
    em.mixture.log_weights.copy_(torch.tensor([0.1, 0.2, 0.3, 0.4]).double().log())
    prior = em.mixture.log_weights.exp().view(2, 2).sum(1)
    alone = [em.mixture.select(torch.tensor([2 * g, 2 * g + 1])) for g in range(2)]
    record = em.e_step(1.0)
    total = 0.0
    for g, rows in enumerate((x[:25], x[25:])):
        weight = groups.weight[g, : len(rows)]
        joint = alone[g].log_joint(rows).detach() - prior[g].log()
        torch.testing.assert_close(em.responsibilities[g, : len(rows)], joint.softmax(1))
        assert (em.responsibilities[g, len(rows) :] == 0).all()
        pi = (joint.softmax(1) * weight[:, None]).sum(0) / weight.sum()
        torch.testing.assert_close(em.mixture.log_weights.view(2, 2)[g].exp(), pi * prior[g])
        total += (joint.logsumexp(1) * weight).sum().item()
    assert record["log_likelihood"] == pytest.approx(total / groups.weight.sum().item())


def test_chunks_change_nothing(monkeypatch, perturb):
    first, second = make(), make()
    for em in (first, second):
        perturb(em.mixture)
    first.e_step(1.0)
    monkeypatch.setattr("mixflow.mixtures.base.ROWS", 3 * 7)
    second.e_step(1.0)
    torch.testing.assert_close(first.responsibilities, second.responsibilities)


@pytest.mark.parametrize("start_at", ["posterior", "random"])
def test_the_likelihood_never_falls(start_at):
    """T = 1, full batch, exact M-step, small steps: the property that EM is about."""
    em = make(em_every=1, m_step="dense")
    if start_at == "posterior":
        em.fresh = False
    assert em.exact
    history = pd.DataFrame(
        fit(em, LoopSettings(max_epochs=60, learning_rate=3e-4, schedule="constant")).history
    )
    values = history["log_likelihood"].dropna()
    assert len(values) >= 60 - (start_at == "random")
    assert (values.diff().dropna() > -1e-12).all()
    assert values.iloc[-1] > values.iloc[0] + 1e-3
    torch.testing.assert_close(
        torch.tensor(history["lower_bound"].to_numpy()),
        torch.tensor(history["log_likelihood"].to_numpy()),
        equal_nan=True,
    )


def test_full_batches_are_exact_and_larger_data_sparse():
    assert make(batch_size=N).exact
    assert not make(batch_size=N - 1).dense
    assert make(batch_size=N - 1, m_step="dense").dense
    assert not make(batch_size=N, m_step="sparse").exact
    em = make(4, batch_size=10)
    assert (em.steps_per_epoch, em.per_step) == (5, 2)


@pytest.mark.parametrize(("k", "batch_size"), [(2, 6), (3, 9), (3, 7), (5, 100), (7, 21), (40, 3)])
def test_a_sparse_epoch_draws_about_as_many_samples_as_there_are(k, batch_size):
    em = make(k, m_step="sparse", batch_size=batch_size)
    drawn = em.steps_per_epoch * em.per_step * k
    assert abs(drawn - N) <= em.per_step * k / 2
    assert abs(em.per_step * k - min(N, batch_size)) <= max(k / 2, k - batch_size)


def gradients(em, draws):
    """Return each component's mean gradient over draws, flat."""
    total = 0
    for _ in range(draws):
        em.plan()
        em.mixture.zero_grad()
        sum(em.loss(step) for step in range(em.steps_per_epoch)).backward()
        rows = [p.grad.flatten(1) for p in em.mixture.parameters()]
        total = total + torch.cat(rows, 1) / em.steps_per_epoch
    return total / draws


@pytest.mark.parametrize("m_step", ["dense", "sparse"])
def test_drawn_m_steps_follow_q_on_average(m_step, perturb):
    """Dense: the gradient of Q. Sparse: the same, each component scaled to its own mass."""
    torch.manual_seed(0)
    exact, drawn = make(m_step="dense"), make(m_step=m_step, batch_size=10)
    for em in (exact, drawn):
        perturb(em.mixture)
    assert exact.exact
    expected = gradients(exact, 1)
    if m_step == "sparse":
        mass = exact.responsibilities[0].sum(0)
        expected = expected * (N / 3 / mass)[:, None]
    actual = gradients(drawn, 400)
    error = (actual - expected).norm(dim=1) / expected.norm(dim=1)
    assert error.max() < 0.06


def test_the_exact_loss_is_minus_q(perturb):
    weight = torch.rand(N).double()
    em = make(groups=Groups.single(N, weight))
    perturb(em.mixture)
    log_prob = em.mixture.log_prob_components(em.x)
    q = (log_prob * em.responsibilities[0] * weight[:, None]).sum() / weight.sum()
    torch.testing.assert_close(em.loss(0), -3 * q)


def test_noise_is_in_m_steps_only():
    em, clean = make(noise=0.5), make()
    assert em.loss(0) != em.loss(0)
    assert clean.loss(0) == clean.loss(0)
    assert em.e_step(1.0) == clean.e_step(1.0)


def test_noise_of_e_steps_is_one_draw_for_all_components(perturb):
    em = make(e_step_noise=0.5)
    perturb(em.mixture)
    torch.manual_seed(1)
    em.e_step(1.0)
    torch.manual_seed(1)
    noisy = em.x + 0.5 * torch.randn_like(em.x)
    log_prob = em.mixture.log_prob_components(noisy).detach()
    expected = (log_prob - log_prob.logsumexp(1, keepdim=True)).exp()  # weights were uniform
    weights = torch.exp(make().mixture.log_weights)
    expected = (expected * weights) / (expected * weights).sum(1, keepdim=True)
    torch.testing.assert_close(em.responsibilities[0], expected)


def test_start_whitens_what_a_component_owns():
    x = data(400)
    r = torch.eye(2).double()[torch.arange(400) % 2][None]
    em = EM(bank(2), x, Groups.single(400), r, EMSettings())
    em.start()
    assert (em.mixture.posterior(x).argmax(1) == torch.arange(400) % 2).double().mean() > 0.95
    for k in range(2):
        z = em.mixture.encode_each(x[k::2].expand(2, -1, -1))[k]
        assert z.mean(0).abs().max() < 1e-3
    assert em.mixture.log_weights.exp().tolist() == pytest.approx([0.5, 0.5])


def make_with_a_dead_component(**settings):
    em = make(3, **settings)
    with torch.no_grad():
        em.mixture.flow.bijections[0].bias[1] = 1e4
    return em


def test_a_dead_component_is_restarted_as_half_of_the_largest():
    em = make_with_a_dead_component()
    assert em.e_step(1.0)["dead"] == 1
    largest = 0 if torch.equal(*rows(em.mixture, 0, 1)) else 2
    assert torch.equal(*rows(em.mixture, largest, 1))
    r = em.responsibilities[0]
    torch.testing.assert_close(r.sum(1), torch.ones(N).double())
    assert (r[:, 1] * r[:, largest] == 0).all()  # two halves
    assert r.sum(0).min() > 1
    torch.testing.assert_close(em.mixture.log_weights.softmax(0), r.mean(0))
    assert em.e_step(1.0)["dead"] == 0


def test_a_restart_divides_by_the_main_direction_where_features_are_many_and_most_constant():
    torch.manual_seed(0)
    main = torch.randn(40).sign()
    x = torch.zeros(40, 1024)
    x[:, 500:510] = 3 * main[:, None] + torch.randn(40, 10)
    mixture = GenMM(VectorFlow(2, 1024, n_layers=2, hidden_features=4))
    owned = torch.tensor([1.0, 0.0]).expand(1, 40, 2)
    em = EM(mixture, x, Groups.single(40), owned, EMSettings())
    em._restart(0, 1, 0)
    side = em.responsibilities[0].argmax(1) == em.responsibilities[0, 0].argmax()
    assert torch.equal(side, main == main[0])


def test_a_restart_leaves_the_prior_of_its_group_alone():
    em = make_with_a_dead_component()
    em.e_step(1.0)
    assert em.mixture.log_weights.exp().sum().item() == pytest.approx(1)


def rows(mixture, i, j):
    flat = torch.cat([p.detach().flatten(1) for p in mixture.parameters()], 1)
    return flat[i], flat[j]


def test_a_restart_takes_the_moments_along():
    em = make_with_a_dead_component(em_every=1, min_mass=1.0)
    em.fresh = True
    history = pd.DataFrame(fit(em, LoopSettings(max_epochs=3, learning_rate=1e-4)).history)
    assert history["dead"].iloc[1] == 1
    assert history["dead"].iloc[2] == 0
    for slot in em.optimizer.state.values():
        assert slot["exp_avg"].isfinite().all()


def test_dead_components_may_be_reported_only():
    em = make_with_a_dead_component(restart_dead=False)
    with pytest.warns(UserWarning, match="1 components own less than 1 samples"):
        assert em.e_step(1.0)["dead"] == 1
    assert em.responsibilities[0, :, 1].sum() < 1


@pytest.mark.parametrize("clip_norm", [None, 0.5])
def test_a_bank_of_groups_trains_as_each_alone(clip_norm, perturb):
    """Groups of unequal size: the padding changes nothing either."""
    x = data(60)
    groups = Groups.by_label(torch.tensor([0] * 10 + [1] * 20 + [2] * 30), 3)
    r = start(groups, 2)
    together = perturb(bank(6))
    settings = EMSettings(m_step="dense", em_every=2, min_mass=0)
    loop = LoopSettings(max_epochs=7, learning_rate=1e-2, clip_norm=clip_norm, weight_decay=0.1)
    alone = [together.select(torch.tensor([2 * g, 2 * g + 1])) for g in range(3)]
    fit(EM(together, x, groups, r, settings), loop)
    for g, part in enumerate((x[:10], x[10:30], x[30:])):
        own = Groups.single(len(part))
        fit(EM(alone[g], part, own, r[g : g + 1, : len(part)], settings), loop)
        expected = together.select(torch.tensor([2 * g, 2 * g + 1])).state_dict()
        for name, tensor in alone[g].state_dict().items():
            torch.testing.assert_close(tensor, expected[name], rtol=0, atol=1e-10, msg=name)


def test_the_prior_of_a_group_is_left_alone():
    groups = Groups.by_label(torch.arange(N) % 2, 2)
    em = make(2, groups)
    em.mixture.log_weights.copy_(torch.tensor([0.2, 0.1, 0.6, 0.1]).double().log())
    fit(em, LoopSettings(max_epochs=3))
    prior = em.mixture.log_weights.exp().view(2, 2).sum(1)
    assert prior.tolist() == pytest.approx([0.3, 0.7])


def test_validation_scores_the_held_out_samples():
    em = make()
    held_out = data(20, seed=5)
    em.validation = held_out, Groups.single(20).to(held_out.device, held_out.dtype)
    expected = em.mixture.log_prob(held_out).mean().item()
    assert em.validate() == pytest.approx(expected)
    scores = em.group_log_likelihoods()
    assert scores.tolist() == pytest.approx([em.mixture.log_prob(em.x).mean().item()])


def test_the_history_has_what_em_measures():
    columns = set(fit(make(em_every=2), LoopSettings(max_epochs=3)).history)
    expected = {"epoch", "loss", "learning_rate", "log_likelihood", "lower_bound"}
    assert columns == expected | {"largest_responsibility", "temperature", "dead"}


def test_no_start_begins_with_an_e_step():
    em = EM(bank(2), data(), Groups.single(N), None, EMSettings(em_every=5))
    history = pd.DataFrame(fit(em, LoopSettings(max_epochs=2)).history)
    assert history["log_likelihood"].notna().all()  # at the start and the end


LOOP = LoopSettings(max_epochs=2, seed=1)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"x": data(seed=9)}, "data"),
        ({"groups": Groups.by_label(torch.arange(N) % 2, 2)}, "data, n_components"),
        ({"groups": Groups.single(N, torch.arange(N) + 1.0)}, "data"),
        ({"k": 2}, "architecture, n_components"),
        ({"em_every": 3}, "em_every"),
        ({"temperature": (4.0, 1.0)}, "temperature"),
        ({"noise": 0.1}, "noise"),
        ({"scale": "exp"}, "architecture"),
        ({"dropout": 0.1}, "architecture"),
        ({"start": 8}, "start"),
    ],
)
def test_a_checkpoint_of_another_fit_is_refused(tmp_path, change, named):
    loop = replace(LOOP, checkpoint=tmp_path)
    fit(make(), loop)
    fresh = {n: v for n, v in change.items() if n in ("scale", "dropout", "start")}

    def other():
        em = make(**{n: v for n, v in change.items() if n not in fresh})
        if "start" in fresh:
            em.responsibilities = start(em.groups, 3, fresh["start"])
        elif fresh:
            em.mixture.flow = VectorFlow(3, D, n_layers=1, hidden_features=5, **fresh).double()
        return em

    actual, expected = other(), other()
    with pytest.warns(UserWarning, match=f"with other .*{named}.*starts anew"):
        result = fit(actual, loop)
    assert result.resumed_from is None
    fit(expected, LOOP)
    for name, tensor in expected.mixture.state_dict().items():
        assert torch.equal(tensor, actual.mixture.state_dict()[name])


def test_the_same_fit_goes_on_and_differs_in_nothing_named(tmp_path):
    loop = replace(LOOP, checkpoint=tmp_path)
    fit(make(), loop)
    record = load_checkpoint(tmp_path / CHECKPOINT).record
    named = {"architecture", "data", "start", "n_components", "temperature", "seed"}
    assert named <= record["identity"].keys()
    assert fit(make(), loop).resumed_from == 2


E_STEP = """
import re, resource, sys, torch
from mixflow.flows import VectorFlow
from mixflow.mixtures import GenMM
from mixflow.training import EM, EMSettings, Groups
x = torch.randn(20_000, 8)
mixture = GenMM(VectorFlow(20, 8, n_layers=1, hidden_features=128))
em = EM(mixture, x, Groups.single(20_000), None, EMSettings())
def peak():
    if sys.platform == "linux":  # where a process inherits its parent's ru_maxrss
        return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
before = peak()
em.e_step(1.0)
print(peak() - before)
"""


def test_the_e_step_of_many_components_stays_small():
    """All at once, one layer's activations would be 20 x 20,000 x 128 floats: 205 MB."""
    command = [sys.executable, "-c", E_STEP]
    grown = int(subprocess.run(command, check=True, capture_output=True).stdout)
    assert grown < 150_000  # kB
