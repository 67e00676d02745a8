"""What every fit shares, on a small objective."""

import contextlib
import math
import signal
import threading

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from mixflow.flows import VectorFlow
from mixflow.mixtures import GenMM
from mixflow.training import (
    EM,
    EMSettings,
    Groups,
    LoopSettings,
    TrainingDiverged,
    fit,
    loop,
)
from mixflow.training.checkpoints import load_checkpoint
from mixflow.training.objective import Objective
from mixflow.training.resume import CHECKPOINT


class Toy(Objective):
    """Move a parameter to random targets; scores come from a list."""

    steps_per_epoch = 3

    def __init__(self, scores=None, break_at=None, broken=math.nan):
        self.module = nn.Linear(2, 1)
        with torch.no_grad():
            self.module.weight.fill_(1.0)
            self.module.bias.zero_()
        self.scores, self.break_at, self.broken = scores, break_at, broken
        self.count, self.finished = 0, 0

    def update(self, epoch, share):
        return {"share": share}

    def plan(self):
        self.targets = torch.randn(3, 2, generator=self.generator)

    def loss(self, step):
        self.count += 1
        if self.count - 1 == self.break_at:
            return self.module.weight.sum() * self.broken
        return (self.module(torch.ones(2)) - self.targets[step].sum()).square().sum()

    def validate(self):
        return None if self.scores is None else self.scores.pop(0)

    def finish(self):
        self.finished += 1
        return {"final": 1.0}


def test_history_has_a_row_per_epoch():
    toy = Toy()
    result = fit(toy, LoopSettings(max_epochs=4, schedule="constant"), lambda e: {"shown": e * 2.0})
    expected = ["epoch", "loss", "share", "learning_rate", "shown", "final"]
    assert list(result.history) == expected
    assert result.history["epoch"].tolist() == [0, 1, 2, 3]
    assert result.history["share"].tolist() == [0, 0.25, 0.5, 0.75]
    assert result.history["shown"].tolist() == [0, 2, 4, 6]
    assert np.isnan(result.history["final"]).tolist() == [True] * 3 + [False]
    assert (result.best_epoch, result.interrupted, result.resumed_from) == (None, False, None)
    assert toy.finished == 1


def test_the_schedule_reaches_the_optimiser():
    toy = Toy()
    settings = LoopSettings(max_epochs=2, learning_rate=0.5, schedule="cosine", warmup=2)
    history = fit(toy, settings).history
    assert toy.optimizer.param_groups[0]["lr"] == pytest.approx(0)
    assert history["learning_rate"].tolist() == pytest.approx([0.5, 0])


def test_the_seed_alone_decides():
    def weights(seed):
        toy = Toy()
        torch.manual_seed(0)
        toy.module.bias.data.zero_()
        fit(toy, LoopSettings(max_epochs=2, seed=seed))
        return toy.module.weight.tolist()

    assert weights(1) == weights(1)
    assert weights(1) != weights(2)


@pytest.mark.parametrize("break_at", [None, 4])
def test_the_global_generator_is_untouched(break_at):
    torch.manual_seed(7)
    toy, before = Toy(break_at=break_at), torch.get_rng_state()
    if break_at is None:
        fit(toy, LoopSettings(max_epochs=2))
    else:
        with pytest.raises(TrainingDiverged):
            fit(toy, LoopSettings(max_epochs=2))
    assert torch.equal(torch.get_rng_state(), before)


def test_early_stopping_restores_the_best_epoch():
    seen = []
    toy = Toy(scores=[0.0, 1.0, 3.0, 2.0, 2.5, 9.0])
    settings = LoopSettings(max_epochs=6, validate_every=1, patience=2)
    result = fit(toy, settings, lambda e: seen.append(toy.module.weight.tolist()) or {})
    assert result.best_epoch == 2
    assert len(result.history["epoch"]) == 5  # two misses
    assert toy.module.weight.tolist() == seen[2]
    assert result.history["validation_score"].tolist() == [0, 1, 3, 2, 2.5]
    assert toy.finished == 0


def test_patience_counts_validations_and_the_last_epoch_is_validated():
    toy = Toy(scores=[1.0, 0.0, 2.0])
    result = fit(toy, LoopSettings(max_epochs=5, validate_every=2, patience=2))
    assert np.flatnonzero(np.isfinite(result.history["validation_score"])).tolist() == [1, 3, 4]
    assert result.best_epoch == 4


def test_a_fit_stopped_early_follows_the_longer_schedule():
    long, short = Toy(), Toy()
    whole = fit(long, LoopSettings(max_epochs=6))
    part = fit(short, LoopSettings(max_epochs=6, stop=2))
    for name in ("loss", "learning_rate"):
        assert part.history[name].tolist() == whole.history[name][:2].tolist()
    assert "stop" not in LoopSettings().identity()  # checkpoints from before it came stay good
    assert LoopSettings(stop=2).identity()["stop"] == 2


def test_without_patience_every_epoch_runs():
    toy = Toy(scores=[1.0, 0.0, 0.0, 0.0])
    assert len(fit(toy, LoopSettings(max_epochs=4, validate_every=1)).history["epoch"]) == 4


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_divergence_names_the_place_and_leaves_the_last_good_checkpoint(tmp_path, value):
    settings = LoopSettings(max_epochs=3, checkpoint=tmp_path, checkpoint_seconds=0)
    with pytest.raises(TrainingDiverged, match=r"in epoch 1, step 1: lower the learning rate"):
        fit(Toy(break_at=4, broken=value), settings)
    checkpoint = load_checkpoint(tmp_path / CHECKPOINT)
    assert (checkpoint.record["epoch"], checkpoint.record["step"]) == (1, 1)
    assert checkpoint.part("module")["weight"].isfinite().all()
    assert fit(Toy(), settings).resumed_from == 1


class Explodes(Toy):
    """A finite loss of infinite gradient."""

    def loss(self, step):
        loss = super().loss(step)
        if self.count == 5:
            root = (self.module.weight - self.module.weight.detach()).sum()
            return loss + torch.sqrt(root)  # 0, with a slope of infinity
        return loss


def test_a_gradient_that_is_not_finite_spoils_no_checkpoint(tmp_path):
    settings = LoopSettings(max_epochs=3, checkpoint=tmp_path, checkpoint_seconds=0)
    with pytest.raises(TrainingDiverged, match="in epoch 1, step 2"):
        fit(Explodes(), settings)
    checkpoint = load_checkpoint(tmp_path / CHECKPOINT)
    assert checkpoint.record["step"] == 1
    assert all(t.isfinite().all() for t in checkpoint.part("module").values())


def test_parameters_that_break_in_the_last_step_are_noticed():
    toy = Explodes()
    toy.count = 2  # the third step of the only epoch
    with pytest.raises(TrainingDiverged, match="a parameter is NaN or infinite in epoch 0"):
        fit(toy, LoopSettings(max_epochs=1))


def test_an_e_step_of_nan_stops_the_fit():
    toy = Toy()
    toy.update = lambda epoch, share: {"log_likelihood": math.nan if epoch == 2 else 0.0}
    with pytest.raises(TrainingDiverged, match="in epoch 2, step 0"):
        fit(toy, LoopSettings(max_epochs=4))


@pytest.mark.parametrize("change", [{"seed": 1}, {"learning_rate": 0.1}, {"max_epochs": 9}])
def test_a_checkpoint_of_other_settings_is_refused(tmp_path, change):
    settings = {"max_epochs": 2, "checkpoint": tmp_path}
    fit(Toy(), LoopSettings(**settings))
    name = next(iter(change))
    with pytest.warns(UserWarning, match=f"ignoring the checkpoint .* with other {name};"):
        result = fit(Toy(), LoopSettings(**{**settings, **change}))
    assert result.resumed_from is None


def test_resume_may_be_declined(tmp_path):
    settings = {"max_epochs": 2, "checkpoint": tmp_path}
    fit(Toy(), LoopSettings(**settings))
    assert fit(Toy(), LoopSettings(**settings, resume=False)).resumed_from is None


def test_losses_not_looked_at_do_not_count(monkeypatch):
    """On a GPU most losses are not read; the mean is over those that are."""
    toy = Toy()
    toy.loss = lambda step: toy.module.weight.sum() * 0 + 5.0
    monkeypatch.setattr(loop, "CHECK_EVERY", 100)
    run = loop._Run(toy, LoopSettings(max_epochs=1), None, torch.device("cpu"))
    run.device = torch.device("cuda")
    assert run.run(threading.Event()).history["loss"].tolist() == [5.0]


def test_ctrl_c_leaves_a_usable_module_and_the_handler():
    before = signal.getsignal(signal.SIGINT)
    toy = Toy(scores=[1.0, 0.0, 0.0])
    seen = []

    def on_epoch(epoch):
        seen.append(toy.module.weight.tolist())
        if epoch == 1:
            signal.raise_signal(signal.SIGINT)
        return {}

    result = fit(toy, LoopSettings(max_epochs=3, validate_every=1), on_epoch)
    assert result.interrupted
    assert len(result.history["epoch"]) == 2
    assert toy.module.weight.tolist() == seen[0]  # the best
    assert signal.getsignal(signal.SIGINT) is before


def test_a_fit_goes_on_after_ctrl_c_as_if_there_had_been_none(tmp_path):
    """Also where the interrupted fit had gone back to its best epoch."""

    def run(folder, stop_at=None):
        torch.manual_seed(0)
        toy = Toy(scores=[1.0, 0.0, 0.5, 0.2])

        def on_epoch(epoch):
            if epoch == stop_at:
                signal.raise_signal(signal.SIGINT)
            return {"weight": toy.module.weight.sum().item()}

        settings = LoopSettings(max_epochs=4, validate_every=1, checkpoint=folder)
        return fit(toy, settings, on_epoch).history["weight"].tolist()

    assert len(run(tmp_path, stop_at=1)) == 2
    assert run(tmp_path) == run(None)


def test_a_second_ctrl_c_interrupts_at_once():
    def on_epoch(epoch):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        return {}

    with pytest.raises(KeyboardInterrupt):
        fit(Toy(), LoopSettings(max_epochs=3), on_epoch)


def test_a_fit_runs_outside_the_main_thread():
    results = []
    thread = threading.Thread(target=lambda: results.append(fit(Toy(), LoopSettings(max_epochs=1))))
    thread.start()
    thread.join()
    assert len(results[0].history["epoch"]) == 1


def test_values_of_a_callback_may_be_of_numpy(tmp_path):
    settings = LoopSettings(max_epochs=2, checkpoint=tmp_path)
    fit(Toy(), settings, lambda epoch: {"a": np.float32(0.5)})
    assert fit(Toy(), settings).history["a"].tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    "mode", [torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu", torch.bfloat16)]
)
def test_modes_of_the_caller_change_nothing(mode):
    def trained(mode):
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(40, 2, generator=generator)
        flow = VectorFlow(2, 2, n_layers=1, dropout=0.2, generator=generator)
        em = EM(GenMM(flow), x, Groups.single(40), None, EMSettings(noise=0.1, e_step_noise=0.1))
        em.start(generator)
        with mode():
            done = fit(em, LoopSettings(max_epochs=3))
        return em.mixture.state_dict(), pd.DataFrame(done.history)

    expected, found = trained(contextlib.nullcontext), trained(mode)
    assert all(torch.equal(expected[0][name], tensor) for name, tensor in found[0].items())
    assert expected[1].equals(found[1])
