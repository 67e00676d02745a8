"""The feature maps of VGG-19 in plain torch, with weights from the registry or at random."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn import functional as F

from mixflow.datasets.fetch import locate
from mixflow.datasets.registry import DatasetError

WeightsName = Literal["vgg19", "vgg", "random"]
Pooling = Literal["average", "max"]
Padding = Literal["zeros", "reflect"]

# Convolutions of every block, and their channels; a pooling by two stands between blocks.
BLOCKS = ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512))
LAYERS = tuple(
    f"conv{block}_{number}"
    for block, (count, _) in enumerate(BLOCKS, start=1)
    for number in range(1, count + 1)
)
# Mean colours of ImageNet, red, green and blue in [0, 1]: of the published weights, and of
# torchvision's.
OXFORD_MEAN = (123.68 / 255, 116.779 / 255, 103.939 / 255)
TORCHVISION_MEAN, TORCHVISION_SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Weights:
    """Weights of the first layers, for RGB in [0, 1] from which ``mean`` was subtracted.

    Attributes
    ----------
    kernels
        Layer -> kernel (out, in, 3, 3), in the order of ``LAYERS``.
    biases
        Layer -> bias (out,).
    mean
        Mean colour, red, green, blue.
    """

    kernels: Mapping[str, Tensor]
    biases: Mapping[str, Tensor]
    mean: tuple[float, float, float]


class VGG19(nn.Module):
    r"""Map images to feature maps, the outputs of convolutions after their ReLU.

    Parameters
    ----------
    weights
        Of :func:`load_weights`; they are not trained.
    layers
        Names such as ``conv3_1``; layers after the last of them are not computed.
    pooling
        ``average`` in place of the ``max`` that the weights were trained with: Gatys et al.
        found that it gives cleaner synthesised images, since the gradient reaches every pixel.
    padding
        Of images and maps by one pixel: the ``zeros`` that the weights were trained with, or
        ``reflect``, which leaves no frame in synthesised images.

    Raises
    ------
    ValueError
        For a layer that VGG-19 does not have, or the weights do not reach.

    References
    ----------
    Simonyan and Zisserman, arXiv 1409.1556; Gatys, Ecker and Bethge, CVPR 2016.
    """

    mean: Tensor

    def __init__(
        self,
        weights: Weights,
        layers: Sequence[str],
        *,
        pooling: Pooling = "average",
        padding: Padding = "zeros",
    ) -> None:
        super().__init__()
        check_layers(layers)
        missing = [name for name in layers if name not in weights.kernels]
        if missing:
            raise ValueError(
                f"the weights end at {list(weights.kernels)[-1]} and have no {', '.join(missing)}; "
                "take layers up to there, or the full weights (vgg19)"
            )
        depth = 1 + max(LAYERS.index(name) for name in layers)
        self.layers, self.pooling = tuple(layers), pooling
        self.convolutions = nn.ModuleDict(
            {name: _convolution(weights, name, padding) for name in LAYERS[:depth]}
        )
        self.register_buffer("mean", torch.tensor(weights.mean).view(1, 3, 1, 1))
        self.requires_grad_(False)

    @property
    def least_size(self) -> int:
        """Least height and width of an image: the deepest map has then two pixels."""
        return 2 ** int(list(self.convolutions)[-1][4])

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return the feature maps by layer, (N, channels, height, width).

        Parameters
        ----------
        images
            RGB in [0, 1], (N, 3, H, W).

        Raises
        ------
        ValueError
            For another shape, or an image that is too small for the poolings.
        """
        if images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"images must have shape (N, 3, H, W), got {tuple(images.shape)}")
        if min(images.shape[2:]) < self.least_size:
            raise ValueError(
                f"images of {images.shape[2]} x {images.shape[3]} pixels are too small for "
                f"{list(self.convolutions)[-1]}, which needs {self.least_size} in both directions; "
                "take larger images or fewer layers"
            )
        x = (images - self.mean).contiguous(memory_format=torch.channels_last)
        pool = F.avg_pool2d if self.pooling == "average" else F.max_pool2d
        maps = {}
        for name, convolution in self.convolutions.items():
            if name.endswith("_1") and name != LAYERS[0]:
                x = pool(x, 2)
            x = F.relu(convolution(x))
            if name in self.layers:
                maps[name] = x
        return {name: maps[name] for name in self.layers}


def check_layers(layers: Sequence[str]) -> None:
    """Raise ``ValueError`` unless all are layers of VGG-19, once each and at least one."""
    unknown = [name for name in layers if name not in LAYERS]
    if unknown or not layers or len(set(layers)) < len(layers):
        raise ValueError(
            f"layers must be different names out of {', '.join(LAYERS)}; got {list(layers)}"
        )


def _convolution(weights: Weights, name: str, padding: Padding) -> nn.Conv2d:
    kernel, bias = weights.kernels[name], weights.biases[name]
    layer = nn.utils.skip_init(
        nn.Conv2d, kernel.shape[1], kernel.shape[0], 3, padding=1, padding_mode=padding
    )
    with torch.no_grad():
        layer.weight.copy_(kernel)
        layer.bias.copy_(bias)
    return layer.to(memory_format=torch.channels_last)


# Weights --------------------------------------------------------------------------------------


def load_weights(name: WeightsName, seed: int = 0) -> Weights:
    """Return weights of VGG-19.

    Parameters
    ----------
    name
        ``vgg19``: all 16 convolutions, torchvision's training (575 MB, downloaded when first
        asked for); ``vgg``: conv1_1 to conv3_4 of the published weights, a file of 9 MB that is
        in the data folder; ``random``: He's initialisation.
    seed
        Of the random weights.

    Raises
    ------
    DatasetError
        If the file is missing, has another checksum, or lacks a layer.
    """
    if name == "random":
        return _random(seed)
    if name not in get_args(WeightsName):
        raise ValueError(f"weights must be one of {get_args(WeightsName)}, got {name!r}")
    if name == "vgg19":
        return _from_torchvision(locate("vgg19", "model.safetensors"))
    return _from_oxford(locate("vgg", "vgg19_conv1_1-conv3_4.npz"))


def _random(seed: int) -> Weights:
    generator = torch.Generator().manual_seed(seed)
    kernels, biases, channels = {}, {}, 3
    for name in LAYERS:
        out = BLOCKS[int(name[4]) - 1][1]
        scale = math.sqrt(2 / (9 * channels))
        kernels[name] = scale * torch.randn(out, channels, 3, 3, generator=generator)
        biases[name] = torch.zeros(out)
        channels = out
    return Weights(kernels, biases, OXFORD_MEAN)


def _from_oxford(path: Path) -> Weights:
    """Return published weights: they take blue, green, red in 0 ... 255."""
    try:
        with np.load(path) as file:
            arrays = {name: torch.from_numpy(file[name]) for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DatasetError(f"{path}: not an .npz file of weights ({error})") from error
    names = [name for name in LAYERS if f"{name}.weight" in arrays]
    kernels = {name: arrays[f"{name}.weight"] for name in names}
    kernels["conv1_1"] = 255 * kernels["conv1_1"].flip(1)
    return Weights(kernels, {name: arrays[f"{name}.bias"] for name in names}, OXFORD_MEAN)


def _from_torchvision(path: Path) -> Weights:
    """Return torchvision's weights: they take red, green, blue over their sd."""
    kernels, biases, place = {}, {}, 0  # place in torchvision's list of layers
    try:
        with safe_open(path, framework="pt") as file:
            for name in LAYERS:
                if name.endswith("_1") and name != LAYERS[0]:
                    place += 1  # the pooling
                kernels[name] = file.get_tensor(f"features.{place}.weight").clone()
                biases[name] = file.get_tensor(f"features.{place}.bias").clone()
                place += 2  # the convolution and its ReLU
    except (SafetensorError, OSError) as error:
        raise DatasetError(f"{path}: not torchvision's VGG-19 ({error})") from error
    kernels["conv1_1"] = kernels["conv1_1"] / torch.tensor(TORCHVISION_SD).view(1, 3, 1, 1)
    return Weights(kernels, biases, TORCHVISION_MEAN)
