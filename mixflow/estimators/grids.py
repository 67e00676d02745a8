"""Where a grid begins and ends, and what becomes of points outside: choices and messages."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mixflow import basis
from mixflow.modes import warn_caller
from mixflow.validation import as_floats

# Warn when the grid could be this much narrower without its outermost points.
CROWDED = 0.6
Name = Callable[[int], str]
# A grid has at most so many cells: more are finer than any use, and fill the memory.
MOST_COMPONENTS = 10**7
# From a warning up to the caller of fit, past scikit-learn's wrapper.
_LEVEL = 5


def as_numpy(x: Any) -> Any:
    """Return a tensor as an array, and leave anything else alone."""
    return x.detach().cpu().numpy() if isinstance(x, Tensor) else x


def cast(x: Any, like: Any) -> Any:
    """Return x as an array or a tensor: of the kind, dtype and device of another."""
    if isinstance(like, Tensor):
        x = torch.from_numpy(np.array(x)) if isinstance(x, np.ndarray) else x
        return x.to(like.device, like.dtype)
    return np.asarray(as_numpy(x)).astype(like.dtype, copy=False)


def choose_bounds(
    x: Any, bounds: Any, *, trim: float, min_range: float | None, name: Name = "feature {}".format
) -> tuple[Any, Any]:
    """Return low and high (D,), of the kind and dtype of x (N, D).

    Parameters are those of :class:`mixflow.BasisDensity`; ``name`` says what to call a feature.

    Raises
    ------
    ValueError
        If bounds have a wrong form, or a feature has no extent.
    """
    if bounds is None:
        low, high = basis.range_bounds(x)
    elif isinstance(bounds, str):
        low, high = basis.robust_bounds(x, trim)
    else:
        low, high = _given(bounds, x)
    if min_range is not None:
        missing = (min_range - (high - low)).clip(0) / 2
        low, high = low - missing, high + missing
    flat = np.flatnonzero(~as_numpy(low < high))
    if len(flat):
        named = bounds is not None and not isinstance(bounds, str)
        raise ValueError(_flat_message(name(int(flat[0])), len(flat), len(x), named))
    return low, high


def _given(bounds: Any, x: Any) -> list[Any]:
    if len(bounds) != 2:
        raise ValueError(
            f"bounds must be (low, high), two numbers or two arrays (D,), got {bounds!r}"
        )
    values = [as_floats(bound, "bounds") for bound in bounds]
    for value in values:
        if value.shape not in ((), (x.shape[1],)) or not np.isfinite(value).all():
            raise ValueError(
                f"bounds must be finite, each a number or of shape ({x.shape[1]},), got {bounds!r}"
            )
    return [cast(np.broadcast_to(value, (x.shape[1],)).copy(), x) for value in values]


def _flat_message(feature: str, number: int, n_samples: int, named: bool) -> str:
    if named:
        return f"bounds must have low < high; {feature} has not ({number} such in all)"
    seen = "has 1 sample" if n_samples == 1 else "is constant"
    return (
        f"{feature} {seen}, so it gives no bounds ({number} such in all); name them, "
        "bounds=(low, high), give min_range, or leave such features out (scikit-learn's "
        "VarianceThreshold does)"
    )


def check_widths(sigma: np.ndarray, width: np.ndarray) -> None:
    """Raise ``ValueError`` where a point half a cell from a mean would have no finite density.

    Parameters
    ----------
    sigma, width
        Sds in cells, and widths of the cells, of equal shapes.
    """
    with np.errstate(all="ignore"):
        nearest = -0.5 * (0.5 / sigma) ** 2 - np.log(sigma * width)
    if not np.isfinite(nearest).all():
        worst = tuple(np.argwhere(~np.isfinite(nearest))[0])
        raise ValueError(
            f"Gaussians of sd {sigma[worst]:.3g} cells of width {width[worst]:.3g} give points "
            "between their means no finite density; take a larger sigma, or bring X to a scale "
            "near 1"
        )


def at_least_spacing(sigma: Any, spacing: np.ndarray, name: Name) -> np.ndarray:
    """Return bandwidths (D,) that are no narrower than the distance of rounded values.

    Both in cells. Warns where that widens them: the rule would show the rounding, not the density.
    """
    out = np.where(spacing > 0, np.maximum(sigma, np.maximum(spacing, 1)), sigma)
    wider = np.flatnonzero(out > sigma)
    if len(wider):
        warn_caller(
            f"{name(int(wider[0]))} is rounded ({len(wider)} such features): its bandwidth is made "
            "as wide as the distance of its values; add noise as wide as that, or give sigma"
        )
    return out


def judge_outside(
    outside: Any, n_samples: int, policy: str, name: Name = "feature {}".format
) -> None:
    """Warn of points outside the bounds (D, 2) that are dropped, or raise, as the policy says."""
    number = as_numpy(outside).sum(1)
    if policy == "clip" or not number.any():
        return
    worst = int(number.argmax())
    said = (
        f"{number[worst]} of {n_samples} points of {name(worst)} lie outside the bounds "
        f"({int((number > 0).sum())} such features)"
    )
    if policy == "raise":
        raise ValueError(f"{said}; widen bounds, or choose outside='drop' or 'clip'")
    warnings.warn(
        f"{said} and are left out; widen bounds, or choose outside='clip' or 'raise'",
        stacklevel=_LEVEL,
    )


def warn_of_outliers(counts: Any, trim: float, name: Name = "feature {}".format) -> None:
    """Warn where a few points far out make the cells (D, n) much wider than the bulk needs."""
    share = as_numpy(basis.bulk_share(counts, trim))
    crowded = np.flatnonzero(share < CROWDED)
    if len(crowded):
        worst = int(share.argmin())
        warnings.warn(
            f"a few outliers widen the cells: without them the grid of {name(worst)} would "
            f"need {share[worst]:.0%} of its range ({len(crowded)} such features); "
            "bounds='robust' or explicit bounds=(low, high) keep it fine",
            stacklevel=_LEVEL,
        )
