"""A small fit by minibatches that kills its own process: as ``killed_fit.py``, for VI.

Each argument, METHOD,FOLDER,MOMENT,VALUE,SECONDS, runs in a process of its own.
"""

import os
import signal
import sys
from pathlib import Path

import torch
from torch import nn

from mixflow import files
from mixflow.flows import VectorFlow
from mixflow.mixtures import GenMM, VMoNF
from mixflow.training import (
    VI,
    LoopSettings,
    StochasticEM,
    StochasticEMSettings,
    VISettings,
    fit,
)

EPOCHS, STEPS, K = 6, 4, 2


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def objective(method):
    """Return a fit with all that draws, moves or runs: noise, dropout, labels, a temperature."""
    torch.manual_seed(0)
    x = torch.randn(50, 2) + 3 * (torch.arange(50) % 2)[:, None]
    labels = torch.full((50,), -1)
    labels[:10] = torch.arange(10) % 2
    r = torch.softmax(torch.randn(50, K), 1)
    held_out = torch.randn(20, 2)
    mixture = GenMM(VectorFlow(K, 2, n_layers=1, hidden_features=4, dropout=0.2))
    common = {"batch_size": 10, "max_epochs": EPOCHS, "noise": 0.1, "start_share": 0.3}
    common |= {"annihilation": 0.5}
    if method == "em":
        settings = StochasticEMSettings(**common)
        return StochasticEM(mixture, mixture, x, labels, r, settings, held_out)
    network = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Dropout(0.2), nn.Linear(5, K))
    settings = VISettings(**common, temperature=(2.0, 0.5), consistency=0.3)
    return VI(VMoNF(mixture, network), mixture, x, labels, r, settings, held_out)


def run(method, folder, moment="", value=0, seconds=0.0):
    """Fit; return the objective and the fit."""
    climbed = objective(method)
    climbed.initialize()
    assert climbed.steps_per_epoch == STEPS
    steps = 0
    loss = climbed.loss

    def counted(step):
        nonlocal steps
        steps += 1
        if moment == "step" and steps == value:
            kill()
        return loss(step)

    def on_epoch(epoch):
        if moment == "epoch" and epoch == value:
            kill()
        return {"weight": float(climbed.weights[0])}

    climbed.loss = counted
    if moment == "save":
        files.os.replace = lambda *paths: kill()  # the temporary file stays
    loop = LoopSettings(
        max_epochs=EPOCHS,
        seed=5,
        learning_rate=0.02,
        validate_every=1,
        clip_norm=1.0,
        warmup=3,
        checkpoint=None if folder is None else Path(folder),
        checkpoint_seconds=seconds,
    )
    return climbed, fit(climbed, loop, on_epoch)


if __name__ == "__main__":
    torch.optim.AdamW([torch.zeros(1, requires_grad=True)])  # slow imports, once for all
    for argument in sys.argv[1:]:
        method, folder, moment, value, seconds = argument.split(",")
        child = os.fork()
        if child == 0:
            run(method, folder, moment, int(value), float(seconds))
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
