"""Undo the turn of a pinwheel: all places that a wing carries to a given point.

Turning keeps the norm r of a place (u, v) = r (cos psi, sin psi), so psi is the one unknown. Wing
k of K carries it to the angle psi - 2 pi k / K - rate exp(r cos psi), modulo a whole turn.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_WINDINGS = 8  # turns searched on each side of the likeliest place on a circle


def wing_log_densities(
    radius: Array, angle: Array, n_wings: int, stds: tuple[float, float], rate: float
) -> Array:
    """Return the log densities of all wings, (N, K), at points given by radius and angle.

    Every place (u, v) that a wing carries there adds N(u, v) / |1 + rate exp(u) v|; the
    deviations are those of u and v, and the rate is not negative.

    Between its two folds the angle of a turned circle rises on one arc and falls on the
    other, so that an arc has one solution for every multiple of a turn that it spans.
    """
    inner, outer = _folds(radius, rate)
    likeliest = _likeliest(radius, stds)
    each = np.full(len(radius) * n_wings, -np.inf)
    for low, high, middle, sign in (
        (inner, outer + 2 * np.pi, likeliest, 1.0),
        (outer, inner, np.clip(-likeliest, outer, inner), -1.0),
    ):
        ends = [_multiple(psi, radius, angle, n_wings, rate) for psi in (low, middle, high)]
        point, multiple = _multiples(*ends[:: int(sign)], reach=_WINDINGS * n_wings)
        target = angle[point] + 2 * np.pi / n_wings * multiple
        distance = functools.partial(_distance, radius[point], target, rate, sign)
        psi = _solve(distance, low[point], high[point])
        log_density = _log_density(radius[point], psi, stds, rate)
        np.logaddexp.at(each, point * n_wings + multiple % n_wings, log_density)
    return each.reshape(-1, n_wings)


def _multiple(psi: Array, radius: Array, angle: Array, n_wings: int, rate: float) -> Array:
    """Return how many turns of a wing lie between a point's angle and that of psi, turned."""
    turned = psi - rate * np.exp(radius * np.cos(psi))
    return (turned - angle) * n_wings / (2 * np.pi)


def _multiples(
    low: Array, middle: Array, high: Array, *, reach: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """List the whole numbers in [low, high), and of each the point; none far from middle."""
    first = np.maximum(np.ceil(low), np.round(middle) - reach).astype(np.int64)
    last = np.minimum(np.ceil(high), np.round(middle) + reach).astype(np.int64)
    count = np.maximum(last - first, 0)
    point = np.repeat(np.arange(len(count)), count)
    return point, first[point] + np.arange(len(point)) - (np.cumsum(count) - count)[point]


def _distance(r: Array, target: Array, rate: float, sign: float, psi: Array) -> tuple[Array, Array]:
    """Return how far psi is turned past the target angle, and the slope, times a sign."""
    growth = rate * np.exp(r * np.cos(psi))
    return sign * (psi - growth - target), sign * (1 + growth * r * np.sin(psi))


def _log_density(r: Array, psi: Array, stds: tuple[float, float], rate: float) -> Array:
    """Return log N(u, v) - log |Jacobian|; on a fold it is infinite."""
    u, v = r * np.cos(psi), r * np.sin(psi)
    gaussian = log_normal(u, 1.0, stds[0]) + log_normal(v, 0.0, stds[1])
    with np.errstate(divide="ignore"):
        return gaussian - np.log(np.abs(1 + rate * np.exp(u) * v))


def _folds(radius: Array, rate: float) -> tuple[Array, Array]:
    """Return the angles in (-pi, 0) where a turned circle turns back; equal where it never does.

    They are the zeros of the Jacobian 1 + rate r sin(psi) exp(r cos psi), one on each side of
    its least value, which is at cos(psi) = 2 r / (1 + sqrt(1 + 4 r^2)).
    """
    lowest = -np.arccos(2 * radius / (1 + np.sqrt(1 + 4 * radius**2)))
    folded = np.flatnonzero(_jacobian(radius, rate, 1.0, lowest)[0] < 0)
    inner, outer, r = lowest.copy(), lowest.copy(), radius[folded]
    rises, falls = (functools.partial(_jacobian, r, rate, sign) for sign in (1.0, -1.0))
    inner[folded] = _solve(rises, lowest[folded], np.zeros(len(r)))
    outer[folded] = _solve(falls, np.full(len(r), -np.pi), lowest[folded])
    return inner, outer


def _jacobian(r: Array, rate: float, sign: float, psi: Array) -> tuple[Array, Array]:
    """Return the Jacobian of the turn and its slope over psi, times a sign."""
    cos, sin = np.cos(psi), np.sin(psi)
    growth = rate * r * np.exp(r * cos)
    return sign * (1 + growth * sin), sign * growth * (cos - r * sin**2)


def _likeliest(radius: Array, stds: tuple[float, float]) -> Array:
    """Return the angle psi in [0, pi / 2] of the point of a circle with the largest N(u, v)."""
    radial, tangential = stds
    if tangential <= radial:
        return np.zeros_like(radius)
    cosine = 1 / np.maximum(radius * (1 - (radial / tangential) ** 2), 1e-300)
    return np.arccos(np.minimum(cosine, 1.0))


def _solve(function: Callable[[Array], tuple[Array, Array]], low: Array, high: Array) -> Array:
    """Find the zeros of increasing functions by Newton's steps, by halving where they leave.

    ``function`` maps (M,) to values and slopes (M,); a zero lies between low and high.
    """
    middle = (low + high) / 2
    for _ in range(60):
        value, slope = function(middle)
        low, high = np.where(value < 0, middle, low), np.where(value < 0, high, middle)
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = middle - value / slope
        inside = (newton >= low) & (newton <= high)
        moved = np.where(inside, newton, (low + high) / 2)
        change, middle = np.abs(moved - middle), moved
        if change.max(initial=0.0) < 1e-12:
            break
    return middle


def log_normal(x: Array, mean: float | Array, std: float) -> Array:
    """Return log N(x; mean, std^2)."""
    return -0.5 * ((x - mean) / std) ** 2 - math.log(std * math.sqrt(2 * math.pi))
