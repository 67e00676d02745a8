"""One training step of K flows: mixflow's bank, a loop over its flows, and other libraries.

A step is forward, backward and fused AdamW on K batches of N standard normal samples. The loops
are written as kindly as they can be: one optimiser for all flows, and a backward pass per flow
while its activations are in the cache. ``products only`` runs the bank's matrix products and
nothing else: the floor.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import product

import torch
from torch import Tensor, nn

from benchmarks import common, models
from benchmarks.models import Shape

Step = Callable[[], None]
BANK, LOOP, FLOOR = "mixflow bank", "mixflow loop", "products only"


def adamw(modules: Iterable[nn.Module]) -> torch.optim.AdamW:
    """Return the optimiser that mixflow's loop uses, over all parameters of all modules."""
    parameters = [p for module in modules for p in module.parameters()]
    return torch.optim.AdamW(parameters, lr=1e-4, fused=True)


def bank_step(model: nn.Module, x: Tensor, *, compiled: bool = False) -> Step:
    """Return a step of a bank on x, shape (K, N, D)."""
    optimizer = adamw([model])
    log_prob = torch.compile(model.log_prob_each) if compiled else model.log_prob_each

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        (-log_prob(x).mean(1).sum()).backward()
        optimizer.step()

    return step


def loop_step(flows: Sequence[nn.Module], x: Tensor, *, batched: bool) -> Step:
    """Return a step of a loop over K flows; ``batched`` flows want a leading axis of 1."""
    optimizer = adamw(flows)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        for flow, part in zip(flows, x, strict=True):
            log_prob = flow.log_prob_each(part[None]) if batched else flow.log_prob(part)
            (-log_prob.mean()).backward()
        optimizer.step()

    return step


def floor_step(shape: Shape) -> Step:
    """Return the matrix products of a bank's step, into memory that is there already."""
    products, _ = models.multiply_adds(shape)
    k, n, d = shape.k, shape.n, shape.d
    widths = {width for pair in products for width in pair} | {d}
    rows = {width: torch.randn(k, n, width) for width in widths}
    outs = {width: torch.empty(k, n, width) for width in widths}
    weights = {pair: torch.randn(k, *pair) for pair in products}
    gradients = {pair: torch.empty(k, *pair) for pair in products}
    rotation = torch.randn(k, d, d)

    @torch.no_grad()
    def step() -> None:
        for _ in range(shape.n_layers):
            torch.bmm(rows[d], rotation, out=outs[d])
            torch.bmm(rows[d], rotation.transpose(1, 2), out=outs[d])
            for a, b in products:
                torch.bmm(rows[a], weights[a, b], out=outs[b])
                torch.bmm(rows[b], weights[a, b].transpose(1, 2), out=outs[a])
                torch.bmm(rows[a].transpose(1, 2), rows[b], out=gradients[a, b])

    return step


def alternatives(
    shape: Shape, *, peers: Sequence[str], compiled: bool = False
) -> tuple[dict[str, Step], dict[str, int]]:
    """Return the steps to compare and the parameters of each."""
    torch.manual_seed(0)
    x = torch.randn(shape.k, shape.n, shape.d)
    bank = models.bank(shape)
    bank.initialize(x)
    flows = models.split(bank)
    check_equal(bank, flows, x)
    steps = {BANK: bank_step(bank, x), LOOP: loop_step(flows, x, batched=True)}
    counts = {BANK: models.count_parameters([bank]), LOOP: models.count_parameters(flows)}
    if compiled:
        copy = bank.select(torch.arange(shape.k))
        steps[f"{BANK}, compiled"] = bank_step(copy, x, compiled=True)
        counts[f"{BANK}, compiled"] = counts[BANK]
    for name in peers:
        peer = [models.PEERS[name](shape) for _ in range(shape.k)]
        steps[f"{name} loop"] = loop_step(peer, x, batched=False)
        counts[f"{name} loop"] = models.count_parameters(peer)
    steps[FLOOR] = floor_step(shape)
    return steps, counts


@torch.no_grad()
def check_equal(bank: nn.Module, flows: Sequence[nn.Module], x: Tensor) -> None:
    """Make sure that bank and loop compute the same densities."""
    looped = torch.cat(
        [flow.log_prob_each(part[None]) for flow, part in zip(flows, x, strict=True)]
    )
    torch.testing.assert_close(bank.log_prob_each(x), looped, rtol=1e-5, atol=1e-4)


def measure(shape: Shape, arguments: argparse.Namespace) -> list[common.Row]:
    """Time one setting; a row per alternative."""
    steps, counts = alternatives(shape, peers=arguments.peers, compiled=arguments.compile)
    seconds = common.interleave(
        steps, repetitions=arguments.repetitions, steps=arguments.steps, warmup=arguments.warmup
    )
    _, flops = models.multiply_adds(shape)
    rows = []
    for name, times in seconds.items():
        rows.append(
            {
                "K": shape.k,
                "N": shape.n,
                "hidden_layers": shape.hidden_layers,
                "alternative": name,
                "parameters": counts.get(name),
                **common.summary(times),
                "times_the_bank": common.paired_ratio(times, seconds[BANK]),
                "GFLOP/s": round(flops / statistics.median(times) / 1e9, 1),
            }
        )
    return rows


def profile(shape: Shape, n_steps: int) -> None:
    """Print where the time of the bank's step goes."""
    steps, _ = alternatives(shape, peers=())
    for _ in range(3):
        steps[BANK]()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as record:
        for _ in range(n_steps):
            steps[BANK]()
    print(record.key_averages().table(sort_by="self_cpu_time_total", row_limit=18))


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--k", type=int, nargs="+", default=[10, 1], help="numbers of flows")
    add("--n", type=int, nargs="+", default=[512, 128], help="samples per flow")
    add("--hidden-layers", type=int, nargs="+", default=[2, 1])
    add("--hidden-features", type=int, default=64)
    add("--features", type=int, default=16)
    add("--layers", type=int, default=8, help="couplings")
    add("--peers", nargs="*", default=None, choices=models.PEERS, help="default: those installed")
    add("--repetitions", type=int, default=30)
    add("--steps", type=int, default=3, help="steps in a repetition")
    add("--warmup", type=int, default=3, help="repetitions that do not count")
    add("--compile", action="store_true", help="also time the bank under torch.compile")
    add("--profile", action="store_true", help="print the bank's top operations instead")
    arguments = common.parse(parser, "step", argv=argv)
    if arguments.peers is None:
        arguments.peers = [name for name in models.PEERS if models.installed(name)]
        for name in set(models.PEERS) - set(arguments.peers):
            print(f"{name} is not installed: pip install -e 'companion[bench]'", file=sys.stderr)
    return arguments


def main() -> None:
    """Run all settings and report."""
    arguments = parse()
    rows = []
    for hidden_layers, k, n in product(arguments.hidden_layers, arguments.k, arguments.n):
        shape = Shape(
            k, n, arguments.features, arguments.layers, arguments.hidden_features, hidden_layers
        )
        if arguments.profile:
            profile(shape, arguments.repetitions)
        else:
            print(f"K = {k}, N = {n}, {hidden_layers} hidden layers", file=sys.stderr)
            rows += measure(shape, arguments)
    if rows:
        common.report(arguments.name, rows, vars(arguments))


if __name__ == "__main__":
    main()
