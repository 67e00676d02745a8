"""What mixed precision saves: training steps of image flows in float32, and with bfloat16 networks.

Flows of EM-GM's table I, at laptop size and at the published one. The two kinds take turns.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Literal

import torch

from benchmarks import common
from mixflow.experiments import find
from mixflow.experiments.em_gm.images.models import new_flow
from mixflow.experiments.em_gm.images.table_1 import Images

IMAGE_SHAPE = (1, 32, 32)
KINDS = {"float32": False, "bfloat16": True}
Size = Literal["laptop", "paper"]
SIZES: tuple[tuple[Size, int], ...] = (("laptop", 1), ("laptop", 7), ("paper", 1))  # profile, K


def sized(profile: Size, *, mixed: bool) -> Images:
    """Return table I's config at a profile, in one of the precisions."""
    config = find("em-gm/table-1").configure(profile, mixed_precision=mixed)
    assert isinstance(config, Images)
    return config


def stepper(config: Images, k: int) -> Callable[[], None]:
    """Return a training step of K flows, and take the first, which sets what depends on data."""
    mixture = new_flow(config, IMAGE_SHAPE, k)
    x = torch.rand(k, config.batch_size, *IMAGE_SHAPE) - 0.5
    mixture.flow.initialize(x)
    mixture.train()
    optimizer = torch.optim.AdamW(mixture.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        optimizer.zero_grad()
        (-mixture.log_prob_each(x).mean()).backward()
        optimizer.step()

    step()
    return step


def main() -> None:
    """Let the precisions take turns at every size, and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=9)
    arguments = common.parse(parser, "precision", threads=1)
    rows = []
    for profile, k in SIZES:
        configs = {name: sized(profile, mixed=mixed) for name, mixed in KINDS.items()}
        steps = {name: stepper(config, k) for name, config in configs.items()}
        times = common.interleave(steps, repetitions=arguments.repetitions, steps=1)
        rows += [
            {
                "size": f"{profile}'s",
                "hidden": configs[name].hidden_features,
                "K": k,
                "networks": name,
                **common.summary(found, digits=1),
                "float32 / this": common.paired_ratio(times["float32"], found),
            }
            for name, found in times.items()
        ]
    common.report(arguments.name, rows, vars(arguments))


if __name__ == "__main__":
    main()
