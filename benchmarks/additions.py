"""What a positional bias, tone curves and Muon cost: a training step of one flow, and samples.

The flow is that of EM-GM's table I at laptop size. All kinds take turns in one process.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

import torch

from benchmarks import common
from mixflow.experiments import find
from mixflow.experiments.em_gm.images.beyond_summary import BOTH, BY_MUON, PLAIN
from mixflow.experiments.em_gm.images.models import ADDITIONS, new_flow
from mixflow.experiments.em_gm.images.table_1 import Images
from mixflow.mixtures import GenMM
from mixflow.training.muon import Muon

IMAGE_SHAPE = (1, 32, 32)
KINDS = {
    PLAIN: (),
    **{title: (name,) for name, title in ADDITIONS.items()},
    BOTH: ADDITIONS,
    BY_MUON: (),
}


def stepper(mixture: GenMM, batch_size: int, *, muon: bool) -> Callable[[], None]:
    """Return a training step, and take the first, which sets what depends on data."""
    x = torch.rand(1, batch_size, *IMAGE_SHAPE) - 0.5
    mixture.flow.initialize(x)
    optimizer: torch.optim.Optimizer
    if muon:
        optimizer = Muon(mixture.named_parameters(), lr=1e-4, fused=True)
    else:
        optimizer = torch.optim.AdamW(mixture.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        optimizer.zero_grad()
        (-mixture.log_prob_each(x).mean()).backward()
        optimizer.step()

    step()
    return step


def main() -> None:
    """Let the kinds of flow take turns, and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=15)
    parser.add_argument("--samples", type=int, default=100)
    arguments = common.parse(parser, "additions", threads=1)
    steps, samples = {}, {}
    for kind, names in KINDS.items():
        config = find("em-gm/table-1").configure("laptop", **dict.fromkeys(names, True))
        assert isinstance(config, Images)
        mixture = new_flow(config, IMAGE_SHAPE)
        steps[kind] = stepper(mixture, config.batch_size, muon=kind == BY_MUON)
        samples[kind] = partial(mixture.sample, arguments.samples)
    times = common.interleave(steps, repetitions=arguments.repetitions, steps=2)
    drawn = common.interleave(samples, repetitions=max(3, arguments.repetitions // 3), warmup=1)
    rows = [
        {
            "flow": kind,
            **common.summary(times[kind], digits=1),
            "times as long": common.paired_ratio(times[kind], times[PLAIN]),
            f"{arguments.samples} samples, times as long": common.paired_ratio(
                drawn[kind], drawn[PLAIN]
            ),
        }
        for kind in KINDS
    ]
    common.report(arguments.name, rows, vars(arguments))


if __name__ == "__main__":
    main()
