"""A GPU's training steps of table I's flows at the published size: one by one, and replayed.

Steps of small batches are thousands of small kernels; taken one by one a GPU waits for each to be
asked for. The E-step is that of 1000 images.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from benchmarks import common
from companion.em_gm.images.data import NOISE
from companion.em_gm.images.models import new_flow
from companion.em_gm.images.table_1 import Images
from companion.runs.registry import find
from companion.runs.runner import check_device
from mixflow.training import EM, EMSettings, Groups, LoopSettings, steps

IMAGE_SHAPE, N_IMAGES = (1, 32, 32), 1000
ONE_BY_ONE, REPLAYED = "one by one", "replayed"


def published(k: int, device: torch.device, hidden: int | None) -> EM:
    """Return EM of K flows as the paper's profile has them, ready to step."""
    # On a CPU, which may have no bfloat16, this is only a check of the benchmark.
    values: dict[str, Any] = {"mixed_precision": device.type == "cuda"}
    if hidden is not None:
        values["hidden_features"] = hidden
    config = find("em-gm/table-1").configure("paper", **values)
    assert isinstance(config, Images)
    settings = EMSettings(
        m_step="sparse" if k > 1 else "dense", batch_size=config.batch_size * k,
        noise=NOISE, e_step_noise=NOISE,
    )  # fmt: skip
    x = torch.rand(N_IMAGES, *IMAGE_SHAPE, device=device) - 0.5
    start = torch.eye(k)[torch.arange(N_IMAGES) % k][None]
    mixture = new_flow(config, IMAGE_SHAPE, k).to(device)
    em = EM(mixture, x, Groups.single(N_IMAGES), start, settings)
    em.start()
    em.plan()
    mixture.train()
    return em


def stepper(em: EM, device: torch.device, way: str) -> Callable[[], None]:
    """Return what takes a step and waits for it; the first ones, which prepare, are taken."""
    settings = LoopSettings(learning_rate=1e-4, clip_norm=100.0)
    em.optimizer = steps.new_optimizer(em, settings, device)
    em.generator = torch.Generator(device)
    taker = steps.Steps(em, em.optimizer, settings, device, em.generator)
    if way == ONE_BY_ONE:
        taker.taken = -(10**9)  # never warm enough to be captured

    def step() -> None:
        taker.take(0)
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    for _ in range(steps.WARM_UP + 1):
        step()
    return step


def e_step_seconds(em: EM, device: torch.device) -> float:
    """Return how long an E-step takes, after a first one."""
    em.mixture.eval()
    for _ in range(2):
        start = time.perf_counter()
        em.e_step(1.0)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
    em.mixture.train()
    return time.perf_counter() - start


def main() -> None:
    """Let both ways take turns for each K, and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--k", type=int, nargs="+", default=[1, 7])
    parser.add_argument("--hidden", type=int, help="channels; the published 512 unless given")
    parser.add_argument("--repetitions", type=int, default=10)
    arguments = common.parse(parser, "gpu")
    check_device(arguments.device)
    device, rows = torch.device(arguments.device), []
    for k in arguments.k:
        build = partial(published, k, device, arguments.hidden)
        ways = {way: stepper(build(), device, way) for way in (ONE_BY_ONE, REPLAYED)}
        times = common.interleave(ways, repetitions=arguments.repetitions, steps=5)
        seconds = e_step_seconds(build(), device)
        rows += [
            {
                "K": k,
                "steps": way,
                **common.summary(found, digits=2),
                "one by one / this": common.paired_ratio(times[ONE_BY_ONE], found),
                f"E-step of {N_IMAGES}, ms": round(seconds * 1000, 1),
            }
            for way, found in times.items()
        ]
    common.report(arguments.name, rows, vars(arguments))


if __name__ == "__main__":
    main()
