"""Random targets: densities, distributions and samples that belong together."""

import numpy as np
import pytest
from scipy import integrate
from scipy.stats import kstest

from mixflow.datasets.univariate import KINDS, random_mixture


@pytest.mark.parametrize("family", ["gaussians", "mixed"])
@pytest.mark.parametrize("seed", range(3))
def test_density_distribution_and_samples_agree(family, seed):
    target = random_mixture(family, seed)
    x = np.linspace(-8, 9, 400_001)
    density, cdf = target.pdf(x), target.cdf(x)
    np.testing.assert_allclose(
        integrate.cumulative_trapezoid(density, x, initial=0), cdf - cdf[0], atol=1e-4
    )
    assert cdf[-1] == pytest.approx(1, abs=1e-4)
    assert kstest(target.sample(4000, 1), target.cdf).pvalue > 1e-3


def test_the_families_are_as_described():
    targets = [random_mixture("mixed", seed) for seed in range(300)]
    kinds = np.stack([t.kinds for t in targets])
    scales = np.stack([t.scales for t in targets])
    np.testing.assert_allclose(np.bincount(kinds.ravel()) / kinds.size, 1 / 3, atol=0.04)
    uniform = kinds == KINDS.index("uniform")
    assert 0.025 <= scales[uniform].min() < 0.03
    assert 0.05 <= scales[~uniform].min() < 0.06
    assert scales.max() <= 0.15
    dofs = np.stack([t.dofs for t in targets])
    assert (dofs.min(), dofs.max()) == (5, 30)
    np.testing.assert_allclose([t.weights.sum() for t in targets], 1)
    assert not random_mixture("gaussians", 0).kinds.any()


def test_seeds_repeat_and_samples_are_shuffled():
    a, b = random_mixture("mixed", 4), random_mixture("mixed", 4)
    np.testing.assert_array_equal(a.sample(100, 5), b.sample(100, 5))
    x = a.sample(4000, 6)
    assert abs(np.corrcoef(x[:-1], x[1:])[0, 1]) < 0.06


def test_an_unknown_family_is_an_error():
    with pytest.raises(ValueError, match="'gaussians' or 'mixed'"):
        random_mixture("gaussian")
