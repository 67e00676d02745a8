"""A training step and samples of K neural spline flows, by mixflow's bank and by other libraries.

Alternatives take turns in one process on one thread, and what is counted is the processor's time:
the ratios then stand on a machine that does other things too. flowjax is compiled by XLA, all
others run as they are.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import time
import warnings
from collections.abc import Sequence
from functools import partial
from itertools import product

import torch

from benchmarks import common, spline_models
from benchmarks.spline_models import Run, Shape, ZukoFlow, loop_step, stacked_step

BANK, ONE = "mixflow bank", "zuko, one flow"
SAMPLED = 10_000


def steps_of(shape: Shape, peers: Sequence[str]) -> dict[str, Run]:
    """Return a training step for every alternative."""
    x = shape.data()
    found = {
        BANK: spline_models.bank_step(shape),
        f"{BANK}, bfloat16": spline_models.bank_step(shape, mixed_precision=True),
    }

    def copies(build: partial) -> list[torch.nn.Module]:
        return [build() for _ in range(shape.k)]

    if "zuko" in peers:
        for n in (3, 4):
            found[f"{ONE}, {n} layers"] = loop_step([ZukoFlow(shape.d, n)], x[:1])
        three = partial(ZukoFlow, shape.d, 3)
        if shape.k > 1:
            found["zuko loop, 3 layers"] = loop_step(copies(three), x)
        found["zuko stacked, 3 layers"] = stacked_step(copies(three), x)
    for name in ("normflows", "nflows"):
        if name in peers:
            flow = partial(getattr(spline_models, f"{name}_flow"), shape.d)
            found[f"{name} loop"] = loop_step(copies(flow), x)
    if "flowjax" in peers:
        found["flowjax stacked, compiled"] = spline_models.flowjax_step(shape)
    return found


def draws_of(n: int, d: int, peers: Sequence[str]) -> dict[str, Run]:
    """Return n samples of one flow for every alternative in torch, and a bank's of ten."""
    found = {
        BANK: partial(spline_models.bank(Shape(1, 100, d)).eval().sample_each, n),
        f"{BANK}, a tenth from each of 10": partial(
            spline_models.bank(Shape(10, 100, d)).eval().sample_each, n // 10
        ),
    }
    if "zuko" in peers:
        for layers in (3, 4):
            found[f"{ONE}, {layers} layers"] = partial(ZukoFlow(d, layers).eval().sample, n)
    for name in ("normflows", "nflows"):
        if name in peers:
            flow = getattr(spline_models, f"{name}_flow")(d).eval()
            found[name] = partial(flow.sample, n)
    return found


def measure(what: str, k: int, n: int, runs: dict[str, Run], repetitions: int) -> list[common.Row]:
    """Time alternatives in turn; a row for each."""
    seconds = common.interleave(runs, repetitions=repetitions, warmup=1, clock=time.process_time)
    references = {"times the bank": BANK}
    references |= {f"times {ONE}, {i} layers": f"{ONE}, {i} layers" for i in (3, 4)}
    return [
        {"what": what, "K": k, "N": n, "alternative": name, **common.summary(times)}
        | {
            title: common.ratio_quartiles(times, seconds[reference])
            for title, reference in references.items()
            if reference in seconds
        }
        for name, times in seconds.items()
    ]


@torch.no_grad()
def sampled(arguments: argparse.Namespace) -> list[common.Row]:
    """Time samples of one flow."""
    rows = []
    for n in (*arguments.n, SAMPLED):
        print(f"{n} samples", file=sys.stderr)
        draws = draws_of(n, 16, arguments.peers)
        rows += measure("samples", 1, n, draws, arguments.sample_repetitions)
    return rows


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--k", type=int, nargs="+", default=[1, 10, 20], help="numbers of flows")
    parser.add_argument("--n", type=int, nargs="+", default=[128, 512], help="samples per flow")
    parser.add_argument("--repetitions", type=int, default=7, help="of steps")
    parser.add_argument("--sample-repetitions", type=int, default=5)
    parser.add_argument("--peers", nargs="*", choices=common.PEERS, help="default: those installed")
    arguments = common.parse(parser, "splines", threads=1)
    if arguments.peers is None:
        arguments.peers = [name for name in common.PEERS if importlib.util.find_spec(name)]
    return arguments


def main() -> None:
    """Measure all settings and report."""
    arguments = parse()
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    warnings.filterwarnings("ignore", message="Inputs to the softmax are not scaled down")
    torch.manual_seed(0)
    rows = []
    for k, n in product(arguments.k, arguments.n):
        print(f"K = {k}, N = {n}", file=sys.stderr)
        steps = steps_of(Shape(k, n), arguments.peers)
        rows += measure("step", k, n, steps, arguments.repetitions)
    rows += sampled(arguments)
    common.report(arguments.name, rows, vars(arguments))


if __name__ == "__main__":
    main()
