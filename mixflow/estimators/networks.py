"""The posterior networks that estimators build unless they are given one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from mixflow.flows.bijection import NEW


def posterior_mlp(
    n_features: int,
    n_components: int,
    *,
    hidden_features: int,
    hidden_layers: int,
    generator: torch.Generator | None = None,
) -> nn.Module:
    """Return a network of tanh layers for feature vectors, (N, D) -> logits (N, K).

    The generator, of the CPU, draws the weights; None is torch's global one.
    """
    sizes = [n_features, *[hidden_features] * hidden_layers]
    layers: list[nn.Module] = []
    for a, b in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [_linear(a, b, generator), nn.Tanh()]
    return nn.Sequential(*layers, _linear(sizes[-1], n_components, generator))


def posterior_cnn(
    image_shape: Sequence[int],
    n_components: int,
    *,
    hidden_features: int,
    dropout: float,
    generator: torch.Generator | None = None,
) -> nn.Module:
    """Return a small convolutional network for images, (N, C, H, W) -> logits (N, K).

    Normalised within each sample, not over the batch: q(c | x) depends on x alone. The generator
    is that of :func:`posterior_mlp`.
    """
    channels, height, width = image_shape
    half, full = max(4, hidden_features // 2), max(4, hidden_features)
    positions = -(-height // 4) * -(-width // 4)
    return nn.Sequential(
        *_convolution(channels, half, 1, generator),
        *_convolution(half, half, 2, generator),
        *_convolution(half, full, 1, generator),
        *_convolution(full, full, 2, generator),
        nn.Flatten(),
        nn.Dropout(dropout),
        _linear(full * positions, 2 * full, generator),
        nn.ReLU(),
        nn.Dropout(dropout),
        _linear(2 * full, n_components, generator),
    )


def _convolution(
    n_in: int, n_out: int, stride: int, generator: torch.Generator | None
) -> list[nn.Module]:
    convolution = nn.utils.skip_init(nn.Conv2d, n_in, n_out, 3, stride=stride, padding=1, **NEW)
    return [_drawn(convolution, generator), nn.GroupNorm(1, n_out, **NEW), nn.ReLU()]


def _linear(n_in: int, n_out: int, generator: torch.Generator | None) -> nn.Module:
    return _drawn(nn.utils.skip_init(nn.Linear, n_in, n_out, **NEW), generator)


def _drawn(layer: nn.Linear | nn.Conv2d, generator: torch.Generator | None) -> nn.Module:
    """Draw weights and biases as torch's layers do, which take no generator."""
    assert layer.bias is not None
    fan_in = layer.weight[0].numel()
    nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=generator)
    nn.init.uniform_(layer.bias, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in), generator=generator)
    return layer
