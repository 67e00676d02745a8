"""Conditioners: networks for K components at once, weights of shape (K, in, out)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mixflow.flows.bijection import NEW
from mixflow.flows.convolutions import convolve


class BankLinear(nn.Module):
    """Apply K affine maps to K batches, (K, N, in) -> (K, N, out).

    Parameters
    ----------
    n_components, n_in, n_out
        K and the numbers of features.
    zero
        Start at zero, so that the map that it conditions starts at the identity.
    generator
        Draws the start; of the CPU. None is torch's global one.
    """

    def __init__(
        self,
        n_components: int,
        n_in: int,
        n_out: int,
        *,
        zero: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        bound = 0.0 if zero or n_in == 0 else 1 / math.sqrt(n_in)
        self.weight = nn.Parameter(_uniform((n_components, n_in, n_out), bound, generator))
        self.bias = nn.Parameter(_uniform((n_components, 1, n_out), bound, generator))

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
    generator
        As for :class:`BankLinear`.
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
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        sizes = [n_in, *[hidden_features] * hidden_layers]
        self.hidden = nn.ModuleList(
            BankLinear(n_components, a, b, generator=generator)
            for a, b in zip(sizes[:-1], sizes[1:], strict=True)
        )
        self.out = BankLinear(n_components, sizes[-1], n_out, zero=True)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map (K, N, in) to (K, N, out)."""
        for layer in self.hidden:
            x = self.dropout(F.relu(layer(x), inplace=True))
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
    generator
        As for :class:`BankLinear`.
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
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        weight = torch.zeros(n_components, n_out, n_in, kernel_size, kernel_size, **NEW)
        # Glow's own start: sd 0.05, no bias (an ActNorm follows every hidden convolution).
        self.weight = nn.Parameter(
            weight if zero else weight.normal_(std=0.05, generator=generator)
        )
        self.bias = nn.Parameter(torch.zeros(n_components, n_out, **NEW))
        self.log_gain = nn.Parameter(torch.zeros(n_components, n_out, **NEW)) if gain else None

    def forward(self, x: Tensor, norm: ChannelNorm | None = None, *, relu: bool = False) -> Tensor:
        """Map (K, N, H, W, in) to (K, N, H, W, out), a following norm and ReLU folded in.

        Folding is exact and saves passes over the activations. After ``relu`` a layer must follow
        that multiplies, see ``convolve``.
        """
        weight: Tensor = self.weight
        bias: Tensor = self.bias
        if norm is not None:
            bias = bias + norm.shift
        log_scale = norm.log_scale if norm is not None else self.log_gain
        if log_scale is not None:
            scale = torch.exp(log_scale if norm is not None else 3 * log_scale)
            weight, bias = weight * scale[..., None, None, None], bias * scale
        rows = convolve(x, weight.to(x.dtype), bias.to(x.dtype), relu=relu)
        return rows.view(*x.shape[:4], bias.shape[1])


class ConvNet(nn.Module):
    """Condition on images, (K, N, H, W, in) -> (K, N, H, W, out): conv 3x3, 1x1, zero 3x3.

    The hidden layers have a channel-wise affine map and ReLU, as in Glow (Kingma and
    Dhariwal 2018) and the released code of EM-GM.

    Parameters
    ----------
    n_components, n_in, n_out, hidden_features
        K and the numbers of channels.
    mixed_precision
        Convolve in bfloat16 while training (``module.train()``): posteriors and densities that are
        reported are of full precision. Weights, the result and its log determinant stay as they
        are.
    positions
        (H, W) of the images, to give the first hidden layer a learned bias of its own at every
        pixel, zero at the start; None is a network that does not know where it looks.
    generator
        As for :class:`BankLinear`.
    """

    def __init__(
        self,
        n_components: int,
        n_in: int,
        n_out: int,
        *,
        hidden_features: int,
        mixed_precision: bool = False,
        positions: Sequence[int] | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.mixed_precision = mixed_precision
        k, h = n_components, hidden_features
        self.conv1 = BankConv(k, n_in, h, generator=generator)
        self.conv2 = BankConv(k, h, h, 1, generator=generator)
        self.norm1, self.norm2 = ChannelNorm(k, h), ChannelNorm(k, h)
        self.out = BankConv(k, h, n_out, zero=True, gain=True)
        self.place = None
        if positions is not None:
            self.place = nn.Parameter(torch.zeros(k, 1, *positions, h, **NEW))

    def forward(self, x: Tensor) -> Tensor:
        """Map (K, N, H, W, in) to (K, N, H, W, out)."""
        mixed = self.mixed_precision and self.training
        h = self.conv1(x.bfloat16() if mixed else x, self.norm1, relu=self.place is None)
        if self.place is not None:
            h = (h + self.place.to(h.dtype)).relu_()
        out: Tensor = self.out(self.conv2(h, self.norm2, relu=True))
        return out.to(x.dtype)

    @torch.no_grad()
    def initialize(self, x: Tensor) -> None:
        """Set the hidden normalisations from a batch x of shape (K, N, H, W, in)."""
        x = self.conv1(x)
        self.norm1.initialize(x)
        x = self.norm1(x)
        x = self.conv2(F.relu(x if self.place is None else x + self.place))
        self.norm2.initialize(x)


class ChannelNorm(nn.Module):
    """Shift and scale the last axis of (K, N, ..., C) by learned values.

    ``initialize`` sets them so that a batch has mean 0 and sd 1 per component and channel;
    the sd is clamped below at 1e-3, and the flag ``initialized`` is saved with the weights.
    """

    def __init__(self, n_components: int, n_channels: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(n_components, n_channels, **NEW))
        self.log_scale = nn.Parameter(torch.zeros(n_components, n_channels, **NEW))
        self.initialized: Tensor
        self.register_buffer(
            "initialized", torch.zeros(n_components, dtype=torch.bool, device=NEW["device"])
        )

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


def _uniform(shape: tuple[int, ...], bound: float, generator: torch.Generator | None) -> Tensor:
    start = torch.zeros(shape, **NEW)
    return start.uniform_(-bound, bound, generator=generator) if bound else start
