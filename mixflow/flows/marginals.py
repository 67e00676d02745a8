"""A map of every feature by itself: standard units, then a spline of its own."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mixflow.flows.bijection import Bijection
from mixflow.flows.splines import MIN_SHARE, MIN_SLOPE, SLOPE_ONE, inverse_spline, spline


class Marginals(Bijection):
    r"""Shift, scale and bend every feature, :math:`z_d = f_d((x_d - b_d) / a_d)`; K = 1.

    :math:`f_d` is a monotone rational-quadratic spline, and the identity outside [-B, B].

    Parameters
    ----------
    shift, scale
        b and a > 0, shape (D,).
    raw
        Parameters of the splines, see :func:`mixflow.flows.splines.spline`, (3 J - 1, D); None
        bends nothing.
    bound
        B.
    """

    def __init__(
        self, shift: Tensor, scale: Tensor, raw: Tensor | None = None, bound: float = 1.0
    ) -> None:
        super().__init__(1, shift.shape)
        self.bound, self.bends = bound, raw is not None
        self.shift: Tensor
        self.scale: Tensor
        self.raw: Tensor
        self.register_buffer("shift", shift[None, None].clone())
        self.register_buffer("scale", scale[None, None].clone())
        raw = shift.new_zeros(0, len(shift)) if raw is None else raw
        self.register_buffer("raw", raw[None].clone())

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z, log_scale = (x - self.shift) / self.scale, self.scale.log()
        if not self.bends:
            return z, -log_scale.sum(2).expand(x.shape[:2])
        z, log_slope = spline(z, self._spread(x), self.bound)
        return z, (log_slope - log_scale).sum(2)

    def _inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        log_scale = self.scale.log()
        if not self.bends:
            return self.shift + z * self.scale, log_scale.sum(2).expand(z.shape[:2])
        u, log_slope = inverse_spline(z, self._spread(z), self.bound)
        return self.shift + u * self.scale, (log_slope + log_scale).sum(2)

    def _spread(self, x: Tensor) -> Tensor:
        return self.raw[0, :, None, None].expand(-1, *x.shape).contiguous()


def through(x: Tensor, z: Tensor, slopes: Tensor, bound: float) -> Tensor:
    """Return the parameters of splines through given knots.

    Parameters
    ----------
    x, z
        Knots within (-B, B), increasing along the first axis, (J - 1, D).
    slopes
        dz/dx at the knots, (J - 1, D); at -B and B it is 1.
    bound
        B.

    Returns
    -------
    Tensor
        (3 J - 1, D). Bins that are shorter than a spline may have get its least length.
    """
    ends = torch.full_like(x[:1], bound)
    least = 2 * bound * MIN_SHARE
    logits = []
    for knots in (x, z):
        lengths = torch.cat([-ends, knots, ends]).diff(dim=0)
        # Softmax brings the sum back to that of the box.
        logits.append((lengths - least).clamp_min(1e-3 * least).log())
    steep = (slopes - MIN_SLOPE).clamp_min(MIN_SLOPE)
    raw = torch.where(steep > 20, steep, steep.expm1().log()) - SLOPE_ONE
    return torch.cat([*logits, raw])


def normal_quantiles(probability: Tensor) -> Tensor:
    """Return the standard normal's quantiles."""
    return math.sqrt(2) * torch.erfinv(2 * probability - 1)
