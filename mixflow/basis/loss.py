"""The paper's loss L: how far the masses of the cells are from those of the target."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mixflow.basis.arrays import numpy_or_torch
from mixflow.basis.density import cell_masses


@numpy_or_torch
def mass_loss(masses: Tensor, target_cdf: Tensor) -> Tensor:
    r"""Return L of the masses of the cells and tails, for every feature: 0 (same) to 2.

    .. math:: L = \sum_i |P_\text{target}(\omega_i) - P(\omega_i)|

    over the n cells and the two tails. It sees nothing of what happens inside a cell: as an
    estimate of :math:`\int |p - q|` it is a lower bound.

    Parameters
    ----------
    masses
        Below the grid, in each cell, above: (D, n + 2).
    target_cdf
        The target's cumulative distribution at the n + 1 borders of the cells, (D, n + 1).

    Returns
    -------
    array
        L, (D,).

    References
    ----------
    Lu et al., preprints.org 202302.0275, eq. (9).
    """
    if masses.shape[1] != target_cdf.shape[1] + 1:
        raise ValueError(
            f"masses (D, n + 2) and target_cdf (D, n + 1) do not fit: got {tuple(masses.shape)} "
            f"and {tuple(target_cdf.shape)}"
        )
    ends = target_cdf.new_zeros(len(target_cdf), 1), target_cdf.new_ones(len(target_cdf), 1)
    target = torch.cat([ends[0], target_cdf, ends[1]], dim=1).diff(dim=1)
    return (masses - target).abs().sum(1)


@numpy_or_torch
def basis_loss(weights: Tensor, sigma: Any, target_cdf: Tensor) -> Tensor:
    """Return L of mixtures on the basis: :func:`mass_loss` of their :func:`cell_masses`, (D,)."""
    return mass_loss(cell_masses(weights, sigma), target_cdf)
