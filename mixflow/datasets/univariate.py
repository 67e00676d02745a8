"""Random one-dimensional densities with a known distribution: targets for density estimators.

The two families of Lu et al. (2023): mixtures of 8 Gaussians, and of 8 components each of which
is a Gaussian, a Student t or a uniform density. The paper leaves their parameters open; the
ranges here are chosen so that its published averages come out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]
Family = Literal["gaussians", "mixed"]
KINDS = ("normal", "t", "uniform")


@dataclass(frozen=True)
class UnivariateMixture:
    """A mixture of normal, Student t and uniform densities on the line.

    Attributes
    ----------
    weights
        (K,), sum to one.
    locations
        Centres of the components, (K,).
    scales
        Sd of a normal, scale of a t, half the width of a uniform component, (K,).
    kinds
        Index into ``KINDS``, (K,).
    dofs
        Degrees of freedom of the t components, (K,); ignored elsewhere.
    """

    weights: Array
    locations: Array
    scales: Array
    kinds: NDArray[np.int64]
    dofs: Array

    def sample(self, n_samples: int, random_state: int | np.random.Generator | None) -> Array:
        """Draw samples (n_samples,), in random order."""
        rng = np.random.default_rng(random_state)
        counts = rng.multinomial(n_samples, self.weights)
        draws = [c.rvs(n, random_state=rng) for c, n in zip(self._components, counts, strict=True)]
        return rng.permutation(np.concatenate(draws))

    def cdf(self, x: Array) -> Array:
        """Return the cumulative distribution at x, of any shape."""
        return self._weighted([c.cdf(x) for c in self._components])

    def pdf(self, x: Array) -> Array:
        """Return the density at x, of any shape."""
        return self._weighted([c.pdf(x) for c in self._components])

    def _weighted(self, values: list[Any]) -> Array:
        return np.tensordot(self.weights, np.stack(values), 1)

    @cached_property
    def _components(self) -> list[Any]:
        make = (
            lambda loc, scale, dof: stats.norm(loc, scale),
            lambda loc, scale, dof: stats.t(dof, loc, scale),
            lambda loc, scale, dof: stats.uniform(loc - scale, 2 * scale),
        )
        parameters = zip(self.kinds, self.locations, self.scales, self.dofs, strict=True)
        return [make[kind](loc, scale, dof) for kind, loc, scale, dof in parameters]


def random_mixture(
    family: Family, random_state: int | np.random.Generator | None = None
) -> UnivariateMixture:
    """Draw one target of a family.

    Eight components; weights from U(0, 1), normalised; locations from U(0, 1). ``"gaussians"``
    have sd from U(.05, .15). In ``"mixed"`` each component is a normal with such an sd, a t with
    such a scale and 5 to 30 degrees of freedom, or uniform with half-width from U(.025, .15),
    each with probability 1/3.

    Parameters
    ----------
    family
        ``"gaussians"`` or ``"mixed"``.
    random_state
        Seed or generator.

    Raises
    ------
    ValueError
        If there is no such family.

    Examples
    --------
    >>> target = random_mixture("gaussians", 0)
    >>> round(float(target.cdf(target.sample(20_000, 1)).mean()), 2)
    0.5
    """
    if family not in ("gaussians", "mixed"):
        raise ValueError(f"family must be 'gaussians' or 'mixed', got {family!r}")
    rng, k = np.random.default_rng(random_state), 8
    weights, locations, scales = rng.random(k), rng.random(k), rng.uniform(0.05, 0.15, k)
    kinds = rng.integers(0, len(KINDS), k) if family == "mixed" else np.zeros(k, np.int64)
    dofs, half_widths = rng.integers(5, 31, k).astype(float), rng.uniform(0.025, 0.15, k)
    scales = np.where(kinds == KINDS.index("uniform"), half_widths, scales)
    return UnivariateMixture(weights / weights.sum(), locations, scales, kinds, dofs)
