"""The direction in which samples vary most."""

from __future__ import annotations

import torch
from torch import Tensor

RANK, ITERATIONS = 6, 4


def main_direction(x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Return the first right singular vector, of length 1, of a matrix: (N, D) -> (D,).

    By iterating on a random subspace: exact solvers were seen to fail on images, whose border
    pixels are all alike. ``torch.svd_lowrank`` does the same, but takes no generator.

    Parameters
    ----------
    x
        Centred samples.
    generator
        Draws the subspace, on the device of x; None is torch's global one.

    References
    ----------
    N. Halko, P. G. Martinsson, J. A. Tropp, Finding structure with randomness, SIAM Review 53
    (2011), https://arxiv.org/abs/0909.4061, algorithms 4.4 and 5.1.
    """
    tall = x if len(x) >= x.shape[1] else x.mT
    shape = (tall.shape[1], min(RANK, *x.shape))
    start = torch.randn(shape, dtype=x.dtype, device=x.device, generator=generator)
    basis = torch.linalg.qr(tall @ start).Q
    for _ in range(ITERATIONS):
        basis = torch.linalg.qr(tall.mH @ basis).Q
        basis = torch.linalg.qr(tall @ basis).Q
    left, _, right = torch.linalg.svd(basis.mH @ tall, full_matrices=False)
    return right.mH[:, 0] if tall is x else (basis @ left)[:, 0]
