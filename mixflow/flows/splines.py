r"""Rational-quadratic splines of many values at once, each value by its own.

A spline has J bins between -B and B; outside it is the identity. In a bin that begins at (X, Y),
is w wide and h high, and has slopes :math:`s \alpha_0, s \alpha_1` at its ends, where s = h / w,

.. math::
    z = Y + h \, \eta, \quad \eta = \frac{\theta^2 + \alpha_0 q}{d}, \quad
    \frac{dz}{dx} = s \frac{e}{d^2}, \quad
    d = \theta^2 + (1 - \theta)^2 + (\alpha_0 + \alpha_1) q, \quad
    e = \alpha_1 \theta^2 + 2 q + \alpha_0 (1 - \theta)^2

with :math:`\theta = (x - X) / w` and :math:`q = \theta (1 - \theta)`: Gregory and Delbourgo (1982),
in flows Durkan et al., *Neural Spline Flows* (2019, https://arxiv.org/abs/1906.04032). All terms
are positive, so that nothing cancels.

Both directions have gradients written by hand. A training step is bound by memory: autograd would
keep some forty tensors as long as x and a dozen as long as all bins.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

# Least width and height of a bin, as a share of the box, and least slope at a knot.
MIN_SHARE, MIN_SLOPE = 1e-3, 1e-3
# The slope of a raw value r is MIN_SLOPE + softplus(r + SLOPE_ONE): 1 where r = 0.
SLOPE_ONE = math.log(math.expm1(1 - MIN_SLOPE))


def spline(x: Tensor, raw: Tensor, bound: float) -> tuple[Tensor, Tensor]:
    """Map every x by its own spline.

    Parameters
    ----------
    x
        Values, any shape.
    raw
        Parameters, shape (3 J - 1, *x.shape) with J > 1: logits of the widths of J bins, whose
        softmax divides the box, logits of the heights, and raw slopes at the J - 1 knots within;
        at -B and B the slope is 1. Zeros are the identity.
    bound
        B.

    Returns
    -------
    z, log_slope
        Values and log dz/dx, of x's shape. Gradients are of the first order only.
    """
    return _Spline.apply(x, raw, bound)


def inverse_spline(z: Tensor, raw: Tensor, bound: float) -> tuple[Tensor, Tensor]:
    """Return the x that :func:`spline` maps to z, and log dx/dz."""
    return _InverseSpline.apply(z, raw, bound)


class _Box(NamedTuple):
    """The box, in whose own units it begins at 0 and a bin is ``share + least`` long."""

    bound: float
    span: float  # of one unit
    least: float

    @classmethod
    def of(cls, raw: Tensor, bound: float) -> _Box:
        span = 2 * bound * (1 - (len(raw) + 1) // 3 * MIN_SHARE)
        return cls(bound, span, 2 * bound * MIN_SHARE / span)

    def enter(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return x, at least and at most the ends, in units of the box, and 1 where within."""
        clamped = x.clamp(-self.bound, self.bound)
        inside = torch.eq(x, clamped, out=torch.empty_like(x))
        return clamped.add_(self.bound).div_(self.span), inside

    def leave(self, value: Tensor) -> Tensor:
        return value.mul_(self.span).sub_(self.bound)


class _Bins(NamedTuple):
    """All bins and the one that each of M values lies in. Pairs are of width and height."""

    shares: Tensor  # softmax, (2, J, M)
    passed: Tensor  # 1 at each inner knot that lies at or before the value, (J - 1, M)
    before: Tensor  # sums of the shares of the bins before, (2, M)
    share: Tensor  # of the value's bin, (2, M)
    ends: Tensor  # r + SLOPE_ONE at both ends, (2, M)


def _find(value: Tensor, raw: Tensor, least: float, axis: int) -> _Bins:
    """Find the bins of values on the axis of x (0) or of z (1), both in units of the box."""
    n_bins = (len(raw) + 1) // 3
    shares = torch.softmax(raw[: 2 * n_bins].view(2, n_bins, -1), 1)
    slopes, bins, along = raw[2 * n_bins :], shares.unbind(1), shares[axis].unbind()
    passed, knot = torch.empty_like(slopes), along[0] + least
    before, until = torch.zeros_like(bins[0]), bins[0].clone()
    ends = torch.stack([torch.zeros_like(value), slopes[0]])
    # Knot by knot, while what is summed is in the cache.
    for j, at_knot in enumerate(passed.unbind()):
        torch.ge(value, knot, out=at_knot)
        before.addcmul_(at_knot, bins[j])
        until.addcmul_(at_knot, bins[j + 1])
        if j < n_bins - 2:
            ends.lerp_(slopes[j : j + 2], at_knot)
            knot.add_(along[j + 1]).add_(least)
    ends[0].lerp_(slopes[-1], at_knot)
    ends[1].addcmul_(ends[1], at_knot, value=-1)
    return _Bins(shares, passed, before, until.sub_(before), ends.add_(SLOPE_ONE))


def _corner_and_size(bins: _Bins, least: float) -> tuple[Tensor, Tensor]:
    """Return (X, Y) and (w, h), (2, M) each."""
    index = bins.passed.sum(0).mul_(least)
    return bins.before + index, bins.share + least


class _Point(NamedTuple):
    """A point on the curve of its bin; names as in the formula, (M,) each but alpha, (2, M)."""

    theta: Tensor
    alpha: Tensor
    d: Tensor
    e: Tensor
    eta: Tensor


def _alpha(bins: _Bins, size: Tensor) -> Tensor:
    return F.softplus(bins.ends).add_(MIN_SLOPE).mul_(size[0]).div_(size[1])


def _point(theta: Tensor, alpha: Tensor) -> _Point:
    rest = 1 - theta
    q, square, rest_square = theta * rest, theta * theta, rest.square_()
    d = (alpha[0] + alpha[1]).mul_(q).add_(square).add_(rest_square)
    e = (2 * q).addcmul_(alpha[1], square).addcmul_(alpha[0], rest_square)
    return _Point(theta, alpha, d, e, square.addcmul_(alpha[0], q).div_(d))


def _slope(point: _Point, size: Tensor) -> Tensor:
    return (size[1] / size[0]).mul_(point.e).div_(point.d).div_(point.d)


def _theta_of(eta: Tensor, alpha: Tensor) -> Tensor:
    """Solve for theta: the root in [0, 1] of (1 - b) theta^2 + b theta - eta."""
    b = torch.lerp(alpha[0], 2 - alpha[1], eta)
    root = torch.addcmul(b * b, eta, 1 - b, value=4).clamp_min_(0).sqrt_()
    # Of the two forms of the root the one in which nothing cancels.
    return torch.where(b > 0, 2 * eta / (b + root), (root - b) / (2 - 2 * b))


class _Spline(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, raw: Tensor, bound: float) -> tuple[Tensor, Tensor]:
        box, shape = _Box.of(raw, bound), x.shape
        x, raw = x.reshape(-1), raw.reshape(len(raw), -1)
        value, inside = box.enter(x)
        bins = _find(value, raw, box.least, 0)
        corner, size = _corner_and_size(bins, box.least)
        point = _point(value.sub_(corner[0]).div_(size[0]), _alpha(bins, size))
        z = box.leave(torch.addcmul(corner[1], point.eta, size[1]))
        log_slope = _slope(point, size).log_().mul_(inside)
        ctx.save_for_backward(inside, *bins, *point)
        ctx.box = box
        return torch.lerp(x, z, inside).view(shape), log_slope.view(shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_z: Tensor, to_log: Tensor) -> tuple[Tensor | None, ...]:
        inside, bins, point = _saved(ctx)
        shape, to_z = to_z.shape, to_z.reshape(-1)
        within, to_log = (to_z * inside).mul_(ctx.box.span), to_log.reshape(-1) * inside
        to_value, to_raw = _pull_back(bins, point, within, to_log, ctx.box.least)
        to_x = torch.lerp(to_z, to_value.div_(ctx.box.span), inside)
        return to_x.view(shape), to_raw.view(-1, *shape), None


class _InverseSpline(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, raw: Tensor, bound: float) -> tuple[Tensor, Tensor]:
        box, shape = _Box.of(raw, bound), z.shape
        z, raw = z.reshape(-1), raw.reshape(len(raw), -1)
        value, inside = box.enter(z)
        bins = _find(value, raw, box.least, 1)
        corner, size = _corner_and_size(bins, box.least)
        alpha = _alpha(bins, size)
        point = _point(_theta_of(value.sub_(corner[1]).div_(size[1]), alpha), alpha)
        x = box.leave(torch.addcmul(corner[0], point.theta, size[0]))
        log_slope = _slope(point, size).log_().mul_(inside).neg_()
        ctx.save_for_backward(inside, *bins, *point)
        ctx.box = box
        return torch.lerp(z, x, inside).view(shape), log_slope.view(shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_x: Tensor, to_log: Tensor) -> tuple[Tensor | None, ...]:
        # With x = f^-1(z): dx = (dz - df) / f', where df is of the parameters alone, and the log
        # slope is that of f at x, negated.
        inside, bins, point = _saved(ctx)
        shape, to_x = to_x.shape, to_x.reshape(-1)
        size = bins.share + ctx.box.least
        to_log = (to_log.reshape(-1) * inside).neg_()
        to_value = (to_x * inside).mul_(ctx.box.span)
        to_value.addcmul_(to_log, _log_slope_gradient(point).div_(size[0]))
        to_value.div_(_slope(point, size))
        _, to_raw = _pull_back(bins, point, -to_value, to_log, ctx.box.least)
        to_z = torch.lerp(to_x, to_value.div_(ctx.box.span), inside)
        return to_z.view(shape), to_raw.view(-1, *shape), None


def _saved(ctx: Any) -> tuple[Tensor, _Bins, _Point]:
    inside, *rest = ctx.saved_tensors
    n = len(_Bins._fields)
    return inside, _Bins(*rest[:n]), _Point(*rest[n:])


def _log_slope_gradient(point: _Point) -> Tensor:
    """Return the derivative of log dz/dx by theta, (M,)."""
    theta, rest = point.theta, 1 - point.theta
    a0, a1 = (point.alpha - 1).unbind()
    of_e = (a1 * theta).addcmul_(a0, rest, value=-1).div_(point.e)
    return of_e.addcdiv_((a0 + a1).mul_(rest - theta), point.d, value=-1).mul_(2)


def _pull_back(
    bins: _Bins, point: _Point, to_z: Tensor, to_log: Tensor, least: float
) -> tuple[Tensor, Tensor]:
    """Turn gradients by z, in units of the box, and by log dz/dx into those by x and by raw."""
    theta, alpha, _, _, eta = point
    size = bins.share + least
    of_eta = to_z * size[1]
    to_theta = (of_eta * point.e).div_(point.d).div_(point.d)
    to_theta.addcmul_(to_log, _log_slope_gradient(point))
    to_alpha = _alpha_gradient(point, of_eta, to_log)
    by_end = alpha * to_alpha
    to_secant = torch.sub(to_log, by_end[0]).sub_(by_end[1])  # by log s
    to_size = torch.empty_like(size)
    torch.addcmul(to_secant, to_theta, theta, out=to_size[0]).neg_()
    torch.addcmul(to_secant, of_eta, eta, out=to_size[1])
    to_size.div_(size)
    to_x = to_theta.div_(size[0])
    to_ends = to_alpha.mul_(torch.sigmoid(bins.ends)).mul_(size[0] / size[1])
    return to_x, _raw_gradient(bins, torch.stack([-to_x, to_z]), to_size, to_ends)


def _alpha_gradient(point: _Point, of_eta: Tensor, to_log: Tensor) -> Tensor:
    rest = 1 - point.theta
    q_d, of_e = (point.theta * rest).div_(point.d), to_log / point.e
    common = torch.addcmul(2 * to_log, of_eta, point.eta).mul_(q_d)
    to_alpha = torch.empty_like(point.alpha)
    torch.mul(of_e * rest, rest, out=to_alpha[0]).sub_(common).addcmul_(of_eta, q_d)
    torch.mul(of_e.mul_(point.theta), point.theta, out=to_alpha[1]).sub_(common)
    return to_alpha


def _raw_gradient(bins: _Bins, to_corner: Tensor, to_size: Tensor, to_ends: Tensor) -> Tensor:
    """Hand gradients on to the rows of raw: of all bins up to the value's, and its two ends."""
    shares, passed, before, share, _ = bins
    _, n_bins, n_values = shares.shape
    to_raw = shares.new_empty(3 * n_bins - 1, n_values)
    # By a bin's share: to_corner where it lies before, to_size where it is the value's, or 0; its
    # logit gets that less the mean over bins, times the share.
    to_logits = to_raw[: 2 * n_bins].view_as(shares)
    mean = (to_corner * before).addcmul_(to_size, share).neg_()
    torch.add(mean, to_size, out=to_logits[:, 0])
    torch.addcmul(mean[:, None], to_size[:, None], passed, out=to_logits[:, 1:])
    to_logits[:, :-1].addcmul_(to_corner.sub_(to_size)[:, None], passed)
    to_logits.mul_(shares)
    # The left end is the last knot passed, the right end the one after it.
    left, right = to_ends.unbind()
    to_slopes = torch.mul(passed, left - right, out=to_raw[2 * n_bins :])
    to_slopes[0].add_(right)
    to_slopes[1:].addcmul_(passed[:-1], right)
    to_slopes[:-1].addcmul_(passed[1:], left, value=-1)
    return to_raw
