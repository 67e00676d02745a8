"""One pass over the samples for many Gaussian mixtures at once: E-step and what an M-step needs.

With x~ = (1, x) a Gaussian's log density is linear in the P = (D + 1)(D + 2) / 2 products
x~_i x~_j, i <= j, and an M-step needs their sums. So a pass is two matrix products, parameters by
products and products by responsibilities, over all components of all mixtures, chunk by chunk.
The products stand in the order of j - i, then i: so are all of one j - i made in one go.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController
from torch import Tensor

Array = NDArray[np.float64]
Sums = tuple[Array, Array]

# Samples in a chunk: numpy's BLAS multiplies such thin matrices without packing them, more than
# twice as fast as torch's. Values in a block of chunks, which a core's cache holds. Blocks go round
# in a fixed number of shares, so that the number of threads does not move a sum.
CHUNK, VALUES, SHARES = 384, 2**19, 8
# The log weight of padding: finite, or products with it would be no numbers.
PADDING = -1e300


class Samples:
    """Hold N samples, and R weightings of them, in chunks of n as (C, D + 1, n) and (C, R, n).

    Parameters
    ----------
    x
        Shape (N, D), float64; squares of its values must not overflow.
    weights
        Non-negative, shape (R, N): folds, held-out samples, sample weights.
    """

    def __init__(self, x: Tensor, weights: Tensor) -> None:
        self.n_samples, self.n_features = x.shape
        self.total = weights.sum(1)
        self.x = self._chunks(x, 1)
        self.x[:, 0] = 1
        self.weights = self._chunks(weights.T)
        self._map: Callable[..., Iterator[Any]] = map
        self._scratch = _Scratch()

    @contextmanager
    def threads(self) -> Iterator[None]:
        """Work on as many blocks at a time as torch has threads, one thread a block.

        No thread waits for another inside a block, so a core that another process takes costs no
        more than its share.
        """
        n = torch.get_num_threads()
        with _controller().limit(limits=1, user_api="blas"), ThreadPoolExecutor(n) as pool:
            self._map = pool.map if n > 1 else map
            try:
                yield
            finally:
                self._map = map

    def statistics(self, theta: Tensor, row: Tensor, *, second: bool = True) -> tuple[Tensor, ...]:
        """Run an E-step of B mixtures of K components, and sum for the M-step.

        Parameters
        ----------
        theta
            Natural parameters, (B, K, P); or (B, K, D + 1), the terms of x~ alone, as in k-means:
            a sample then belongs to the component whose term is largest.
        row
            The weighting that each mixture learns from, int64 (B,).
        second
            False sums x~ only, not the other products.

        Returns
        -------
        sums, log_likelihood
            Sums over n of w_n r_nk times the products, (B, K, P), or of x~, (B, K, D + 1); sums
            over n of log p(x_n) under every weighting, (B, R).
        """
        flat, shape = theta.numpy().reshape(-1, theta.shape[2]), theta.shape[:2]

        def run(share: list[slice]) -> Sums:
            return _added(self._block(part, flat, shape, row.numpy(), second) for part in share)

        sums, log_likelihood = _added(self._map(run, self._shares(len(flat))))
        sums = np.ascontiguousarray(sums.T).reshape(*shape, -1)
        return torch.from_numpy(sums), torch.from_numpy(log_likelihood)

    def sums(self, responsibilities: Tensor, row: Tensor) -> Tensor:
        """Sum for a first M-step: responsibilities (B, N, K) -> (B, K, P)."""
        b, _, k = responsibilities.shape
        by_sample = responsibilities.transpose(0, 1).flatten(1).split(self.x.shape[2])

        def run(share: list[slice]) -> Array:
            return sum(
                products[:, : len(r)] @ (r.numpy() * weight[row.numpy(), : len(r)].T.repeat(k, 1))
                for part in share
                for products, weight, r in zip(
                    self._products(part), self.weights[part], by_sample[part], strict=True
                )
            )

        sums = sum(self._map(run, self._shares(b * k)))
        return torch.from_numpy(sums.T.copy()).view(b, k, -1)

    def mean_square(self) -> Tensor:
        """Return the mean of |x_n|^2 under every weighting, (R,)."""
        square = np.einsum(
            "cdn,cdn,crn->r", self.x[:, 1:], self.x[:, 1:], self.weights, optimize=True
        )
        return torch.from_numpy(square) / self.total

    def log_prob(self, theta: Tensor) -> Tensor:
        """Return log p(x_n) in nats: (B, K, P) -> (B, N)."""
        flat, shape = theta.numpy().reshape(-1, theta.shape[2]), theta.shape[:2]
        out = np.empty((len(self.x), len(theta), self.x.shape[2]))

        def run(share: list[slice]) -> None:
            for part in share:
                joint = self._joint(self._products(part), flat, shape)
                out[part] = _softmax(joint)[0]

        list(self._map(run, self._shares(len(flat))))
        return torch.from_numpy(out).transpose(0, 1).flatten(1)[:, : self.n_samples]

    # A block of chunks ------------------------------------------------------------------------

    def _block(
        self, part: slice, flat: Array, shape: tuple[int, ...], row: Array, second: bool
    ) -> Sums:
        """Return the sums of a block, (P, B K), and its log likelihoods, (B, R)."""
        hard = flat.shape[1] == self.n_features + 1
        products = self._products(part) if second else self.x[part]
        joint = self._joint(self.x[part] if hard else products, flat, shape)
        if hard:
            log_prob = joint.max(2)
            np.equal(joint, log_prob[:, :, None], out=joint)  # a tie is shared
            total = joint.sum(2)
        else:
            log_prob, total = _softmax(joint)
        weights = self.weights[part]
        r = self._scratch("r", (len(joint), joint.shape[3], len(flat)))
        by_sample = r.reshape(len(r), -1, *shape).transpose(0, 2, 3, 1)
        np.multiply(joint, (weights[:, row] / total)[:, :, None], out=by_sample)
        sums = sum(p @ q for p, q in zip(products, r, strict=True))
        return sums, (log_prob @ weights.swapaxes(1, 2)).sum(0)

    def _joint(self, products: Array, flat: Array, shape: tuple[int, ...]) -> Array:
        """Return log pi_k + log p_k(x_n), (c, B, K, n)."""
        out = self._scratch("joint", (len(products), len(flat), products.shape[2]))
        np.matmul(flat, products, out=out)
        return out.reshape(len(out), *shape, -1)

    def _products(self, part: slice) -> Array:
        """Return x~_i x~_j in the order of :func:`pairs`, (c, P, n)."""
        x, d = self.x[part], self.n_features + 1
        out = self._scratch("products", (len(x), d * (d + 1) // 2, x.shape[2]))
        start = 0
        for lag in range(d):
            np.multiply(x[:, : d - lag], x[:, lag:], out=out[:, start : start + d - lag])
            start += d - lag
        return out

    def _shares(self, n_columns: int) -> list[list[slice]]:
        n_chunks, d, n = self.x.shape
        size = max(1, VALUES // (n * (d * (d + 1) // 2 + 2 * n_columns)))
        blocks = [slice(i, i + size) for i in range(0, n_chunks, size)]
        return [blocks[i::SHARES] for i in range(min(SHARES, len(blocks)))]

    def _chunks(self, columns: Tensor, first: int = 0) -> Array:
        """Return (N, R) as (C, R, n), padded with zeros, behind ``first`` rows of nothing."""
        n = -(-self.n_samples // -(-self.n_samples // CHUNK))
        padded = torch.nn.functional.pad(columns, (0, 0, 0, -self.n_samples % n)).numpy()
        out = np.empty((len(padded) // n, first + columns.shape[1], n))
        out[:, first:] = padded.reshape(len(out), n, -1).swapaxes(1, 2)
        return out


@cache
def pairs(d: int) -> tuple[Tensor, Tensor]:
    """Return i and j of the products x~_i x~_j of d = D + 1 values, int64 (P,) each."""
    i, j = torch.triu_indices(d, d)
    order = (j - i).argsort(stable=True)
    return i[order], j[order]


class _Scratch(threading.local):
    """Arrays that a thread uses again and again: fresh memory costs more than filling it."""

    def __init__(self) -> None:
        self.arrays: dict[str, Array] = {}

    def __call__(self, name: str, shape: tuple[int, ...]) -> Array:
        size = math.prod(shape)
        if name not in self.arrays or self.arrays[name].size < size:
            self.arrays[name] = np.empty(size)
        return self.arrays[name][:size].reshape(shape)


def _softmax(joint: Array) -> Sums:
    """Turn (c, B, K, n) into exp(joint - max) in place; return the logsumexp and the sum."""
    top = joint.max(2, keepdims=True)
    joint -= top
    total = np.exp(joint, out=joint).sum(2)
    return np.log(total) + top[:, :, 0], total


def _added(parts: Iterator[Sums]) -> Sums:
    sums, log_likelihood = next(iter(parts := iter(parts)))
    for more, likelihood in parts:
        sums, log_likelihood = sums + more, log_likelihood + likelihood
    return sums, log_likelihood


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()
