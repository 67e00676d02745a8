"""The posterior networks that estimators build unless they are given one."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn


def posterior_mlp(
    n_features: int, n_components: int, *, hidden_features: int, hidden_layers: int
) -> nn.Module:
    """Return a network of tanh layers for feature vectors, (N, D) -> logits (N, K)."""
    sizes = [n_features, *[hidden_features] * hidden_layers]
    layers: list[nn.Module] = []
    for a, b in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [nn.Linear(a, b), nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], n_components))


def posterior_cnn(
    image_shape: Sequence[int], n_components: int, *, hidden_features: int, dropout: float
) -> nn.Module:
    """Return a small convolutional network for images, (N, C, H, W) -> logits (N, K).

    Normalised within each sample, not over the batch: q(c | x) depends on x alone.
    """
    channels, height, width = image_shape
    half, full = max(4, hidden_features // 2), max(4, hidden_features)
    positions = -(-height // 4) * -(-width // 4)
    return nn.Sequential(
        *_convolution(channels, half, stride=1),
        *_convolution(half, half, stride=2),
        *_convolution(half, full, stride=1),
        *_convolution(full, full, stride=2),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(full * positions, 2 * full),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(2 * full, n_components),
    )


def _convolution(n_in: int, n_out: int, *, stride: int) -> list[nn.Module]:
    convolution = nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1)
    return [convolution, nn.GroupNorm(1, n_out), nn.ReLU()]
