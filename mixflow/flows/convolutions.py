"""Convolutions of K batches of images by K kernels: three ways, the fastest of which is taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

# Images of at most this many pixels are convolved by one dense product over all pixels: a
# 3 x 3 kernel then touches nearly all of them anyway, and the whole bank is one bmm.
DENSE_PIXELS = 9
# With at most this many channels on one side products with patches, batched over components, are
# faster than convolving each: on a CPU (benchmarks/README.md), and on a GPU, a step of K = 7 flows
# of 512 channels, 1.5 times.
FEW_CHANNELS = 16


def convolve(x: Tensor, weight: Tensor, bias: Tensor, *, relu: bool = False) -> Tensor:
    """Convolve every component's images with its kernel, padding kept.

    Parameters
    ----------
    x
        Images, (K, N, H, W, in).
    weight, bias
        (K, out, in, size, size) with an odd size, and (K, out); of the images' dtype.
    relu
        Return the positive part. Backward overwrites its gradient, so nothing but a product (the
        next layer) may follow: a sum would give the same gradient to its other terms.

    Returns
    -------
    Tensor
        A row for each pixel: (K, N H W, out), or the same memory in another shape.
    """
    height, width = x.shape[2:4]
    size, (n_out, n_in) = weight.shape[-1], weight.shape[1:3]
    if size == 1 or height * width <= DENSE_PIXELS:
        return _convolve_dense(x, weight, bias, relu)
    if n_in <= min(n_out, FEW_CHANNELS):
        matrix = weight.permute(0, 3, 4, 2, 1).flatten(1, 3)
        return _rows(_Patches.apply(x, size), matrix, bias, relu)
    few = n_out <= FEW_CHANNELS
    out = _convolve_overlaid(x, weight, bias) if few else _convolve_loop(x, weight, bias)
    return out.relu() if relu else out


def _convolve_loop(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolve component by component; NHWC in memory is torch's channels_last."""
    padding = weight.shape[-1] // 2
    outs = [
        F.conv2d(part.permute(0, 3, 1, 2), w, b, padding=padding).permute(0, 2, 3, 1)
        for part, w, b in zip(x, weight, bias, strict=True)
    ]
    return torch.stack(outs)


def _convolve_dense(x: Tensor, weight: Tensor, bias: Tensor, relu: bool) -> Tensor:
    """Convolve all components in one batched product over flattened images."""
    k, n, height, width, n_in = x.shape
    n_out, size = weight.shape[1], weight.shape[-1]
    if size == 1:
        return _rows(x.reshape(k, -1, n_in), weight[..., 0, 0].transpose(1, 2), bias, relu)
    pixels = height * width
    taps = F.pad(weight.flatten(3), (0, 1))  # one more tap, zero: out of reach
    matrix = taps[..., _tap_index(height, width, size, x.device)]
    matrix = matrix.permute(0, 3, 2, 4, 1).reshape(k, pixels * n_in, pixels * n_out)
    return _rows(x.flatten(2), matrix, bias.repeat(1, pixels), relu)


def _convolve_overlaid(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolve to few channels: every pixel's part of all its neighbours, added up."""
    matrix = weight.flip(3, 4).permute(0, 2, 3, 4, 1).flatten(2)
    taps = torch.bmm(x.flatten(1, 3), matrix)
    shape = (*x.shape[:4], weight.shape[1])
    return _Overlaid.apply(taps, shape, weight.shape[-1]) + bias[:, None, None, None]


def _rows(x: Tensor, matrix: Tensor, bias: Tensor, relu: bool) -> Tensor:
    """Map (K, rows, in) to (K, rows, out); baddbmm would first copy the bias to every row."""
    if relu:
        return _Rectified.apply(x, matrix, bias)
    return torch.bmm(x, matrix).add_(bias[:, None])


class _Rectified(torch.autograd.Function):
    """Map rows by an affine map and ReLU, in two passes less over their memory than one by one."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, matrix: Tensor, bias: Tensor) -> Tensor:
        """Map (K, rows, in) to (K, rows, out)."""
        rows = torch.bmm(x, matrix).add_(bias[:, None]).clamp_min_(0)
        ctx.save_for_backward(x, matrix, rows)
        return rows

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        x, matrix, rows = ctx.saved_tensors
        # In place: what follows in a network is a product, whose gradient is nobody else's.
        grad = torch.ops.aten.threshold_backward.grad_input(grad, rows, 0, grad_input=grad)
        of_x = torch.bmm(grad, matrix.transpose(1, 2)) if ctx.needs_input_grad[0] else None
        return of_x, torch.bmm(x.transpose(1, 2), grad), grad.sum(1)


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


def _tap_index(height: int, width: int, kernel_size: int, device: torch.device) -> Tensor:
    """Index the kernel tap that joins each input pixel (rows) to each output pixel (columns)."""
    grid = torch.arange(height * width, device=device)
    row, column = grid // width, grid % width
    d_row = row[:, None] - row[None, :] + kernel_size // 2
    d_column = column[:, None] - column[None, :] + kernel_size // 2
    inside = (d_row >= 0) & (d_row < kernel_size) & (d_column >= 0) & (d_column < kernel_size)
    return torch.where(inside, d_row * kernel_size + d_column, kernel_size**2)
