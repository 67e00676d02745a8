"""A small fit that kills its own process: python killed_fit.py FOLDER,MOMENT,VALUE,SECONDS ...

Each argument runs in a process of its own, forked before torch computes anything.
"""

import os
import signal
import sys
from pathlib import Path

import torch

from mixflow import files
from mixflow.flows import VectorFlow
from mixflow.mixtures import GenMM
from mixflow.training import EM, EMSettings, Groups, LoopSettings, fit

EPOCHS, STEPS = 6, 4


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def run(folder, moment="", value=0, seconds=0.0):
    """Fit, with noise, dropout and validation; return the mixture and the fit."""
    torch.manual_seed(0)
    x = torch.randn(80, 2) + 3 * (torch.arange(80) % 2)[:, None]
    mixture = GenMM(VectorFlow(4, 2, n_layers=1, hidden_features=4, dropout=0.2))
    groups = Groups.by_label(torch.arange(80) // 40, 2)
    r = torch.softmax(torch.randn(2, 40, 2), 2)
    held_out = torch.randn(20, 2), Groups.by_label(torch.arange(20) % 2, 2)
    settings = EMSettings(em_every=2, batch_size=10, noise=0.1, m_step="sparse")
    em = EM(mixture, x, groups, r, settings, held_out)
    em.start()
    steps = 0
    loss = em.loss

    def counted(step):
        nonlocal steps
        steps += 1
        if moment == "step" and steps == value:
            kill()
        return loss(step)

    def on_epoch(epoch):
        if moment == "epoch" and epoch == value:
            kill()
        return {"shown": epoch + 0.5}

    em.loss = counted
    if moment == "save":
        files.os.replace = lambda *paths: kill()  # the temporary file stays
    loop = LoopSettings(
        max_epochs=EPOCHS,
        seed=5,
        validate_every=1,
        clip_norm=1.0,
        warmup=3,
        checkpoint=None if folder is None else Path(folder),
        checkpoint_seconds=seconds,
    )
    assert em.steps_per_epoch == STEPS
    return mixture, fit(em, loop, on_epoch)


if __name__ == "__main__":
    torch.optim.AdamW([torch.zeros(1, requires_grad=True)])  # slow imports, once for all
    for argument in sys.argv[1:]:
        folder, moment, value, seconds = argument.split(",")
        child = os.fork()
        if child == 0:
            run(folder, moment, int(value), float(seconds))
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
