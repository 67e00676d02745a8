"""What a positional bias, tone curves and Muon cost: a training step of one flow, and samples.

The flow is that of EM-GM's table I at laptop size. All kinds take turns in one process.
"""

from __future__ import annotations

import argparse
from functools import partial

from benchmarks import common
from benchmarks.image_steps import IMAGE_SHAPE, config_of, stepper
from companion.em_gm.images.beyond_summary import BOTH, BY_MUON, PLAIN
from companion.em_gm.images.models import ADDITIONS, new_flow

KINDS = {
    PLAIN: (),
    **{title: (name,) for name, title in ADDITIONS.items()},
    BOTH: ADDITIONS,
    BY_MUON: (),
}


def main() -> None:
    """Let the kinds of flow take turns, and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=15)
    parser.add_argument("--samples", type=int, default=100)
    arguments = common.parse(parser, "additions", threads=1)
    steps, samples = {}, {}
    for kind, names in KINDS.items():
        config = config_of("laptop", **dict.fromkeys(names, True))
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
