"""Two-dimensional sets drawn from a seed: pinwheel, circles, moons and spirals.

Each returns samples ``x`` (N, 2) float64 and the class ``y`` (N,) int64 of each sample,
shuffled together; the same arguments and seed give the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mixflow.datasets.checks import count, finite, size

Samples = tuple[NDArray[np.float64], NDArray[np.int64]]
RandomState = int | np.random.Generator | None


def pinwheel(
    n_samples_per_wing: int,
    *,
    n_wings: int = 5,
    radial_std: float = 0.3,
    tangential_std: float = 0.05,
    rate: float = 0.4,
    scale: float = 0.5,
    random_state: RandomState = None,
) -> Samples:
    r"""Draw a pinwheel: Gaussian wings, rotated the more the further out they are.

    With a point (u, v) drawn from a Gaussian with mean (1, 0) and the two deviations,
    wing k of K is that point turned clockwise by :math:`2 \pi k / K + rate \, e^u`.
    The turn depends on u, so it stretches areas by :math:`|1 + rate \, e^u v|`, a little.
    The expected log density of a wing under its own law is about
    :math:`-\log(2 \pi e \, \sigma_u \sigma_v \, scale^2)
    + \tfrac12 rate^2 \sigma_v^2 e^{2 + 2 \sigma_u^2}`, where the second term is 0.002 by
    default; a mixture of separate wings adds :math:`-\log K`. Exact:
    :func:`~mixflow.datasets.densities.pinwheel_log_density`.

    Parameters
    ----------
    n_samples_per_wing
        Samples of each wing.
    n_wings
        Number K of wings, which are the classes.
    radial_std, tangential_std
        Deviations along and across a wing, in units before `scale`.
    rate
        How much the wings curl; 0 gives straight ones.
    scale
        Factor on the result. Johnson et al. use 10; VMoNF divides that by 20.
    random_state
        Seed or generator; None draws fresh numbers.

    Returns
    -------
    x : numpy.ndarray
        Samples, (n_wings * n_samples_per_wing, 2) float64.
    y : numpy.ndarray
        Wing of each sample, int64.

    Raises
    ------
    ValueError
        A count below 1, a negative deviation, a scale that is not positive, or a value
        that is not a finite number.

    Notes
    -----
    After M. J. Johnson et al., NeurIPS (2016), https://arxiv.org/abs/1603.06277.

    Examples
    --------
    >>> x, y = pinwheel(100, n_wings=3, rate=0.25, random_state=0)
    >>> x.shape, y.shape, sorted(set(y.tolist()))
    ((300, 2), (300,), [0, 1, 2])
    """
    n, n_wings = count("n_samples_per_wing", n_samples_per_wing), count("n_wings", n_wings)
    stds = [size("radial_std", radial_std), size("tangential_std", tangential_std)]
    finite("rate", rate)
    if finite("scale", scale) <= 0:
        raise ValueError(f"scale must be positive, got {scale!r}")
    rng = _generator(random_state)
    y = np.repeat(np.arange(n_wings), n)
    features = rng.standard_normal((n_wings * n, 2)) * stds + [1.0, 0.0]
    angle = 2 * np.pi * y / n_wings + rate * np.exp(features[:, 0])
    cos, sin = np.cos(angle), np.sin(angle)
    u, v = features.T
    return _shuffled(scale * np.column_stack((u * cos + v * sin, v * cos - u * sin)), y, rng)


def circles(
    n_samples: int,
    *,
    radii: Sequence[float] = (0.8, 0.4),
    noise: float = 0.05,
    random_state: RandomState = None,
) -> Samples:
    """Draw concentric rings: uniform angles, Gaussian noise along the radius only.

    Parameters
    ----------
    n_samples
        Samples in all, shared evenly; the first rings get one more where it does not
        come out even.
    radii
        Radius of each ring; ring k has class k. VMoNF: 0.8 and 0.4.
    noise
        Standard deviation of the radius.
    random_state
        Seed or generator; None draws fresh numbers.

    Returns
    -------
    x : numpy.ndarray
        Samples, (n_samples, 2) float64.
    y : numpy.ndarray
        Ring of each sample, int64.

    Raises
    ------
    ValueError
        Fewer samples than rings, no ring, a radius that is not positive, or negative
        noise.

    Examples
    --------
    >>> x, y = circles(1000, noise=0.0, random_state=0)
    >>> float((x[y == 0] ** 2).sum(1).round(2).min())
    0.64
    """
    if np.ndim(radii) != 1 or not len(radii):
        raise ValueError(f"radii must be a list of one or more numbers, got {radii!r}")
    centres = np.array([finite("radii", radius) for radius in radii])
    if centres.min() <= 0:
        raise ValueError(f"radii must be positive, got {radii!r}")
    y = _classes("n_samples", n_samples, len(centres))
    rng = _generator(random_state)
    radius = centres[y] + size("noise", noise) * rng.standard_normal(len(y))
    return _shuffled(_polar(radius, rng.uniform(0, 2 * np.pi, len(y))), y, rng)


def moons(n_samples: int, *, noise: float = 0.05, random_state: RandomState = None) -> Samples:
    """Draw two interleaved half circles of radius 1 with Gaussian noise.

    Parameters
    ----------
    n_samples
        Samples in all; half of them on each moon, one more on the first if odd.
    noise
        Standard deviation of the noise in both directions.
    random_state
        Seed or generator; None draws fresh numbers.

    Returns
    -------
    x : numpy.ndarray
        Samples, (n_samples, 2) float64; the upper moon (class 0) is centred at (0, 0),
        the lower one (class 1) at (1, 0.5).
    y : numpy.ndarray
        Moon of each sample, int64.

    Raises
    ------
    ValueError
        Fewer than two samples, or negative noise.

    Examples
    --------
    >>> x, y = moons(7, random_state=0)
    >>> x.shape, int(y.sum())
    ((7, 2), 3)
    """
    y = _classes("n_samples", n_samples, 2)
    std = size("noise", noise)
    rng = _generator(random_state)
    x = _polar(np.ones(len(y)), rng.uniform(0, np.pi, len(y)))
    x[y == 1] = [1.0, 0.5] - x[y == 1]
    return _shuffled(x + std * rng.standard_normal(x.shape), y, rng)


def spirals(
    n_samples: int,
    *,
    n_arms: int = 2,
    turns: float = 1.0,
    noise: float = 0.02,
    random_state: RandomState = None,
) -> Samples:
    """Draw interleaved Archimedean spirals that reach radius 1, with Gaussian noise.

    Parameters
    ----------
    n_samples
        Samples in all, shared evenly; the first arms get one more where it does not
        come out even.
    n_arms
        Number of arms, which are the classes.
    turns
        How often an arm winds around the centre.
    noise
        Standard deviation of the noise in both directions.
    random_state
        Seed or generator; None draws fresh numbers.

    Returns
    -------
    x : numpy.ndarray
        Samples, (n_samples, 2) float64.
    y : numpy.ndarray
        Arm of each sample, int64.

    Raises
    ------
    ValueError
        Fewer samples than arms, no arm, or negative noise or turns.

    Examples
    --------
    >>> x, y = spirals(90, n_arms=3, random_state=0)
    >>> x.shape, np.bincount(y).tolist()
    ((90, 2), [30, 30, 30])
    """
    n_arms = count("n_arms", n_arms)
    y = _classes("n_samples", n_samples, n_arms)
    turns, std = size("turns", turns), size("noise", noise)
    rng = _generator(random_state)
    # The length of an arm grows with the square of the radius: the root spreads evenly.
    radius = np.sqrt(rng.uniform(0, 1, len(y)))
    x = _polar(radius, 2 * np.pi * (turns * radius + y / n_arms))
    return _shuffled(x + std * rng.standard_normal(x.shape), y, rng)


def _generator(random_state: RandomState) -> np.random.Generator:
    """Return the generator of random numbers that a seed stands for."""
    try:
        return np.random.default_rng(random_state)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"random_state must be a whole number >= 0, a numpy Generator or None, "
            f"got {random_state!r}"
        ) from error


def _polar(radius: NDArray[np.float64], angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the points (N, 2) at these radii and angles."""
    return np.column_stack((radius * np.cos(angle), radius * np.sin(angle)))


def _shuffled(x: NDArray, y: NDArray, rng: np.random.Generator) -> Samples:
    """Return samples and classes in one random order."""
    order = rng.permutation(len(y))
    return x[order], y[order].astype(np.int64)


def _classes(name: str, n_samples: int, n_classes: int) -> NDArray[np.int64]:
    """Share samples evenly among classes; the first classes get the remainder."""
    if count(name, n_samples) < n_classes:
        raise ValueError(f"{name} must be at least {n_classes}, one a class, got {n_samples!r}")
    return np.sort(np.arange(n_samples) % n_classes)
