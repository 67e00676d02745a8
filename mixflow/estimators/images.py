"""Images as input of the estimators: their shape, and the scale of their values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

# Whole numbers further than this from the images of the fit, in its standard deviations, are
# bytes given to a model of floats.
FAR = 50.0


def as_rows(x: Any, image_shape: Sequence[int] | None) -> Any:
    """Return images (N, C, H, W) as rows (N, C H W); what has fewer axes as it is.

    Raises
    ------
    ValueError
        ``image_shape`` is not (C, H, W), the images have another shape, or none was told of.
    """
    if image_shape is not None and len(image_shape) != 3:
        raise ValueError(f"image_shape must be (C, H, W), got {tuple(image_shape)}")
    if np.ndim(x) != 4:
        return x
    x = np.asarray(x)
    if image_shape is None:
        raise ValueError(
            f"X has shape {x.shape}: for images give image_shape={tuple(x.shape[1:])}; feature "
            "vectors must be (N, D)"
        )
    if x.shape[1:] != tuple(image_shape):
        raise ValueError(f"images must be {tuple(image_shape)}, got {x.shape[1:]}")
    return x.reshape(len(x), -1)


def check_scale(x: Any, *, location: float = 0.0, scale: float = 1.0) -> None:
    """Check that whole numbers are on the scale of a model.

    Parameters
    ----------
    x
        Images as given; floats pass.
    location, scale
        Mean and standard deviation of the images that the model was fitted to, or 0 and 1
        where it takes images as they are.

    Raises
    ------
    ValueError
        Whole numbers, such as bytes, far beyond that.
    """
    dtype = getattr(x, "dtype", None)
    if dtype is None or not np.issubdtype(dtype, np.integer) or not np.size(x):
        return
    distance = np.abs((np.asarray(x, dtype=float) - location) / scale).max()
    if distance > FAR:
        raise ValueError(
            f"images are {dtype} up to {np.max(x)}, but the model takes values near "
            f"{location:.3g} \u00b1 {scale:.3g}; bring them to the same scale first, such as "
            "X / 255 - 0.5"
        )
