"""An epoch of GenMM by mixflow and by the code that EM-GM published, at equal sizes.

The published code is not part of mixflow. Clone it, then give its folder::

    git clone https://github.com/FirstHandScientist/EM-GM
    python -m benchmarks.published images EM-GM
    python -m benchmarks.published letter EM-GM

Its model classes are timed as its trainer calls them: posteriors by a second copy of the model in
every step, all components on every sample, gradients clipped, Adam. Left out, in its favour, are
its data loader, its log and its evaluation. mixflow runs its own loop, with an E-step in every
fifth epoch. *Equal work* is the same architecture with all samples shown to all components;
*sparse* gives each component its own samples, *bfloat16* trains in mixed precision; E-steps are of
full precision. The recipe is table II's.
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from benchmarks import common
from companion.em_gm.images.data import load_images
from companion.em_gm.images.models import NOISE
from companion.em_gm.table_2.recipes import PUBLISHED_TRAINING, recipe
from mixflow import MixtureClassifier
from mixflow.datasets import load_split
from mixflow.flows import Glow
from mixflow.mixtures import GenMM
from mixflow.mixtures.base import Mixture
from mixflow.training import EM, EMSettings, Groups, LoopSettings, fit

SETTINGS = "hparams/GenMM/k4hc512mnist.json"
EM_EVERY, CLASSES, OF_CLASS = 5, 26, 13333 / 26
LIMIT = 0.01  # nat/pixel by which mixed precision may move a log density
Epoch = Callable[[], float]  # returns seconds


def published_step(folder: Path, k: int, x: Tensor, **glow: Any) -> Callable[[], None]:
    """Return a step of the published trainer on a batch x, (B, 1, H, W)."""
    sys.path.insert(0, str(folder))
    models = importlib.import_module("glow.models")
    text = (folder / SETTINGS).read_text()
    settings = json.loads(text, object_hook=lambda values: SimpleNamespace(**values))
    vars(settings.Glow).update(glow, image_shape=[*x.shape[2:], 1])
    settings.Mixture.num_component = k
    settings.Train.batch_size = len(x)
    settings.Device = SimpleNamespace(glow=["cpu"], data="cpu")
    new, old = models.GenMM(settings), models.GenMM(settings)
    new(x=x), old(x=x)  # sets the scales of ActNorm
    old.load_state_dict(new.state_dict())
    old.eval()
    optimizer = torch.optim.Adam(new.parameters(), lr=1e-3, betas=(0.9, 0.9999))
    log_weights = torch.full((k, 1), 1 / k).log()

    def step() -> None:
        with torch.no_grad():
            posterior = torch.softmax(log_weights - old(x=x)[1], 0)
        nll = new(x=x)[1] - log_weights / x[0].numel()
        optimizer.zero_grad()
        (posterior * nll).sum(0).mean().backward()
        torch.nn.utils.clip_grad_value_(new.parameters(), 5)
        torch.nn.utils.clip_grad_norm_(new.parameters(), 100)
        optimizer.step()

    return step


def seconds_of(function: Callable[[], Any]) -> float:
    """Return what a call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def steps_of(step: Callable[[], None], n_steps: float) -> Epoch:
    """Return an epoch of that many equal steps, of which one is timed."""
    return lambda: n_steps * seconds_of(step)


def image_epoch(k: int, x: Tensor, hidden: int, *, mixed_precision: bool = False) -> Epoch:
    """Return an epoch of mixflow's GenMM on images, E-steps included, without its set-up."""
    flow = Glow(
        k, x.shape[1:], n_levels=3, n_steps=(4, 4, 4), hidden_features=hidden, scale="sigmoid",
        mixed_precision=mixed_precision,
    )  # fmt: skip
    settings = EMSettings(
        em_every=EM_EVERY, m_step="sparse" if k > 1 else "dense", batch_size=16 * k, noise=NOISE
    )
    start = torch.eye(k)[torch.arange(len(x)) % k][None]
    em = EM(GenMM(flow), x, Groups.single(len(x)), start, settings)
    em.start()
    loop = LoopSettings(max_epochs=EM_EVERY, learning_rate=1e-3)

    def epoch() -> float:
        em.fresh = True  # the E-step that ended the last round stands: one in EM_EVERY epochs
        seconds = seconds_of(lambda: fit(em, loop)) / EM_EVERY
        check_density(em.mixture, x[:64])
        return seconds

    return epoch


@torch.no_grad()
def check_density(mixture: Mixture, x: Tensor) -> None:
    """Stop where mixed precision, that of training, moves a log density by too much."""
    shown = x.expand(mixture.n_components, *x.shape)
    full, mixed = (mixture.train(training).log_prob_each(shown) for training in (False, True))
    mixture.eval()
    moved = float((full - mixed).abs().mean()) / x[0].numel()
    if moved > LIMIT:
        raise SystemExit(f"mixed precision moves the log density by {moved:.4f} nat/pixel")


def images(folder: Path, sizes: list[int], rounds: int, hidden: int) -> list[common.Row]:
    """Time epochs of 336 images of MNIST, 32 x 32: whole steps for K = 1, 3 and 7."""
    x = load_images("mnist").train[:336]
    ways: dict[tuple[int, str], Epoch] = {}
    for k in sizes:
        step = published_step(folder, k, x[:64], hidden_channels=hidden)
        ways[k, "published code"] = steps_of(step, len(x) / 64)
        ways[k, "mixflow, sparse"] = image_epoch(k, x, hidden)
        mixed = image_epoch(k, x, hidden, mixed_precision=True)
        ways[k, "mixflow, sparse, bfloat16"] = mixed
    return _rows(f"MNIST, 32 x 32, hidden {hidden}", ways, rounds, per=len(x))


def letter_epoch(k: int, **parameters: Any) -> Epoch:
    """Return an epoch of all classes of Letter, E-steps included, without the start."""
    split = load_split("letter")
    clock: list[float] = []

    def tick(model: MixtureClassifier, epoch: int) -> dict[str, float]:
        clock.append(time.perf_counter())
        return {}

    model = MixtureClassifier(
        k, **parameters, em_every=EM_EVERY, max_epochs=2 * EM_EVERY + 1, callback=tick,
        priors="uniform", early_stopping=False, random_state=0,
    )  # fmt: skip

    def epoch() -> float:
        clock.clear()
        model.fit(split.x_train / 15 - 0.5, split.y_train)
        return (clock[-1] - clock[EM_EVERY]) / EM_EVERY

    return epoch


def letter(folder: Path, k: int, rounds: int) -> list[common.Row]:
    """Time epochs of Letter; the published code trains its classes one after the other."""
    x = torch.rand(240, 1, 4, 4) - 0.5
    step = published_step(folder, k, x, hidden_channels=8, K=12, L=1)
    same = {"n_layers": 12, "hidden_features": 8, "n_levels": 1, "image_shape": (1, 4, 4)}
    same |= {"init": "uniform", "posterior_temperature": "per_dimension", "m_step": "dense"}
    same |= {"batch_size": 240, "noise": NOISE, "standardize": False, **PUBLISHED_TRAINING}
    ours = recipe("letter", "GenMM", k)
    own = {name: value for name, value in ours.items() if name not in ("epochs", "em_every")}
    ways = {
        (k, "published code"): steps_of(step, CLASSES * OF_CLASS / len(x)),
        (k, "mixflow, equal work"): letter_epoch(k, **same),
        (k, f"mixflow, recipe ({own['n_blocks']} blocks)"): letter_epoch(k, **own),
        (k, "mixflow, recipe in one block"): letter_epoch(k, **{**own, "n_blocks": 1}),
    }
    return _rows("Letter, 26 classes", ways, rounds, per=round(CLASSES * OF_CLASS))


def _rows(
    data: str, ways: dict[tuple[int, str], Epoch], rounds: int, *, per: int
) -> list[common.Row]:
    seconds: dict[tuple[int, str], list[float]] = {way: [] for way in ways}
    for repetition in range(-1, rounds):
        for way, epoch in ways.items():
            found = epoch() / per * 1000
            if repetition >= 0:
                seconds[way].append(found)
    first = next(way for way in ways if way[1] != "published code")
    return [
        {
            "data": data,
            "K": way[0],
            "what": f"{way[1]}, epoch of 1000",
            **common.summary(found, 1),
            "published / this": common.paired_ratio(seconds[way[0], "published code"], found),
            "this / first of mixflow": round(
                statistics.median(found) / statistics.median(seconds[first]), 2
            ),
        }
        for way, found in seconds.items()
    ]


def main() -> None:
    """Measure one data set and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", choices=["images", "letter"])
    parser.add_argument("checkout", type=Path, help="folder of the published code")
    parser.add_argument("--k", type=int, nargs="+", help="default: 1 3 7 of images, 20 of Letter")
    parser.add_argument("--hidden", type=int, default=64, help="channels, for images")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = common.parse(parser, "published")
    if not (arguments.checkout / SETTINGS).exists():
        parser.error(f"{arguments.checkout} holds no {SETTINGS}; clone the published code there")
    settings = {name: v for name, v in vars(arguments).items() if name != "checkout"}
    if arguments.data == "images":
        sizes = arguments.k or [1, 3, 7]
        rows = images(arguments.checkout, sizes, arguments.rounds, arguments.hidden)
    else:
        rows = [
            row
            for k in arguments.k or [20]
            for row in letter(arguments.checkout, k, arguments.rounds)
        ]
    common.report(f"{arguments.name}_{arguments.data}", rows, settings)


if __name__ == "__main__":
    main()
