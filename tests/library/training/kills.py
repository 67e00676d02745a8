"""Kill fits at random times, resume them till they are done: python -m tests.library.training.kills

Every fit runs in a process of its own, forked before torch computes anything, and must end with
the bits of one that was not killed, and leave nothing but its checkpoint.
"""

import argparse
import dataclasses
import hashlib
import os
import random
import select
import signal
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from mixflow import GenMM, MixtureClassifier, VMoNF
from mixflow.flows import Glow, VectorFlow
from mixflow.mixtures import GenMM as GenMMCore
from mixflow.training import (
    EM,
    EMSettings,
    Groups,
    LoopSettings,
    StochasticEM,
    StochasticEMSettings,
    fit,
)
from mixflow.training.resume import CHECKPOINT

SMALL = {"n_layers": 2, "hidden_features": 6, "batch_size": 20, "random_state": 3, "dropout": 0.1}


def digest(state, history, *arrays):
    """Return a digest of a fitted module's state, of the fit's history, and of more arrays."""
    sha = hashlib.sha256(pd.DataFrame(history).to_csv().encode())
    for name, tensor in sorted(state.items()):
        sha.update(name.encode() + tensor.numpy().tobytes())
    for array in arrays:
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()


# The kinds: (folder, epochs, seconds between checkpoints) -> digest ---------------------------


def often(kind, seconds):
    """Return an estimator's class that writes checkpoints so often."""

    class Often(kind):
        def _loop_settings(self, seed, validate_every):
            settings = super()._loop_settings(seed, validate_every)
            return dataclasses.replace(settings, checkpoint_seconds=seconds)

    return Often


def blobs(n):
    rng = np.random.default_rng(0)
    y = np.arange(n) % 3
    return rng.normal(size=(n, 2)) + 3 * np.stack([y == 1, y == 2], 1), y


def _estimator(kind, folder, epochs, seconds, *data, **settings):
    model = often(kind, seconds)(**{**SMALL, **settings}, max_epochs=epochs, checkpoint=folder)
    model.fit(*data)
    return digest(model._module().state_dict(), model.history_, model.score_samples(data[0]))


def vectors(folder, epochs, seconds, **settings):
    """EM with noise, and more components than there are blobs: some die, and start again."""
    settings = {"n_components": 8, "noise": 0.1, "em_every": 2, "m_step": "sparse", **settings}
    settings = {"posterior_temperature": 0.5, **settings}
    return _estimator(GenMM, folder, epochs, seconds, blobs(60)[0], **settings)


def stopped_early(folder, epochs, seconds):
    """EM that loses its patience, and returns to its best epoch."""
    settings = {"early_stopping": True, "patience": 2, "em_every": 1, "learning_rate": 0.1}
    return vectors(folder, 3 * epochs, seconds, **settings)


def images(folder, epochs, seconds):
    """EM on images with noise, in the last E-step too."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(30, 1, 8, 8, generator=generator)
    flow = Glow(2, (1, 8, 8), n_levels=1, n_steps=1, hidden_features=4, generator=generator)
    mixture = GenMMCore(flow)
    how = EMSettings(batch_size=12, em_every=2, noise=0.1, e_step_noise=0.1, m_step="sparse")
    em = EM(mixture, x, Groups.single(30), None, how)
    em.start(generator)
    done = fit(em, _loop(folder, epochs, seconds))
    return digest(mixture.state_dict(), done.history, em.responsibilities)


def vi(folder, epochs, seconds):
    """VI on images, few of them with labels, and all that draws: shifts, dropout, noise."""
    rng = np.random.default_rng(0)
    settings = {"image_shape": (1, 4, 4), "n_levels": 1, "n_layers": 1, "n_components": 2}
    settings |= {"posterior_features": 8, "posterior_dropout": 0.2, "posterior_shift": 1}
    settings |= {"noise": 0.1, "consistency": 0.5, "start_share": 0.3, "dropout": 0.0}
    labels = np.where(np.arange(40) % 4, -1, np.arange(40) // 4 % 2)
    x = rng.normal(size=(40, 1, 4, 4))
    return _estimator(VMoNF, folder, epochs, seconds, x, labels, **settings)


def classifier(folder, epochs, seconds):
    """A mixture for every class, chosen among restarts, with dropout."""
    settings = {"n_components": 2, "n_init": 2, "init": "random", "em_every": 2}
    x, y = blobs(90)
    return _estimator(MixtureClassifier, folder, epochs, seconds, x, y, **settings)


def stochastic(folder, epochs, seconds):
    """EM on every batch, with labels, noise and dropout."""
    generator = torch.Generator().manual_seed(0)
    x, y = blobs(60)
    flow = VectorFlow(3, 2, n_layers=2, hidden_features=6, dropout=0.2, generator=generator)
    mixture = GenMMCore(flow)
    labels = torch.from_numpy(np.where(np.arange(60) % 5, -1, y))
    how = StochasticEMSettings(batch_size=20, max_epochs=epochs, noise=0.1, start_share=0.0)
    em = StochasticEM(mixture, mixture, torch.from_numpy(x).float(), labels, None, how)
    em.initialize(generator)
    done = fit(em, _loop(folder, epochs, seconds))
    return digest(mixture.state_dict(), done.history, em.weights)


def _loop(folder, epochs, seconds):
    how = {"max_epochs": epochs, "checkpoint": folder, "checkpoint_seconds": seconds}
    return LoopSettings(seed=5, learning_rate=0.01, clip_norm=1.0, **how)


KINDS = {
    "vectors": (vectors, 20),
    "images": (images, 30),
    "vi": (vi, 15),
    "classifier": (classifier, 30),
    "stochastic EM": (stochastic, 30),
}


# Killing -------------------------------------------------------------------------------------


class Broken(Exception):
    """A process ended by itself, without a digest."""


def in_a_process(kind, folder, epochs, seconds, limit=None):
    """Return the digest that a fit in a process of its own ends with, None if it was killed."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _write_digest(writer, lambda: kind(folder, epochs, seconds))
    os.close(writer)
    killed = not select.select([reader], [], [], limit)[0]
    if killed:
        os.kill(child, signal.SIGKILL)
    with os.fdopen(reader, "rb") as pipe:
        found = pipe.read().decode()
    os.waitpid(child, 0)
    if not (found or killed):
        raise Broken
    return found or None


def _write_digest(writer, run):
    try:
        warnings.filterwarnings("error", message="ignoring")  # every checkpoint is of use
        os.write(writer, run().encode())
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    os._exit(0)


def kill(name, n_kills, seconds, rng, bar):
    """Kill fits of a kind so often; return numbers of fits, kills, differences, leftovers."""
    kind, epochs = KINDS[name]
    start = time.monotonic()
    expected = in_a_process(kind, None, epochs, seconds)
    longest = time.monotonic() - start
    fits = kills = different = left = 0
    while kills < n_kills:
        with tempfile.TemporaryDirectory() as parent:
            folder, found, fits = Path(parent) / "checkpoint", None, fits + 1
            while found is None:
                limit = rng.uniform(0, longest) if kills < n_kills else None
                found = in_a_process(kind, folder, epochs, seconds, limit)
                kills += found is None
                bar.update(found is None)
            different += found != expected
            left += len([path for path in folder.iterdir() if path.name != CHECKPOINT])
    return {"fits": fits, "kills": kills, "different": different, "files left over": left}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200, help="in all")
    parser.add_argument("--seconds", type=float, default=0.05, help="between checkpoints")
    parser.add_argument("--seed", type=int, default=0, help="of the times of kills")
    asked = parser.parse_args(arguments)
    torch.optim.AdamW([torch.zeros(1, requires_grad=True)])  # slow imports, once for all
    rng, bad = random.Random(asked.seed), 0
    with tqdm(total=asked.kills, unit="kill") as bar:
        for place, name in enumerate(KINDS):
            share = asked.kills // len(KINDS) + (place < asked.kills % len(KINDS))
            found = kill(name, share, asked.seconds, rng, bar)
            bar.write(f"{name}: " + ", ".join(f"{n} {what}" for what, n in found.items()))
            bad += found["different"] + found["files left over"]
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
