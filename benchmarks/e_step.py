"""Memory and time of one E-step: 200,000 samples, K = 20, 16 features.

Runs in a fresh process, so that the peak of resident memory is the E-step's own. Ends with
status 1 when the peak passes the limit of 2 GB.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import torch

from benchmarks import common, models
from mixflow.training import EM, EMSettings, Groups

LIMIT_MB = 2000


def blobs(n: int, d: int, n_blobs: int) -> torch.Tensor:
    """Draw N samples from round blobs, float32, shape (N, D)."""
    torch.manual_seed(0)
    centres = 4 * torch.randn(n_blobs, d)
    return centres[torch.randint(n_blobs, (n,))] + torch.randn(n, d)


def measure(settings: dict[str, Any]) -> common.Row:
    """Build a mixture, run E-steps on the samples, and return time and memory."""
    shape = models.Shape(settings["k"], settings["n"], settings["features"])
    mixture = models.bank(shape)
    # What imports and the first product take is not the E-step's.
    with torch.no_grad():
        mixture.log_prob_each(torch.zeros(shape.k, 2, shape.d))
    before = common.resident_mb()
    x = blobs(shape.n, shape.d, shape.k)
    em_settings = EMSettings(restart_dead=False, min_mass=0)
    em = EM(mixture, x, Groups.single(shape.n), None, em_settings)
    em.start()
    mixture.eval()
    common.reset_peak()
    baseline = common.resident_mb()
    seconds = []
    for _ in range(settings["repetitions"]):
        start = time.perf_counter()
        em.e_step(1.0)
        seconds.append(time.perf_counter() - start)
    peak = common.peak_mb()
    return {
        "N": shape.n,
        "K": shape.k,
        "features": shape.d,
        **common.summary(seconds, 0),
        "data_and_responsibilities_MB": round(baseline - before),
        "peak_over_these_MB": round(peak - baseline),
        "peak_over_imports_MB": round(peak - before),
    }


def main() -> None:
    """Measure in a fresh process and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, nargs="+", default=[200_000])
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--features", type=int, default=16)
    parser.add_argument("--repetitions", type=int, default=3)
    arguments = common.parse(parser, "e_step", child=measure)
    settings = vars(arguments)
    rows = [common.in_fresh_process("benchmarks.e_step", {**settings, "n": n}) for n in arguments.n]
    common.report(arguments.name, rows, settings)
    worst = max(row["peak_over_imports_MB"] for row in rows)
    if worst > LIMIT_MB:
        sys.exit(f"the E-step took {worst} MB, more than the limit of {LIMIT_MB} MB")


if __name__ == "__main__":
    main()
