"""Fits on a GPU: steps replayed from one CUDA graph are the steps taken one by one."""

import pandas as pd
import pytest
import torch

from mixflow import VMoNF
from mixflow.flows import Glow, VectorFlow
from mixflow.mixtures import GenMM, LatMM
from mixflow.training import EM, EMSettings, Groups, LoopSettings, fit, steps

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
N, SHAPE = 60, (1, 8, 8)
BUILD = {"n_levels": 2, "n_steps": 1, "hidden_features": 8}


def make(kind=GenMM, k=3, **settings):
    torch.manual_seed(0)
    x = torch.randn(N, *SHAPE).cuda()
    mixture = LatMM(Glow(1, SHAPE, **BUILD), k) if kind is LatMM else GenMM(Glow(k, SHAPE, **BUILD))
    r = torch.softmax(2 * torch.randn(1, N, k), 2)
    settings = {"m_step": "sparse", "batch_size": 30, "em_every": 2} | settings
    em = EM(mixture.cuda(), x, Groups.single(N), r, EMSettings(**settings))
    em.start()
    return em


def fitted(em, epochs=6, **settings):
    done = fit(em, LoopSettings(max_epochs=epochs, clip_norm=100.0, warmup=2, **settings))
    return done, torch.cat([p.detach().flatten() for p in em.mixture.parameters()])


@pytest.mark.parametrize(
    ("kind", "settings", "optimizer"),
    [
        (GenMM, {}, "adamw"),
        (GenMM, {"m_step": "dense"}, "adamw"),
        (GenMM, {"batch_size": N}, "adamw"),
        (LatMM, {}, "adamw"),
        (GenMM, {}, "muon"),
    ],
)
def test_replayed_steps_are_those_taken_one_by_one(kind, settings, optimizer, monkeypatch):
    done, replayed = fitted(make(kind, **settings), optimizer=optimizer)
    monkeypatch.setattr(steps, "WARM_UP", 10**9)
    expected, eager = fitted(make(kind, **settings), optimizer=optimizer)
    torch.testing.assert_close(replayed, eager, rtol=1e-3, atol=1e-4)
    losses = done.history["loss"], expected.history["loss"]
    torch.testing.assert_close(*(torch.tensor(part.to_numpy()) for part in losses))


def test_every_replay_draws_noise_of_its_own(monkeypatch):
    em = make(noise=0.5)
    losses = []
    taken = steps.Steps.take

    def take(self, step):
        losses.append(taken(self, step).item())
        self.set_rate(0.0)
        return torch.tensor(losses[-1])

    monkeypatch.setattr(steps.Steps, "take", take)
    fitted(em, epochs=10, learning_rate=1e-12)
    assert len({round(loss, 3) for loss in losses}) > 0.8 * len(losses)


def test_a_fit_that_was_cut_ends_as_one_that_was_not(tmp_path):
    expected = fitted(make(noise=0.1))[1]
    how = {"checkpoint": tmp_path, "checkpoint_seconds": 0}
    em = make(noise=0.1)
    em.update = stop_at(em, 3)
    with pytest.raises(RuntimeError, match="cut"):
        fitted(em, **how)
    done, resumed = fitted(make(noise=0.1), **how)
    assert done.resumed_from == 3
    torch.testing.assert_close(resumed, expected, rtol=1e-3, atol=1e-4)


def test_a_fit_that_was_cut_at_its_end_ends_as_one_that_was_not(tmp_path):
    """The last E-step has noise: the resumed fit draws it from where the generator stood."""
    settings = {"noise": 0.1, "e_step_noise": 0.5}
    how = {"checkpoint": tmp_path}
    em = make(**settings)
    fitted(em, **how)
    again = make(**settings)
    assert fitted(again, **how)[0].resumed_from == 6
    assert torch.equal(again.responsibilities, em.responsibilities)


def dropped(dropout):
    """Return EM on vectors, whose flows drop hidden units while they train."""
    torch.manual_seed(0)
    x = torch.randn(N, 2).cuda()
    flow = VectorFlow(2, 2, n_layers=2, hidden_features=16, dropout=dropout).cuda()
    em = EM(GenMM(flow), x, Groups.single(N), None, EMSettings(batch_size=30, m_step="sparse"))
    em.start()
    return em


@pytest.mark.parametrize(("dropout", "n_losses"), [(0.0, 1), (0.5, 10)])
def test_every_replay_drops_other_units(dropout, n_losses):
    """Losses of one module on one batch: equal without dropout, all different with it."""
    em = dropped(dropout)
    with torch.no_grad():
        for parameter in em.mixture.parameters():
            parameter.add_(0.1)
    batch = em.x[:30].expand(2, -1, -1).clone()
    em.plan, em.batch = lambda: None, lambda step: (batch,)
    history = pd.DataFrame(fit(em, LoopSettings(max_epochs=10, learning_rate=1e-12)).history)
    assert history["loss"].round(4).nunique() == n_losses


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_the_global_generators_are_left_alone(dropout):
    em = dropped(dropout)
    states = torch.get_rng_state(), torch.cuda.get_rng_state()
    fit(em, LoopSettings(max_epochs=5))
    assert torch.equal(torch.get_rng_state(), states[0])
    assert torch.equal(torch.cuda.get_rng_state(), states[1])


def test_the_seed_alone_decides_an_estimators_fit():
    x = torch.randn(40, 1, 4, 4, generator=torch.Generator().manual_seed(0)).numpy()
    settings = {"image_shape": (1, 4, 4), "n_levels": 1, "n_layers": 1, "hidden_features": 4}
    settings |= {"noise": 0.1, "consistency": 0.5, "posterior_shift": 1, "posterior_dropout": 0.2}
    settings |= {"max_epochs": 3, "batch_size": 10, "random_state": 0, "device": "cuda"}
    first = VMoNF(2, **settings).fit(x)
    torch.cuda.manual_seed(9)
    before = torch.cuda.get_rng_state()
    second = VMoNF(2, **settings).fit(x)
    for model in (first, second):
        assert model.sample(5)[0].shape == (5, 1, 4, 4)
    assert torch.equal(torch.cuda.get_rng_state(), before)
    losses = (torch.tensor(model.history_["loss"]) for model in (first, second))
    torch.testing.assert_close(*losses, rtol=1e-4, atol=1e-4)


def stop_at(em, epoch):
    update = em.update

    def cut(now, share):
        if now == epoch:
            raise RuntimeError("cut")
        return update(now, share)

    return cut


def test_responsibilities_are_of_full_precision_in_mixed_training():
    torch.manual_seed(0)
    x = torch.randn(1, 20, *SHAPE).cuda()
    exact, mixed = (GenMM(Glow(1, SHAPE, **BUILD, mixed_precision=m)).cuda() for m in (False, True))
    mixed.load_state_dict(exact.state_dict())
    torch.testing.assert_close(mixed.eval().log_prob_each(x), exact.eval().log_prob_each(x))
    with torch.no_grad():
        for parameter in mixed.parameters():
            parameter.add_(0.05)
    assert (mixed.train().log_prob_each(x) != mixed.eval().log_prob_each(x)).any()
