"""Minibatches: who comes when, what counts how much, where a fit starts."""

import pytest
import torch
from torch import nn

from mixflow.flows import VectorFlow
from mixflow.mixtures import GenMM, VMoNF
from mixflow.training import VI, StochasticEM, StochasticEMSettings, VISettings

K = 3


def objective(n=50, labelled=(), responsibilities=None, *, labels=None, **settings):
    torch.manual_seed(0)
    mixture = GenMM(VectorFlow(K, 2, n_layers=1, hidden_features=4)).double()
    module = VMoNF(mixture, nn.Linear(2, K).double())
    x = torch.randn(n, 2).double()
    if labels is None and len(labelled):
        labels = torch.full((n,), -1)
        labels[torch.as_tensor(labelled)] = torch.arange(len(labelled)) % K
    values = {"batch_size": 8, "max_epochs": 4, "start_share": 0.0, **settings}
    return VI(module, mixture, x, labels, responsibilities, VISettings(**values))


def planned(vi, seed=1):
    torch.manual_seed(seed)
    vi.plan()
    return vi


def counts(batches, n):
    return torch.bincount(torch.cat([*batches]), minlength=n)


@pytest.mark.parametrize(("n", "steps"), [(50, 6), (5, 1), (8, 1), (52, 6), (47, 6), (3, 1)])
def test_every_unlabelled_sample_comes_once_an_epoch(n, steps):
    vi = planned(objective(n))
    assert vi.steps_per_epoch == len(vi.batches) == steps
    assert (counts(vi.batches, n) == 1).all()
    sizes = [len(rows) for rows in vi.batches]
    assert max(sizes) - min(sizes) <= 1
    assert all(len(rows) == 0 for rows in vi.labelled_batches)


def test_epochs_differ_and_the_seed_decides():
    vi = objective()
    first = torch.cat(planned(vi, 1).batches)
    assert not torch.equal(first, torch.cat(planned(vi, 2).batches))
    assert torch.equal(first, torch.cat(planned(vi, 1).batches))


@pytest.mark.parametrize("n_labelled", [1, 3, 7, 8, 9, 20])
def test_labelled_samples_join_every_step(n_labelled):
    n = 40 + n_labelled
    labelled = torch.arange(n_labelled) * 2
    vi = planned(objective(n, labelled))
    assert vi.steps_per_epoch == 5
    unlabelled = torch.ones(n, dtype=torch.bool)
    unlabelled[labelled] = False
    assert torch.equal(counts(vi.batches, n), unlabelled.long())
    assert [len(rows) for rows in vi.labelled_batches] == [min(8, n_labelled)] * 5
    drawn = counts(vi.labelled_batches, n)
    assert (drawn[unlabelled] == 0).all()
    assert drawn[labelled].max() - drawn[labelled].min() <= 1


def test_few_labels_come_whole_in_every_step():
    vi = planned(objective(43, [3, 10, 20]))
    assert all(sorted(rows.tolist()) == [3, 10, 20] for rows in vi.labelled_batches)


def test_labels_alone_come_once_an_epoch():
    vi = planned(objective(30, range(30)))
    assert vi.steps_per_epoch == 4
    assert all(len(rows) == 0 for rows in vi.batches)
    assert (counts(vi.labelled_batches, 30) == 1).all()
    assert all(vi.loss(step).isfinite() for step in range(4))


def test_one_unlabelled_sample_among_labels():
    vi = planned(objective(30, range(29)))
    assert vi.steps_per_epoch == 1
    assert vi.batches[0].tolist() == [29]
    assert len(vi.labelled_batches[0]) == 8
    assert vi.loss(0).isfinite()


def test_the_share_of_the_fit_counts_steps():
    vi = objective(50)
    shares = []
    for epoch in range(4):
        vi.update(epoch, epoch / 4)
        shares += [vi.share(step) for step in range(6)]
    torch.testing.assert_close(torch.tensor(shares), torch.arange(24) / 24)


def test_every_sample_counts_once_at_label_weight_one():
    """Full batches: the mean over all N of log p(x, y) or of the bound."""
    settings = {"batch_size": 100, "cross_entropy_weight": 0.0, "learn_weights": False}
    vi = planned(objective(20, range(6), **settings))
    joint, bound = vi.mixture.log_joint(vi.x), vi.module.elbo(vi.x)
    own = joint[torch.arange(6), vi.labels[:6]]
    expected = -(own.sum() + bound[6:].sum()) / 20
    torch.testing.assert_close(vi.loss(0), expected)


def test_the_mean_over_an_epoch_is_the_loss_of_the_data():
    vi = planned(objective(48, learn_weights=False))
    mean = torch.stack([vi.loss(step) for step in range(6)]).mean()
    torch.testing.assert_close(mean, -vi.module.elbo(vi.x).mean())


# Where it starts ------------------------------------------------------------------------------


def one_hot(n=60):
    return torch.eye(K).double()[torch.arange(n) * K // n]


def test_components_start_on_their_own_samples():
    """Whitened by the moments of what they own; a flow without couplings is then a Gaussian."""
    torch.manual_seed(0)
    mixture = GenMM(VectorFlow(K, 2, n_layers=0, reg_covar=1e-6)).double()
    x = torch.randn(600, 2).double() + 20 * (torch.arange(600) * K // 600)[:, None]
    em = StochasticEM(mixture, mixture, x, None, one_hot(600), StochasticEMSettings())
    torch.manual_seed(1)
    em.initialize()
    for k in range(K):
        own = x[200 * k : 200 * (k + 1)]
        normal = torch.distributions.MultivariateNormal(own.mean(0), torch.cov(own.T))
        log_prob = mixture.log_prob_components(own)[:, k]
        torch.testing.assert_close(log_prob, normal.log_prob(own), rtol=0, atol=0.1)


def test_weights_start_at_the_mean_responsibilities():
    r = one_hot()[:45]
    vi = objective(45, responsibilities=r)
    vi.initialize()
    expected = torch.tensor([20, 20, 5]).double() / 45
    torch.testing.assert_close(vi.weights, expected)
    torch.testing.assert_close(vi.mixture.log_weights.exp(), expected)
    uniform = objective(45, responsibilities=r, learn_weights=False)
    uniform.initialize()
    torch.testing.assert_close(uniform.mixture.log_weights.exp(), torch.full((K,), 1 / K).double())


def test_a_component_that_starts_with_nothing_sees_all_samples():
    r = one_hot()
    r[:, 1] += r[:, 2]
    r[:, 2] = 0.0
    vi = objective(60, responsibilities=r)
    vi.initialize()
    assert vi.mixture.log_prob(vi.x).isfinite().all()
    assert planned(vi).loss(0).isfinite()
    assert vi.mixture.log_weights.isfinite().all()


def test_without_a_start_all_see_all():
    vi = objective(60)
    vi.initialize()
    assert vi.mixture.log_prob_components(vi.x).mean(0).std() < 0.5
    torch.testing.assert_close(vi.weights, torch.full((K,), 1 / K).double())


def test_the_caller_keeps_its_responsibilities():
    r = one_hot()
    r[:, 1] += r[:, 2]
    r[:, 2] = 0.0
    before = r.clone()
    objective(60, responsibilities=r).initialize()
    assert torch.equal(r, before)


# Validation and checkpoints -------------------------------------------------------------------


def test_validation_is_the_mean_log_density():
    vi = objective()
    assert vi.validate() is None
    vi.validation = torch.randn(9, 2).double()
    assert vi.validate() == pytest.approx(vi.mixture.log_prob(vi.validation).mean().item())


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"labelled": [0, 1, 2]}, "data"),
        ({"n": 51}, "data"),
        ({"responsibilities": one_hot(50)}, "start"),
        ({"temperature": 0.5}, "temperature"),
        ({"noise": 0.1}, "noise"),
        ({"annihilation": 1.0}, "annihilation"),
        ({"cross_entropy_weight": 2.0}, "cross_entropy_weight"),
    ],
)
def test_another_fit_has_another_identity(change, name):
    one, other = objective().identity(), objective(**change).identity()
    assert {key for key in one if one[key] != other[key]} == {name}
    assert objective().identity() == one


def test_methods_do_not_take_up_each_others_checkpoints():
    vi = objective()
    em = StochasticEM(vi.mixture, vi.mixture, vi.x, None, None, StochasticEMSettings())
    assert em.identity()["method"] != vi.identity()["method"]
