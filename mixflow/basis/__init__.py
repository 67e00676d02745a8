"""Densities on a fixed Gaussian basis: pure functions on arrays and tensors.

The basis of Lu et al. (2023): n Gaussians on a uniform grid, all of one width, of which only the
weights are learned. NumPy arrays give arrays, torch tensors give tensors on their device; all
features are handled at once, and lengths are in cells of the grid.
:class:`mixflow.BasisDensity` is the estimator on top.
"""

from mixflow.basis.bandwidth import LEAST_SIGMA, isj_sigma, silverman_sigma
from mixflow.basis.binning import bin_counts
from mixflow.basis.bounds import bulk_share, range_bounds, robust_bounds
from mixflow.basis.density import cdf, cell_masses, log_prob, quantile, sample
from mixflow.basis.learning import em_weights, nearest_weights, region_kernel, region_weights
from mixflow.basis.loss import basis_loss, mass_loss
from mixflow.basis.spacing import spacings

__all__ = [
    "LEAST_SIGMA",
    "basis_loss",
    "bin_counts",
    "bulk_share",
    "cdf",
    "cell_masses",
    "em_weights",
    "isj_sigma",
    "log_prob",
    "mass_loss",
    "nearest_weights",
    "quantile",
    "range_bounds",
    "region_kernel",
    "region_weights",
    "robust_bounds",
    "sample",
    "silverman_sigma",
    "spacings",
]
