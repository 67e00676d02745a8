"""The loss L: against sums of normal distributions, and what does not fit."""

import numpy as np
import pytest
import torch
from scipy import stats

from mixflow import basis
from mixflow.metrics import basis_loss, mass_loss

D, N = 3, 9


def example(seed=0):
    rng = np.random.default_rng(seed)
    weights, sigma = rng.dirichlet(np.ones(N), size=D), rng.uniform(0.6, 3, size=D)
    return weights, sigma, np.sort(rng.random((D, N + 1)), axis=1)


def masses_by_scipy(weights, sigma):
    """Mass below, in each cell, above, of one feature."""
    borders = np.r_[-np.inf, np.arange(N + 1.0), np.inf]
    each = stats.norm.cdf(borders[:, None], np.arange(N) + 0.5, sigma)
    return np.diff(each @ weights)


def test_it_is_the_sum_over_cells_and_tails():
    weights, sigma, cdf = example()
    expected = [
        np.abs(masses_by_scipy(w, s) - np.diff(np.r_[0, c, 1])).sum()
        for w, s, c in zip(weights, sigma, cdf, strict=True)
    ]
    np.testing.assert_allclose(basis_loss(weights, sigma, cdf), expected, rtol=1e-9)
    masses = [masses_by_scipy(w, s) for w, s in zip(weights, sigma, strict=True)]
    np.testing.assert_allclose(mass_loss(masses, cdf), expected, rtol=1e-12)


def test_it_is_that_of_the_basis_bit_for_bit():
    weights, sigma, cdf = example()
    np.testing.assert_array_equal(
        basis_loss(weights, sigma, cdf), basis.basis_loss(weights, sigma, cdf)
    )
    np.testing.assert_array_equal(
        basis_loss(weights, 1.5, cdf), basis.basis_loss(weights, 1.5, cdf)
    )


def test_tensors_give_arrays():
    weights, sigma, cdf = map(torch.tensor, example())
    assert isinstance(basis_loss(weights, sigma, cdf), np.ndarray)
    assert basis_loss(weights, sigma, cdf).dtype == np.float64


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": lambda w: 2 * w}, "weights must sum to 1 in every line, and 3 of 3"),
        ({"weights": lambda w: w - 0.2}, "weights holds negative numbers"),
        ({"sigma": lambda s: s[:2]}, r"sigma must be a number or have shape \(3,\)"),
        ({"sigma": lambda s: s * [1, 0, 1]}, r"sigma holds a width of 0 or less .* \[1\]"),
        ({"sigma": lambda s: 0.0}, "sigma holds a width of 0 or less"),
        ({"target_cdf": lambda c: c[:, 1:]}, r"target_cdf must have shape \(3, 10\)"),
        ({"target_cdf": lambda c: c[:, ::-1]}, "target_cdf holds a fall"),
        ({"target_cdf": lambda c: c + 0.5}, r"target_cdf holds values outside \[0, 1\]"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    given = dict(zip(("weights", "sigma", "target_cdf"), example(), strict=True))
    for name, spoil in change.items():
        given[name] = spoil(given[name])
    with pytest.raises(ValueError, match=message):
        basis_loss(**given)
