"""A small residual network whose pooled last layer gives features of images.

Measures of generated images compare features, not pixels. The published ones take a network
trained on ImageNet; EM-GM trains one on the data set itself, and so do we
(``mixflow run em-gm/features``; read back by
:func:`companion.em_gm.images.features.load_feature_network`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn


@dataclass(frozen=True)
class Extracted:
    """What a feature network says about N images.

    Attributes
    ----------
    features
        The pooled last layer, (N, n_features), float64, 0 or more.
    probabilities
        Softmax of the logits, (N, n_classes), float64.
    """

    features: NDArray[np.float64]
    probabilities: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, rows: NDArray[np.int64] | slice) -> Extracted:
        return Extracted(self.features[rows], self.probabilities[rows])


class FeatureNetwork(nn.Module):
    """Map images to features and class logits by three residual blocks and a mean over positions.

    The input is part of the contract: grey levels in [0, 1] (0 background, 1 ink), shape
    (N, n_channels, side, side). Images of side `raw_side` are enlarged first, bilinearly with
    pixel centres aligned, which is what PIL's ``BILINEAR`` does up to its rounding to bytes.
    So published images and samples of models of enlarged images can be compared as they are.

    Parameters
    ----------
    side
        Height and width that the network sees.
    raw_side
        Height and width of the data as published, at most `side`.
    n_channels, n_classes
        Of the data.
    width
        Channels of the first block, at least 8: with fewer, oneDNN's backward pass of a
        strided 1 x 1 convolution writes past its memory. The others have 2 and 4 times as
        many, so there are 4 `width` features.

    Raises
    ------
    ValueError
        If `width` is below 8.

    Attributes
    ----------
    source
        Where the weights come from, such as ``em-gm/features/0123456789ab``.

    Notes
    -----
    K. He et al., https://arxiv.org/abs/1512.03385. The first convolution has stride 2, which
    saves three quarters of the work on images of some thirty pixels a side.
    """

    def __init__(
        self,
        *,
        side: int = 32,
        raw_side: int = 28,
        n_channels: int = 1,
        n_classes: int = 10,
        width: int = 16,
    ) -> None:
        super().__init__()
        if width < 8:
            raise ValueError(f"width must be at least 8, got {width}")
        self.side, self.raw_side, self.n_channels = side, raw_side, n_channels
        self.n_features, self.n_classes = 4 * width, n_classes
        self.source = "untrained"
        self.blocks = nn.Sequential(
            nn.Conv2d(n_channels, width, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            ResidualBlock(width, width, stride=1),
            ResidualBlock(width, 2 * width, stride=2),
            ResidualBlock(2 * width, 4 * width, stride=2),
        )
        self.classify = nn.Linear(4 * width, n_classes)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (N, n_features) and logits (N, n_classes)."""
        # Channels last is what convolutions of few channels are fast with on a CPU.
        x = images.contiguous(memory_format=torch.channels_last)
        features = self.blocks(x).mean((2, 3))
        return features, self.classify(features)

    @torch.no_grad()
    def extract(self, images: ArrayLike, *, batch_size: int = 500) -> Extracted:
        """Return features and class probabilities of images.

        Parameters
        ----------
        images
            Floats in [0, 1], (N, n_channels, H, W) with H = W = `side` or `raw_side`; see
            :func:`as_images` for samples on another scale.
        batch_size
            Images at a time; changes the memory, not the result.

        Raises
        ------
        ValueError
            Another shape, no image, bytes, NaN, or values outside [0, 1].
        """
        x = self._checked(images)
        training = self.training
        self.eval()
        parts = [
            tuple(out.double().cpu() for out in self(self.resized(part.to(self.classify.weight))))
            for part in torch.as_tensor(x).split(batch_size)
        ]
        self.train(training)
        features, logits = (torch.cat(part) for part in zip(*parts, strict=True))
        return Extracted(features.numpy(), logits.softmax(1).numpy())

    def resized(self, images: Tensor) -> Tensor:
        """Enlarge images of side `raw_side` to `side`; return others as they are."""
        if images.shape[-1] == self.side:
            return images
        return F.interpolate(images, size=(self.side, self.side), mode="bilinear")

    def _checked(self, images: ArrayLike) -> NDArray[np.floating]:
        x = np.asarray(images)
        shapes = [(self.n_channels, s, s) for s in sorted({self.side, self.raw_side})]
        if x.ndim != 4 or x.shape[1:] not in shapes or not len(x):
            raise ValueError(
                f"images must have shape (N, *event) with N >= 1 and event in {shapes}, "
                f"got {x.shape}"
            )
        if x.dtype.kind != "f":
            raise ValueError(
                f"images must be floats in [0, 1], got {x.dtype}; divide bytes by 255 (scikit-"
                "learn's digits by 16)"
            )
        low, high = x.min(), x.max()
        if not (low >= 0 and high <= 1):
            raise ValueError(
                f"images must lie in [0, 1], got values from {low:.4g} to {high:.4g}; bring "
                "samples of a model to that scale with feature_network.as_images"
            )
        return x


class ResidualBlock(nn.Module):
    """Add two convolutions of 3 x 3 to their input, (N, C, H, W) -> (N, C', H', W').

    Parameters
    ----------
    n_in, n_out
        C and C'.
    stride
        Of the first convolution; where it is not 1, or C is not C', the input passes through
        a convolution of 1 x 1.
    """

    def __init__(self, n_in: int, n_out: int, *, stride: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(),
            nn.Conv2d(n_out, n_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
        )
        same = stride == 1 and n_in == n_out
        self.skip = nn.Identity() if same else nn.Conv2d(n_in, n_out, 1, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return the positive part of the sum."""
        return F.relu(self.skip(x) + self.inner(x))


def as_images(
    samples: ArrayLike, *, low: float = -0.5, high: float = 0.5, levels: int = 256
) -> NDArray[np.float64]:
    """Bring samples of a model to [0, 1] as writing them to an image file would.

    Parameters
    ----------
    samples
        Any shape, in units where `low` is black and `high` white: those of EM-GM's models of
        images unless given.
    low, high
        The ends; values beyond them are clipped.
    levels
        Number of grey levels that values are rounded to: 256 for bytes. Real images have
        no others, so that without rounding noise below a level would tell the two apart.

    Returns
    -------
    numpy.ndarray
        Float64, the shape of the samples.

    Raises
    ------
    ValueError
        Samples that hold NaN or infinity: a model that gives such should be looked at, not
        measured; bytes, unless `high` says so; `low` not below `high`; fewer than two levels.

    Examples
    --------
    >>> as_images([-0.7, 0.0, 0.5], levels=3).tolist()
    [0.0, 0.5, 1.0]
    """
    x = np.asarray(samples, dtype=np.float64)
    if not low < high:
        raise ValueError(f"low must be below high, got {low!r} and {high!r}")
    if levels < 2:
        raise ValueError(f"levels must be 2 or more, got {levels!r}")
    if np.issubdtype(np.asarray(samples).dtype, np.integer) and x.size and x.max() > high:
        raise ValueError(
            f"samples are whole numbers up to {x.max():g}, but white is {high:g}; for bytes give "
            "low=0, high=255"
        )
    if not np.isfinite(x).all():
        bad = int((~np.isfinite(x)).sum())
        raise ValueError(f"samples hold NaN or infinity in {bad} of {x.size} values")
    scaled = np.clip((x - low) / (high - low), 0, 1)
    images: NDArray[np.float64] = np.rint(scaled * (levels - 1)) / (levels - 1)
    return images
