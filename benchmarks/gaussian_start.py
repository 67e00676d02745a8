"""EM for a mixture of ten Gaussians: mixflow and scikit-learn, from the same responsibilities.

100,000 samples of 16 features; every alternative ends with the bound and the number of iterations
that scikit-learn has, or the script fails. The floor is the two matrix products of every iteration
and nothing else, chunk by chunk as mixflow lays them out.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_info, threadpool_limits

from benchmarks import common
from mixflow.training.gaussian_em import climb, gaussian_em
from mixflow.training.gaussian_start import kmeans, seeds
from mixflow.training.gaussian_statistics import CHUNK, Samples

RIDGE, TOL = 1e-6, 1e-3
PEER = "scikit-learn"


class Started(GaussianMixture):
    """scikit-learn's mixture from responsibilities that are given."""

    def _initialize_parameters(self, x: np.ndarray, *args: object, **kwargs: object) -> None:
        self._initialize(x, self.start)


def overlapping(n: int, d: int, k: int) -> np.ndarray:
    """Draw N samples of K Gaussians that overlap, standardised, (N, D)."""
    rng = np.random.default_rng(0)
    factors = 0.4 * rng.normal(size=(k, d, d)) + 0.5 * np.eye(d)
    label = rng.integers(k, size=n)
    x = 0.7 * rng.normal(size=(k, d))[label]
    x += np.einsum("nij,nj->ni", factors[label], rng.normal(size=(n, d)))
    return (x - x.mean(0)) / x.std(0)


def nearest(x: np.ndarray, k: int, seed: int) -> np.ndarray:
    """Return responsibilities of 1 for the nearest of K samples, (N, K)."""
    centres = x[np.random.default_rng(seed).choice(len(x), k, replace=False)]
    return np.eye(k)[(0.5 * (centres**2).sum(1) - x @ centres.T).argmin(1)]


def peer(x: np.ndarray, k: int, start: np.ndarray | None = None) -> GaussianMixture:
    """Fit scikit-learn's mixture, from its own k-means where there are no responsibilities."""
    model = GaussianMixture(k, reg_covar=RIDGE, random_state=0, tol=TOL)
    if start is not None:
        model = Started(k, reg_covar=RIDGE, random_state=0, tol=TOL)
        model.start = start
    return model.fit(x)


def from_kmeans(x: torch.Tensor, k: int) -> object:
    """Fit ours from its own k-means."""
    weights = x.new_ones(1, len(x))
    row, samples = torch.zeros(1, dtype=torch.int64), Samples(x, weights)
    with samples.threads():
        centres = seeds(x, weights, k, torch.Generator().manual_seed(0))
        return climb(samples, kmeans(samples, centres, row), row, RIDGE, tol=TOL)


def floor(n: int, d: int, columns: int, iterations: int) -> Callable[[], None]:
    """Return the products of so many iterations, in chunks that lie in a core's cache."""
    p, rng = (d + 1) * (d + 2) // 2, np.random.default_rng(0)
    products, theta = rng.random((8, p, CHUNK)), rng.random((columns, p))
    r, joint = rng.random((8, CHUNK, columns)), np.empty((8, columns, CHUNK))
    sums = np.empty((8, p, columns))

    def run() -> None:
        with threadpool_limits(1, user_api="blas"):
            for _ in range(iterations * n // (8 * CHUNK)):
                np.matmul(theta, products, out=joint)
                np.matmul(products, r, out=sums)

    return run


def check(x: np.ndarray, starts: list[np.ndarray], k: int) -> list[int]:
    """Compare bounds and iterations; return the iterations."""
    ours = gaussian_em(torch.from_numpy(x), torch.from_numpy(np.stack(starts)), ridge=RIDGE)
    theirs = [peer(x, k, start) for start in starts]
    gap = max(
        abs(a - b.lower_bound_) for a, b in zip(ours.lower_bound.tolist(), theirs, strict=True)
    )
    iterations = [model.n_iter_ for model in theirs]
    print(f"iterations {iterations}, bounds apart by at most {gap:.1e}", file=sys.stderr)
    if ours.n_iter.tolist() != iterations or gap > 1e-6:
        sys.exit(f"other iterations ({ours.n_iter.tolist()}) or bounds than scikit-learn's")
    return iterations


def compare(arguments: argparse.Namespace, threads: int) -> list[common.Row]:
    """Time one fit, several starts and fits from k-means in turn; a row per alternative."""
    n, d, k = arguments.n, arguments.features, arguments.components
    x = overlapping(n, d, k)
    starts = [nearest(x, k, seed) for seed in range(arguments.starts)]
    tx, ts = torch.from_numpy(x), torch.from_numpy(np.stack(starts))
    torch.set_num_threads(threads)
    with threadpool_limits(threads):
        iterations = check(x, starts, k)
        groups: dict[str, dict[str, Callable[[], object]]] = {
            "one start, given": {
                PEER: lambda: peer(x, k, starts[0]),
                "mixflow": lambda: gaussian_em(tx, ts[:1], ridge=RIDGE),
                "products only, one thread": floor(n, d, k, iterations[0]),
            },
            f"{len(starts)} starts, given": {
                PEER: lambda: [peer(x, k, start) for start in starts],
                "mixflow": lambda: gaussian_em(tx, ts, ridge=RIDGE),
            },
            "one start, by k-means": {
                PEER: lambda: peer(x, k),
                "mixflow": lambda: from_kmeans(tx, k),
            },
        }
        rows = []
        for what, alternatives in groups.items():
            seconds = common.interleave(alternatives, repetitions=arguments.repetitions, warmup=1)
            for name, times in seconds.items():
                rows.append(
                    {
                        "what": what,
                        "alternative": name,
                        "threads": threads,
                        **common.summary(times, 0),
                        "scikit-learn / this": round(
                            1 / common.paired_ratio(times, seconds[PEER]), 2
                        )
                        if name != PEER
                        else 1.0,
                    }
                )
            print(common.markdown(rows[-len(seconds) :]), file=sys.stderr)
    return rows


def main() -> None:
    """Run all comparisons and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=100_000)
    parser.add_argument("--features", type=int, default=16)
    parser.add_argument("--components", type=int, default=10)
    parser.add_argument("--starts", type=int, default=4)
    parser.add_argument("--repetitions", type=int, default=5)
    arguments = common.parse(parser, "gaussian_start")
    warnings.simplefilter("ignore", ConvergenceWarning)
    counts = [arguments.threads] if arguments.threads else [1, 2]
    rows = [row for threads in counts for row in compare(arguments, threads)]
    kernels = sorted({x["architecture"] for x in threadpool_info() if "architecture" in x})
    forced = os.environ.get("OPENBLAS_CORETYPE", "not set")
    settings = {**vars(arguments), "threads": " and ".join(map(str, counts))}
    settings |= {"blas_kernels": kernels, "OPENBLAS_CORETYPE": forced}
    common.report(arguments.name, rows, settings)


if __name__ == "__main__":
    main()
