"""What mixed precision saves: training steps of image flows in float32, and with bfloat16 networks.

Flows of EM-GM's table I, at laptop size and at the published one. The two kinds take turns.
"""

from __future__ import annotations

import argparse

from benchmarks import common
from benchmarks.image_steps import IMAGE_SHAPE, config_of, stepper
from companion.em_gm.images.models import new_flow

KINDS = {"float32": False, "bfloat16": True}
SIZES = (("laptop", 1), ("laptop", 7), ("paper", 1))  # profile, K


def main() -> None:
    """Let the precisions take turns at every size, and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=9)
    arguments = common.parse(parser, "precision", threads=1)
    rows = []
    for profile, k in SIZES:
        configs = {name: config_of(profile, mixed_precision=mixed) for name, mixed in KINDS.items()}
        steps = {
            name: stepper(new_flow(config, IMAGE_SHAPE, k), config.batch_size)
            for name, config in configs.items()
        }
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
