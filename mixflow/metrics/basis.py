"""The paper's loss L of densities on a fixed basis: how far cells' masses are from the target's.

The same functions as in :mod:`mixflow.basis`, for any array-like and in double precision.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mixflow.validation import (
    Real,
    as_floats,
    as_probabilities,
    as_real,
    check_finite,
    refuse,
)


def basis_loss(weights: ArrayLike, sigma: ArrayLike, target_cdf: ArrayLike) -> Real:
    r"""Return L of mixtures on the basis against known distributions, for every feature.

    .. math:: L = \sum_i |P_\text{target}(\omega_i) - P(\omega_i)|

    over the n cells :math:`\omega_i` of the grid and the two tails beside it.

    Parameters
    ----------
    weights
        Weights of n Gaussians in the middle of n cells, (D, n); lines sum to 1.
    sigma
        Standard deviation of the Gaussians in cells, a number or (D,), greater than 0.
    target_cdf
        The target's cumulative distribution at the n + 1 borders of the cells, (D, n + 1).

    Returns
    -------
    numpy.ndarray
        L, (D,), without a unit, in [0, 2]; lower is better, 0 for equal masses.

    Raises
    ------
    ValueError
        Shapes that do not fit, masked values, NaN or infinity, weights that do not sum to 1, a
        width of 0 or less, a cumulative distribution that falls or leaves [0, 1].

    Notes
    -----
    Lu et al., https://www.preprints.org/manuscript/202302.0275, eq. 9. It sees nothing of what
    happens inside a cell, so it is at most :math:`\int |p - q|`; for the same reason compare only
    numbers from equal grids. :meth:`mixflow.BasisDensity.loss` gives it for a fitted estimator.

    Examples
    --------
    >>> uniform = [[0.0, 0.5, 1.0]]
    >>> basis_loss([[0.5, 0.5]], 0.01, uniform).round(6).tolist()
    [0.0]
    >>> basis_loss([[1.0, 0.0]], 0.01, uniform).round(6).tolist()
    [1.0]
    """
    from mixflow.basis import basis_loss as of_tensors  # which imports torch

    w = as_probabilities(weights, "weights", "D n")
    target = _cdf(target_cdf, len(w), w.shape[1] + 1)
    loss: Real = of_tensors(w, _widths(sigma, len(w)), target)
    return loss


def mass_loss(masses: ArrayLike, target_cdf: ArrayLike) -> Real:
    r"""Return L of any density, from its masses in the cells and tails, for every feature.

    Parameters
    ----------
    masses
        Mass below the grid, in each of n cells, above the grid: (D, n + 2); lines sum to 1.
    target_cdf
        As for :func:`basis_loss`, (D, n + 1).

    Returns
    -------
    numpy.ndarray
        L, (D,), without a unit, in [0, 2]; lower is better, 0 for equal masses.

    Raises
    ------
    ValueError
        As :func:`basis_loss`.

    Notes
    -----
    Lu et al., https://www.preprints.org/manuscript/202302.0275, eq. 9; for estimators that are
    not on the basis.

    Examples
    --------
    >>> mass_loss([[0.0, 0.5, 0.25, 0.25]], [[0.0, 0.5, 1.0]]).tolist()
    [0.5]
    """
    from mixflow.basis import mass_loss as of_tensors

    checked = as_probabilities(masses, "masses", "D n+2")
    loss: Real = of_tensors(checked, _cdf(target_cdf, len(checked), checked.shape[1] - 1))
    return loss


def _cdf(values: ArrayLike, n_features: int, n_borders: int) -> Real:
    """Return cumulative distributions, (D, n + 1)."""
    cdf = as_real(values, "target_cdf", "D n+1")
    if cdf.shape != (n_features, n_borders):
        raise ValueError(
            f"target_cdf must have shape {(n_features, n_borders)}, one value for each border of "
            f"a cell, got {cdf.shape}"
        )
    if cdf.min() < 0 or cdf.max() > 1:
        refuse((cdf < 0) | (cdf > 1), "target_cdf", "values outside [0, 1]")
    refuse(np.diff(cdf) < 0, "target_cdf", "a fall")
    return cdf


def _widths(values: ArrayLike, n_features: int) -> Real:
    """Return one width for each feature, (D,)."""
    sigma = as_floats(values, "sigma")
    if sigma.shape not in [(), (n_features,)]:
        raise ValueError(f"sigma must be a number or have shape {(n_features,)}, got {sigma.shape}")
    check_finite(sigma, "sigma")
    refuse(sigma <= 0, "sigma", "a width of 0 or less")
    return np.broadcast_to(sigma, (n_features,))
