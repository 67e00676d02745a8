"""Fits on a GPU: steps replayed from one CUDA graph are the steps taken one by one."""

import pytest
import torch

from mixflow.flows import Glow
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
