"""What estimators of densities are given: its checks, its scale, and images among it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, validate_data
from torch import Tensor

from mixflow.estimators.advice import warn_of_table
from mixflow.estimators.fitting import Fitting
from mixflow.validation import refuse_dates, refuse_masks, unwrapped

# Whole numbers further than this from the images of the fit, in its standard deviations, are
# bytes given to a model of floats.
FAR = 50.0
LARGEST = 1e150


class ScaledInput(Fitting):
    """Check samples, or images, and bring them to the scale that flows are fitted on.

    Attributes
    ----------
    location_, scale_
        Of every feature, shape (D,).
    """

    image_shape: Sequence[int] | None
    standardize: bool
    noise: float
    device: str
    n_features_in_: int

    location_: np.ndarray
    scale_: np.ndarray

    def _validate_x(self, x: Any, *, reset: bool) -> np.ndarray:
        """Return X as a finite float64 array (N, D); images may come as (N, C, H, W)."""
        x = as_rows(as_input(x, "X"), self.image_shape)
        if self.image_shape is not None and not reset:
            check_scale(x, location=self.location_[0], scale=self.scale_[0])
        elif self.image_shape is not None and not self.standardize:
            check_scale(x)
        x = checked(self, x, reset=reset, dtype=np.float64, ensure_min_samples=2 if reset else 1)
        if self.image_shape is not None and x.shape[1] != int(np.prod(self.image_shape)):
            raise ValueError(
                f"image_shape {tuple(self.image_shape)} does not fit {x.shape[1]} features; give "
                "the (C, H, W) of one image, with C H W features"
            )
        return x

    def _validate_weight(self, sample_weight: Any, x: np.ndarray) -> np.ndarray:
        sample_weight = as_input(sample_weight, "sample_weight")
        weight = _check_sample_weight(sample_weight, x, dtype=np.float64, ensure_non_negative=True)
        if weight.sum() <= 0:
            raise ValueError("sample_weight is zero everywhere; at least one must be positive")
        return weight

    def _fit_scaler(self, x: np.ndarray, weight: np.ndarray) -> None:
        """Set ``location_`` and ``scale_`` (D,): per feature, or one pair for whole images."""
        check_size(x)
        d = x.shape[1]
        self.location_, self.scale_ = np.zeros(d), np.ones(d)
        mean = np.average(x, axis=0, weights=weight)
        sd = np.sqrt(np.average((x - mean) ** 2, axis=0, weights=weight))
        if self.image_shape is not None:
            mean, sd = np.full(d, mean.mean()), np.full(d, x.std())
        tiny = np.finfo(float).eps * 100 * np.maximum(np.abs(mean), 1e-300)
        constant = np.flatnonzero(~(sd > tiny))
        if len(constant) and (self.standardize or self.noise == 0):
            raise ValueError(
                f"{self._feature(constant[0])} is constant ({len(constant)} in all): its density "
                "is infinite. Leave such features out (scikit-learn's VarianceThreshold does), or "
                "give noise > 0 with standardize=False"
            )
        if self.standardize:
            self.location_, self.scale_ = mean, sd
        if self.image_shape is None and self.noise == 0:
            warn_of_table(x, self._feature)

    def _to_tensor(self, x: np.ndarray, dtype: torch.dtype) -> Tensor:
        # Finite numbers stay so, in this dtype too: what is further out is as impossible.
        most = torch.finfo(dtype).max
        with np.errstate(over="ignore"):
            scaled = ((x - self.location_) / self.scale_).clip(-most, most)
        shape = (len(x), *self._event_shape())
        return torch.as_tensor(scaled, dtype=dtype, device=self._torch_device()).reshape(shape)

    def _from_tensor(self, x: Tensor) -> np.ndarray:
        flat = x.flatten(1).double().cpu().numpy() * self.scale_ + self.location_
        return flat if self.image_shape is None else flat.reshape(-1, *self.image_shape)

    def _event_shape(self) -> tuple[int, ...]:
        shape = (self.n_features_in_,) if self.image_shape is None else tuple(self.image_shape)
        return tuple(int(n) for n in shape)

    def _torch_device(self) -> torch.device:
        try:
            device = torch.device(self.device)
        except RuntimeError:
            raise ValueError(
                f"device must be one of torch's, such as 'cpu' or 'cuda', got {self.device!r}"
            ) from None
        if device.type == "cuda" and not torch.cuda.is_available():
            raise ValueError("device='cuda' was asked for, but torch sees no GPU; use 'cpu'")
        return device


def as_input(values: Any, name: str) -> Any:
    """Return what a caller gives as scikit-learn's checks may read it: tensors as arrays.

    Raises
    ------
    ValueError
        Masked values, whose mask those checks lose, and dates, which they take for numbers.
    """
    refuse_masks(values, name)
    values = unwrapped(values)
    refuse_dates(values, name)
    return values


def checked(estimator: BaseEstimator, x: Any, **settings: Any) -> np.ndarray:
    """Return what scikit-learn's ``validate_data`` does, also where the sum of X overflows."""
    with np.errstate(over="ignore", invalid="ignore"):
        out: np.ndarray = validate_data(estimator, x, **settings)
        return out


def random_state_of(random_state: Any) -> np.random.RandomState:
    """Return what an estimator's ``random_state`` stands for.

    As scikit-learn does, but None is a new one that the system seeds, not NumPy's global one: a
    fit disturbs no draws of others.
    """
    if random_state is None:
        return np.random.RandomState()
    state: np.random.RandomState = check_random_state(random_state)
    return state


def as_rows(x: Any, image_shape: Sequence[int] | None) -> Any:
    """Return images (N, C, H, W) as rows (N, C H W); what has fewer axes as it is.

    Raises
    ------
    ValueError
        ``image_shape`` is not (C, H, W), the images have another shape, or none was told of.
    """
    if image_shape is not None and len(image_shape) != 3:
        raise ValueError(f"image_shape must be (C, H, W), got {tuple(image_shape)}")
    if image_shape is None:
        shape = getattr(x, "shape", ())
        if len(shape) == 4:
            raise ValueError(
                f"X has shape {tuple(shape)}: for images give image_shape={tuple(shape[1:])}; "
                "feature vectors must be (N, D)"
            )
        return x
    if np.ndim(x) != 4:
        return x
    x = np.asarray(x)
    if x.shape[1:] != tuple(image_shape):
        raise ValueError(f"images must be {tuple(image_shape)}, got {x.shape[1:]}")
    return x.reshape(len(x), -1)


def check_size(x: np.ndarray) -> None:
    """Raise ``ValueError`` for numbers whose squares, summed over samples, overflow."""
    most = float(np.abs(x).max())
    if most > LARGEST:
        raise ValueError(
            f"X holds numbers up to {most:.3g}, whose squares overflow; divide it by a number so "
            f"that none is beyond {LARGEST:g}"
        )


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
