"""The images of EM-GM's figures 3 to 7, and the likelihood that its table I prints."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from mixflow import datasets
from mixflow.datasets.split import Split
from mixflow.metrics import nats_per_pixel
from mixflow.mixtures.base import Mixture

if TYPE_CHECKING:
    from PIL import Image

ImageSetName = Literal["mnist", "fashion-mnist", "digits"]
ImagePart = Literal["t10k", "train"]
_LOADERS: dict[str, Callable[[], Split]] = {
    "mnist": datasets.load_mnist,
    "fashion-mnist": datasets.load_fashion_mnist,
    "digits": datasets.load_digit_images,
}
TITLES = {"mnist": "MNIST", "fashion-mnist": "Fashion-MNIST", "digits": "digits, 8 x 8"}
# The released code's: sd of the noise on images in [-0.5, 0.5], and the side they are resized to.
NOISE, SIDE = 1 / 256, 32
LEVELS = 256
Values = TypeVar("Values", float, np.ndarray)
# What a pixel of fixed value costs under this noise, in nats: the differential entropy of the
# noise in units of a grey level.
FLOOR = 0.5 * math.log(2 * math.pi * math.e)


def image_shape(dataset: ImageSetName) -> tuple[int, int, int]:
    """Return (C, H, W) of the images that :func:`load_images` gives, without reading any."""
    channels, height, width = datasets.get(dataset).shape
    return (channels, height, width) if dataset == "digits" else (channels, SIDE, SIDE)


def n_images(dataset: ImageSetName, part: ImagePart = "t10k") -> int:
    """Return how many images :func:`load_images` gives to fit to, without reading any."""
    record = datasets.get(dataset)
    return record.n_train if part == "train" or dataset == "digits" else record.n_test


@dataclass(frozen=True)
class ImageSet:
    """Images (N, 1, H, W) in [-0.5, 0.5], float32, with their classes (N,).

    Attributes
    ----------
    train, y_train
        What the models are fitted to.
    held_out, y_held_out
        As many others, or all there are.
    """

    train: Tensor
    y_train: np.ndarray
    held_out: Tensor
    y_held_out: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """(1, H, W)."""
        return tuple(self.train.shape[1:])

    @property
    def n_pixels(self) -> int:
        """H W."""
        return self.train[0].numel()

    def to(self, device: str) -> ImageSet:
        """Return the same images on a device."""
        return replace(self, train=self.train.to(device), held_out=self.held_out.to(device))


def load_images(
    dataset: ImageSetName, *, part: ImagePart = "t10k", padded: bool = False
) -> ImageSet:
    """Load images as the released code of EM-GM takes them.

    Parameters
    ----------
    dataset
        ``"mnist"`` and ``"fashion-mnist"`` are resized from 28 to 32 pixels by Pillow's bilinear
        filter; ``"digits"`` stay 8 x 8.
    part
        ``"t10k"`` fits to the 10,000 images of the official test split, as table I does, and
        holds out 10,000 drawn from the others; ``"train"`` fits to the 60,000 of the training
        split, as figures 4 and 5 do, and holds out the 10,000.
    padded
        Reach the 32 pixels by a black border instead.

    Raises
    ------
    DatasetError
        A data file is missing or corrupt.
    """
    split = _LOADERS[dataset]()
    train, held_out = (split.x_test, split.y_test), (split.x_train, split.y_train)
    if part == "train" or dataset == "digits":
        train, held_out = held_out, train
    elif len(held_out[0]) > len(train[0]):
        # Drawn, not the first ones: the order of these sets is not random.
        rows = np.random.default_rng(0).permutation(len(held_out[0]))[: len(train[0])]
        held_out = held_out[0][rows], held_out[1][rows]
    x, other = (_prepared(part[0], dataset, padded) for part in (train, held_out))
    return ImageSet(x, train[1], other, held_out[1])


def _prepared(images: np.ndarray, dataset: str, padded: bool) -> Tensor:
    if dataset == "digits":
        return torch.from_numpy(images.astype(np.float32) / 16 - 0.5)
    if padded:
        margin = (SIDE - images.shape[-1]) // 2
        large = np.pad(images[:, 0], [(0, 0), (margin, margin), (margin, margin)])
    else:
        large = np.stack([np.asarray(resized(image)) for image in images[:, 0]])
    return torch.from_numpy(large[:, None].astype(np.float32) / 255 - 0.5)


def resized(image: np.ndarray) -> Image.Image:
    """Return a grey image (H, W) as the released code of EM-GM resizes it."""
    from PIL import Image  # of the extra book: experiments are listed without it

    return Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BILINEAR)


def to_grey(images: Tensor) -> np.ndarray:
    """Return images (..., H, W) as uint8, values outside [-0.5, 0.5] clipped."""
    grey: np.ndarray = ((images + 0.5) * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
    return grey


@torch.no_grad()
def nll_per_pixel(
    mixture: Mixture,
    images: Tensor,
    *,
    own_noise: bool = False,
    noise: float = NOISE,
    seed: int = 0,
) -> np.ndarray:
    r"""Return :math:`-\log p(x + \epsilon) / D + \log 256` for every image, in nat/pixel.

    Parameters
    ----------
    mixture
        A mixture of image densities on [-0.5, 0.5].
    images
        Images (N, 1, H, W).
    own_noise
        Draw :math:`\epsilon` separately for every component, as the released code does; what
        is averaged over components are then densities at K different points, and the result
        is the likelihood of no density. Otherwise all components see the same point.
    noise
        Sd of :math:`\epsilon`.
    seed
        Of the noise.

    Returns
    -------
    numpy.ndarray
        Shape (N,), float64.
    """
    generator = torch.Generator(images.device).manual_seed(seed)
    k = mixture.n_components
    parts = []
    for part in images.split(mixture.chunk):
        drawn = torch.empty(k if own_noise else 1, *part.shape).to(part)
        noisy = part + noise * drawn.normal_(generator=generator)
        if own_noise:
            log_joint = mixture.log_prob_each(noisy).T + mixture.log_weights
        else:
            log_joint = mixture.log_joint(noisy[0])
        parts.append(torch.logsumexp(log_joint.double(), 1))
    return nats_per_pixel(torch.cat(parts).cpu().numpy(), mixture.n_features)


def log_density(nll: Values, n_pixels: int) -> Values:
    """Return log densities of images in nats, from their NLL in nat/pixel."""
    return (math.log(LEVELS) - nll) * n_pixels
