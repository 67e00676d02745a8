"""Bandwidths: Botev's published procedure, the optimum for a normal, scale, fallbacks."""

import numpy as np
import pytest
from scipy.fft import dct
from scipy.optimize import brentq

from mixflow import basis


def botev(counts):
    """Solve t = xi gamma(t) as the paper writes it, one feature, in cells."""
    n, total = len(counts), counts.sum()
    k2 = np.arange(1, n) ** 2.0
    a2 = (dct(counts / total)[1:] / 2) ** 2

    def excess(t):
        f = 2 * np.pi**10 * (k2**5 * a2 * np.exp(-k2 * np.pi**2 * t)).sum()
        for s in (4, 3, 2):
            k0 = np.prod(np.arange(1, 2 * s, 2)) / np.sqrt(2 * np.pi)
            c = (1 + 0.5 ** (s + 0.5)) / 3
            at = (2 * c * k0 / total / f) ** (2 / (3 + 2 * s))
            f = 2 * np.pi ** (2 * s) * (k2**s * a2 * np.exp(-k2 * np.pi**2 * at)).sum()
        return t - (2 * total * np.sqrt(np.pi) * f) ** -0.4

    return n * np.sqrt(brentq(excess, 1e-7, 0.1))


def binned(x, n):
    return basis.bin_counts(x[:, None], x.min(), x.max(), n)[0]


@pytest.mark.parametrize("n", [64, 200, 1000])
def test_isj_is_botevs(n):
    rng = np.random.default_rng(0)
    samples = [
        rng.normal(size=3000),
        np.concatenate([rng.normal(size=2000), rng.normal(7, 0.3, 900)]),
    ]
    for x in samples:
        counts = binned(x, n)
        assert basis.isj_sigma(counts)[0] == pytest.approx(botev(counts[0]), rel=1e-5)


def test_isj_is_near_the_optimum_for_a_normal():
    x = np.random.default_rng(1).normal(size=20_000)
    width = np.ptp(x) / 400
    assert basis.isj_sigma(binned(x, 400))[0] * width == pytest.approx(
        (4 / 3 / 20_000) ** 0.2, rel=0.1
    )


def test_isj_does_not_blur_separate_bumps():
    rng = np.random.default_rng(2)
    x = np.concatenate([rng.normal(0, 1, 2000), rng.normal(100, 1, 2000)])
    counts = binned(x, 1000)
    assert basis.isj_sigma(counts)[0] < basis.silverman_sigma(counts)[0] / 10


def test_features_do_not_see_each_other():
    rng = np.random.default_rng(3)
    x = np.stack([rng.normal(size=1000), rng.random(1000), rng.exponential(size=1000)], axis=1)
    counts, _ = basis.bin_counts(x, *basis.range_bounds(x), 128)
    together = basis.isj_sigma(counts)
    alone = [basis.isj_sigma(counts[d : d + 1])[0] for d in range(3)]
    np.testing.assert_allclose(together, alone, rtol=1e-12)


def test_silverman_is_its_formula():
    x = np.random.default_rng(4).normal(size=5000)
    width = np.ptp(x) / 2000
    quartiles = np.quantile(x, [0.25, 0.75])
    expected = 0.9 * min(x.std(), np.diff(quartiles)[0] / 1.34) * 5000**-0.2
    assert basis.silverman_sigma(binned(x, 2000))[0] * width == pytest.approx(expected, rel=0.01)


def test_what_the_grid_cannot_express_becomes_half_a_cell():
    counts = np.zeros((2, 50), int)
    counts[:, 25] = 1000  # all in one cell
    counts[1, [0, 49]] = 1
    np.testing.assert_array_equal(basis.isj_sigma(counts), basis.LEAST_SIGMA)


@pytest.mark.parametrize("n", [1, 2, 7])
def test_few_cells_take_silvermans_rule(n):
    counts = np.full((1, n), 5)
    assert basis.isj_sigma(counts) == basis.silverman_sigma(counts)


def test_without_points_there_is_no_bandwidth():
    with pytest.raises(ValueError, match="feature 1 has no points"):
        basis.isj_sigma(np.array([[1] * 10, [0] * 10]))
