"""Memory and time of the laptop profile's image mixtures: training, an E-step, 1000 samples.

The flows are those of EM-GM's table I at laptop size. Every K runs in a fresh process; the peak is
that of its resident memory, the libraries and the 20,000 images included.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch

from benchmarks import common
from companion.em_gm.images.data import load_images
from companion.em_gm.images.models import NOISE, new_flow
from companion.em_gm.images.table_1 import Images
from companion.runs.registry import find
from mixflow.training import EM, EMSettings, Groups, LoopSettings, fit

PEAK_MB, SAMPLING_SECONDS = 4000, 10
N_TRAINED, N_SAMPLED = 1280, 1000


def measure(settings: dict[str, Any]) -> common.Row:
    """Train on a part of MNIST for an epoch and an E-step, then sample."""
    k, images = settings["k"], load_images("mnist")
    config = find("em-gm/table-1").configure("laptop")
    assert isinstance(config, Images)
    mixture = new_flow(config, images.shape, k)
    x = images.train[:N_TRAINED]
    start = torch.eye(k)[torch.arange(len(x)) % k][None]
    how = EMSettings(
        m_step="sparse" if k > 1 else "dense", batch_size=16 * k, noise=NOISE, em_every=1
    )
    em = EM(mixture, x, Groups.single(len(x)), start, how)
    em.start()
    em_seconds = _seconds(lambda: fit(em, LoopSettings(max_epochs=1)))
    mixture.eval()
    return {
        "K": k,
        f"epoch of {N_TRAINED}, s": round(em_seconds, 1),
        f"{N_SAMPLED} samples, s": round(_seconds(lambda: mixture.sample(N_SAMPLED)), 1),
        "peak MB": round(common.peak_mb()),
    }


def _seconds(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main() -> None:
    """Measure every K and report; fail above what the laptop profile promises."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--k", type=int, nargs="+", default=[1, 3, 5, 7, 9])
    arguments = common.parse(parser, "images", child=measure)
    settings = vars(arguments)
    rows = [common.in_fresh_process("benchmarks.images", {**settings, "k": k}) for k in arguments.k]
    common.report(arguments.name, rows, settings)
    worst = max(row["peak MB"] for row in rows), max(row[f"{N_SAMPLED} samples, s"] for row in rows)
    if worst[0] > PEAK_MB or worst[1] > SAMPLING_SECONDS:
        raise SystemExit(f"too much: {worst[0]} MB, {worst[1]} s for {N_SAMPLED} samples")


if __name__ == "__main__":
    main()
