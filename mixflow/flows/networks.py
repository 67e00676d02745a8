"""Conditioners: networks for K components at once, weights of shape (K, in, out)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Images of at most this many pixels are convolved by one dense product over all pixels: a
# 3 x 3 kernel then touches nearly all of them anyway, and the whole bank is one bmm.
DENSE_PIXELS = 9
# With at most this many channels on one side a processor is faster at products with patches,
# batched over components, than at convolving each (benchmarks/README.md).
FEW_CHANNELS = 16


class BankLinear(nn.Module):
    """Apply K affine maps to K batches, (K, N, in) -> (K, N, out).

    Parameters
    ----------
    n_components, n_in, n_out
        K and the numbers of features.
    zero
        Start at zero, so that the map that it conditions starts at the identity.
    """

    def __init__(self, n_components: int, n_in: int, n_out: int, *, zero: bool = False) -> None:
        super().__init__()
        bound = 0.0 if zero or n_in == 0 else 1 / math.sqrt(n_in)
        self.weight = nn.Parameter(_uniform((n_components, n_in, n_out), bound))
        self.bias = nn.Parameter(_uniform((n_components, 1, n_out), bound))

    def forward(self, x: Tensor) -> Tensor:
        """Map (K, N, in) to (K, N, out)."""
        return torch.baddbmm(self.bias, x, self.weight)


class MLP(nn.Module):
    """Feed each of K batches through its own multilayer perceptron, (K, N, in) -> (K, N, out).

    Parameters
    ----------
    n_components, n_in, n_out
        K and the numbers of features; ``n_in = 0`` gives a learned constant.
    hidden_features, hidden_layers
        Width and number of the ReLU layers.
    dropout
        Share of hidden units dropped while training.
    """

    def __init__(
        self,
        n_components: int,
        n_in: int,
        n_out: int,
        *,
        hidden_features: int = 32,
        hidden_layers: int = 2,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        sizes = [n_in, *[hidden_features] * hidden_layers]
        self.hidden = nn.ModuleList(
            BankLinear(n_components, a, b) for a, b in zip(sizes[:-1], sizes[1:], strict=True)
        )
        self.out = BankLinear(n_components, sizes[-1], n_out, zero=True)
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        """Map (K, N, in) to (K, N, out)."""
        for layer in self.hidden:
            x = F.relu(layer(x), inplace=True)
            if self.dropout and self.training:
                x = F.dropout(x, self.dropout)
        return self.out(x)


class BankConv(nn.Module):
    """Convolve K batches of images, (K, N, H, W, in) -> (K, N, H, W, out), padding kept.

    Parameters
    ----------
    n_components, n_in, n_out
        K and the numbers of channels.
    kernel_size
        Odd side of the kernel.
    zero
        Start at zero.
    gain
        Learn a log scale per output channel, multiplied by 3 before exp, as in Glow's last
        layers.
    """

    def __init__(
        self,
        n_components: int,
        n_in: int,
        n_out: int,
        kernel_size: int = 3,
        *,
        zero: bool = False,
        gain: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        weight = torch.zeros(n_components, n_out, n_in, kernel_size, kernel_size)
        # Glow's own start: sd 0.05, no bias (an ActNorm follows every hidden convolution).
        self.weight = nn.Parameter(weight if zero else weight.normal_(std=0.05))
        self.bias = nn.Parameter(torch.zeros(n_components, n_out))
        self.log_gain = nn.Parameter(torch.zeros(n_components, n_out)) if gain else None

    def forward(self, x: Tensor, norm: ChannelNorm | None = None, *, relu: bool = False) -> Tensor:
        """Map (K, N, H, W, in) to (K, N, H, W, out), a following norm and ReLU folded in.

        Folding is exact and saves passes over the activations.
        """
        weight: Tensor = self.weight
        bias: Tensor = self.bias
        if norm is not None:
            bias = bias + norm.shift
        log_scale = norm.log_scale if norm is not None else self.log_gain
        if log_scale is not None:
            scale = torch.exp(log_scale if norm is not None else 3 * log_scale)
            weight, bias = weight * scale[..., None, None, None], bias * scale
        height, width = x.shape[2:4]
        if self.kernel_size == 1 or height * width <= DENSE_PIXELS:
            rows = _convolve_dense(x, weight, bias)
        elif x.device.type == "cpu" and min(weight.shape[1:3]) <= FEW_CHANNELS:
            rows = _convolve_patches(x, weight, bias)
        else:
            rows = _convolve_loop(x, weight, bias)
        # In place before, not after, the view: of a view autograd would copy the whole.
        return (rows.relu_() if relu else rows).view(*x.shape[:4], -1)


def _convolve_loop(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolve component by component; NHWC in memory is torch's channels_last."""
    padding = weight.shape[-1] // 2
    outs = [
        F.conv2d(part.permute(0, 3, 1, 2), w, b, padding=padding).permute(0, 2, 3, 1)
        for part, w, b in zip(x, weight, bias, strict=True)
    ]
    return torch.stack(outs)


def _convolve_dense(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolve all components in one batched product over flattened images."""
    k, n, height, width, n_in = x.shape
    n_out, size = weight.shape[1], weight.shape[-1]
    if size == 1:
        return _rows(x.reshape(k, -1, n_in), weight[..., 0, 0].transpose(1, 2), bias)
    pixels = height * width
    taps = F.pad(weight.flatten(3), (0, 1))  # one more tap, zero: out of reach
    matrix = taps[..., _tap_index(height, width, size, x.device)]
    matrix = matrix.permute(0, 3, 2, 4, 1).reshape(k, pixels * n_in, pixels * n_out)
    return _rows(x.reshape(k, n, -1), matrix, bias.repeat(1, pixels))


def _convolve_patches(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolve all components in one batched product with the patches of the smaller side."""
    size, (n_out, n_in) = weight.shape[-1], weight.shape[1:3]
    if n_in <= n_out:
        matrix = weight.permute(0, 3, 4, 2, 1).flatten(1, 3)
        return _rows(_Patches.apply(x, size), matrix, bias)
    matrix = weight.flip(3, 4).permute(0, 2, 3, 4, 1).flatten(2)
    taps = torch.bmm(x.flatten(1, 3), matrix)
    return _Overlaid.apply(taps, (*x.shape[:4], n_out), size) + bias[:, None, None, None]


def _rows(x: Tensor, matrix: Tensor, bias: Tensor) -> Tensor:
    """Map (K, rows, in) to (K, rows, out); baddbmm would first copy the bias to every row."""
    return torch.bmm(x, matrix).add_(bias[:, None])


class _Patches(torch.autograd.Function):
    """Lay the neighbourhoods of all pixels side by side: the adjoint of :class:`_Overlaid`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, size: int) -> Tensor:
        """Map (K, N, H, W, C) to (K, N H W, size size C), zero beyond the border."""
        ctx.shape, ctx.size = x.shape, size
        k, n, height, width, c = x.shape
        padded = F.pad(x.permute(0, 4, 1, 2, 3).contiguous(), [size // 2] * 4)
        row, image, channel, component = _strides(x.shape, size)
        windows = padded.as_strided(
            (k, size, size, c, n, height, width), (component, row, 1, channel, image, row, 1)
        )
        return windows.reshape(k, size * size * c, -1).transpose(1, 2)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return _Overlaid.apply(grad, ctx.shape, ctx.size), None


class _Overlaid(torch.autograd.Function):
    """Add up neighbourhoods where they overlap: the adjoint of :class:`_Patches`."""

    @staticmethod
    def forward(ctx: Any, taps: Tensor, shape: tuple[int, ...], size: int) -> Tensor:
        """Map (K, N H W, size size C) to ``shape``, (K, N, H, W, C)."""
        ctx.size = size
        k, n, height, width, c = shape
        row, image, _, _ = _strides(shape, size)
        # On padded images a tap's neighbour lies at a fixed distance in memory, so that each
        # tap is added for all channels, images and pixels in one long stretch.
        padded = taps.new_zeros(k, size * size, c, n, image // row, row)
        taps = taps.reshape(k, n, height, width, size * size, c)
        padded[..., :height, :width] = taps.permute(0, 4, 5, 1, 2, 3)
        flat = padded.view(k, size * size, c, -1)
        total, length = flat[:, 0].clone(), flat.shape[-1]
        for tap in range(1, size * size):
            offset = tap // size * row + tap % size
            total[..., offset:] += flat[:, tap, :, : length - offset]
        margin = size // 2
        total = total.view(k, c, n, image // row, row)
        inside = total[..., margin : margin + height, margin : margin + width]
        return inside.permute(0, 2, 3, 4, 1).contiguous()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return _Patches.apply(grad, ctx.size), None, None


def _strides(shape: Sequence[int], size: int) -> tuple[int, int, int, int]:
    """Return the distances between padded rows, images, channels and components in memory."""
    _, n, height, width, c = shape
    row = width + size - 1
    image = (height + size - 1) * row
    return row, image, n * image, c * n * image


class ConvNet(nn.Module):
    """Condition on images, (K, N, H, W, in) -> (K, N, H, W, out): conv 3x3, 1x1, zero 3x3.

    The hidden layers have a channel-wise affine map and ReLU, as in Glow (Kingma and
    Dhariwal 2018) and the released code of EM-GM.

    Parameters
    ----------
    n_components, n_in, n_out, hidden_features
        K and the numbers of channels.
    mixed_precision
        Convolve in bfloat16; weights, the result and its log determinant stay as they are.
    """

    def __init__(
        self,
        n_components: int,
        n_in: int,
        n_out: int,
        *,
        hidden_features: int,
        mixed_precision: bool = False,
    ) -> None:
        super().__init__()
        self.mixed_precision = mixed_precision
        k, h = n_components, hidden_features
        self.conv1, self.conv2 = BankConv(k, n_in, h), BankConv(k, h, h, 1)
        self.norm1, self.norm2 = ChannelNorm(k, h), ChannelNorm(k, h)
        self.out = BankConv(k, h, n_out, zero=True, gain=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (K, N, H, W, in) to (K, N, H, W, out)."""
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.mixed_precision):
            h = self.conv1(x, self.norm1, relu=True)
            out: Tensor = self.out(self.conv2(h, self.norm2, relu=True))
        return out.to(x.dtype)

    @torch.no_grad()
    def initialize(self, x: Tensor) -> None:
        """Set the hidden normalisations from a batch x of shape (K, N, H, W, in)."""
        x = self.conv1(x)
        self.norm1.initialize(x)
        x = self.conv2(F.relu(self.norm1(x)))
        self.norm2.initialize(x)


class ChannelNorm(nn.Module):
    """Shift and scale the last axis of (K, N, ..., C) by learned values.

    ``initialize`` sets them so that a batch has mean 0 and sd 1 per component and channel;
    the sd is clamped below at 1e-3, and the flag ``initialized`` is saved with the weights.
    """

    def __init__(self, n_components: int, n_channels: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(n_components, n_channels))
        self.log_scale = nn.Parameter(torch.zeros(n_components, n_channels))
        self.initialized: Tensor
        self.register_buffer("initialized", torch.zeros(n_components, dtype=torch.bool))

    def forward(self, x: Tensor) -> Tensor:
        """Shift and scale x, shape (K, N, ..., C)."""
        shape = self.shape_for(x)
        return (x + self.shift.view(shape)) * torch.exp(self.log_scale).view(shape)

    @torch.no_grad()
    def initialize(self, x: Tensor) -> None:
        """Set shift and scale from x, shape (K, N, ..., C)."""
        rows = x.flatten(1, -2)
        self.shift.copy_(-rows.mean(1))
        self.log_scale.copy_(-rows.std(1, correction=0).clamp_min(1e-3).log())
        self.initialized.fill_(True)

    def shape_for(self, x: Tensor) -> Sequence[int]:
        """Return the shape in which (K, C) values broadcast against x."""
        return (x.shape[0], *[1] * (x.ndim - 2), x.shape[-1])


def _uniform(shape: tuple[int, ...], bound: float) -> Tensor:
    return torch.empty(shape).uniform_(-bound, bound) if bound else torch.zeros(shape)


def _tap_index(height: int, width: int, kernel_size: int, device: torch.device) -> Tensor:
    """Index the kernel tap that joins each input pixel (rows) to each output pixel (columns)."""
    grid = torch.arange(height * width, device=device)
    row, column = grid // width, grid % width
    d_row = row[:, None] - row[None, :] + kernel_size // 2
    d_column = column[:, None] - column[None, :] + kernel_size // 2
    inside = (d_row >= 0) & (d_row < kernel_size) & (d_column >= 0) & (d_column < kernel_size)
    return torch.where(inside, d_row * kernel_size + d_column, kernel_size**2)
