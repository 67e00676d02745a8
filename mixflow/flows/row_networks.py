"""Conditioners whose output lies row by row: feature after feature, each of all samples."""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mixflow.flows.networks import BankLinear

BITS = 16  # that decide whether a value is dropped


class Dropout(nn.Dropout):
    """Drop a share p of the values while training, as torch does but four times as fast on a CPU.

    Sixteen random bits decide on each value: p is a multiple of 1 / 65536.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Drop values of x, any shape."""
        return self.drawn(x)

    def drawn(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Drop values of x as the generator draws them; None is torch's global one."""
        dropped = round(self.p * 2**BITS)
        if not self.training or not dropped:
            return x
        if dropped == 2**BITS:
            return torch.zeros_like(x)
        words = torch.empty(-(-x.numel() // 4), dtype=torch.int64, device=x.device)
        bits = words.random_(-(2**63), None, generator=generator).view(torch.int16)[: x.numel()]
        kept = torch.ge(bits.view(x.shape), dropped - 2 ** (BITS - 1), out=torch.empty_like(x))
        return x * kept.mul_(2**BITS / (2**BITS - dropped))


class RowNetwork(nn.Module):
    r"""Feed each of K batches through its own multilayer perceptron, (K, N, in) -> (out, K, N).

    Inputs are clipped softly, to :math:`B \tanh(x / B)`: far ones move the output by little. The
    output, which begins at zero, is laid out for functions that combine its rows value by value.

    Parameters
    ----------
    n_components, n_in, n_out
        K and the numbers of features. With ``n_in = 0`` the output is a learned constant, and
        there are no hidden layers.
    bound
        B.
    hidden_features, hidden_layers
        Width and number of the ReLU layers.
    dropout
        Share of hidden units dropped while training, below 1.
    mixed_precision
        Multiply in bfloat16 while training (``module.train()``); weights and the result stay as
        they are.
    generator
        As for :class:`BankLinear`.
    """

    def __init__(
        self,
        n_components: int,
        n_in: int,
        n_out: int,
        *,
        bound: float,
        hidden_features: int = 32,
        hidden_layers: int = 2,
        dropout: float = 0.0,
        mixed_precision: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.bound, self.mixed_precision = bound, mixed_precision
        sizes = [n_in, *[hidden_features] * (hidden_layers if n_in else 0)]
        self.hidden = nn.ModuleList(
            BankLinear(n_components, a, b, generator=generator)
            for a, b in zip(sizes[:-1], sizes[1:], strict=True)
        )
        self.out = BankLinear(n_components, sizes[-1], n_out, zero=True)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map (K, N, in) to (out, K, N)."""
        dtype = torch.bfloat16 if self.mixed_precision and self.training else x.dtype
        h, scale = torch.tanh(x.mT.contiguous() / self.bound).to(dtype), self.bound
        for layer in cast("list[BankLinear]", [*self.hidden]):
            bias, weight = layer.bias.mT.to(dtype), layer.weight.mT.to(dtype)
            h = F.relu(torch.baddbmm(bias, weight, h, alpha=scale), inplace=True)
            h, scale = self.dropout(h), 1.0
        return _Rows.apply(h, self.out.weight.to(dtype), self.out.bias.to(dtype)).to(x.dtype)


class _Rows(torch.autograd.Function):
    """Apply K affine maps, (K, in, N) -> (out, K, N): a copy less than with torch's layout."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        out = x.new_empty(weight.shape[2], x.shape[0], x.shape[2])
        torch.baddbmm(bias.mT, weight.mT, x, out=out.transpose(0, 1))
        return out

    @staticmethod
    def backward(ctx: Any, to_out: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        rows = to_out.transpose(0, 1)
        return weight @ rows, (rows @ x.mT).mT, rows.sum(2)[:, None]
