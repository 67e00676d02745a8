"""Rational-quadratic splines."""

import math

import pytest
import torch
import torch.nn.functional as F

from mixflow.flows.splines import MIN_SHARE, MIN_SLOPE, inverse_spline, spline

BOUND = 4.0


def parameters(n_bins, n_values, scale=2.0, dtype=torch.double, seed=0):
    generator = torch.Generator().manual_seed(seed)
    raw = torch.randn(3 * n_bins - 1, n_values, generator=generator, dtype=torch.double)
    return (scale * raw).to(dtype)


def values(n_values, scale=3.0, dtype=torch.double, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return (scale * torch.randn(n_values, generator=generator, dtype=torch.double)).to(dtype)


def knots(logits, bound=BOUND):
    """Return the J + 1 ends of bins, (J + 1, M), from their logits."""
    share = MIN_SHARE + (1 - len(logits) * MIN_SHARE) * torch.softmax(logits, 0)
    start = torch.full_like(share[:1], -bound)
    return torch.cat([start, 2 * bound * share.cumsum(0) - bound])


def reference(x, raw, bound=BOUND):
    """Return z and log dz/dx by Durkan et al. (2019), equations 4 and 5, as they stand there."""
    n_bins = (len(raw) + 1) // 3
    xs, ys = knots(raw[:n_bins], bound), knots(raw[n_bins : 2 * n_bins], bound)
    one = math.log(math.expm1(1 - MIN_SLOPE))
    slopes = MIN_SLOPE + F.softplus(raw[2 * n_bins :] + one)
    ends = torch.ones_like(slopes[:1])
    slopes = torch.cat([ends, slopes, ends])
    u = x.clamp(-bound, bound)
    k = (u >= xs[1:-1]).sum(0, keepdim=True)
    x0, y0, d0 = (t.gather(0, k)[0] for t in (xs, ys, slopes))
    x1, y1, d1 = (t.gather(0, k + 1)[0] for t in (xs, ys, slopes))
    s = (y1 - y0) / (x1 - x0)
    xi = (u - x0) / (x1 - x0)
    below = s + (d1 + d0 - 2 * s) * xi * (1 - xi)
    z = y0 + (y1 - y0) * (s * xi**2 + d0 * xi * (1 - xi)) / below
    slope = s**2 * (d1 * xi**2 + 2 * s * xi * (1 - xi) + d0 * (1 - xi) ** 2) / below**2
    inside = x.abs() <= bound
    return torch.where(inside, z, x), torch.where(inside, slope.log(), 0.0)


@pytest.mark.parametrize("n_bins", [2, 3, 8, 11])
@pytest.mark.parametrize("bound", [1.0, 4.0])
def test_splines_and_their_gradients_are_the_formulas(n_bins, bound):
    raw, x = parameters(n_bins, 500).requires_grad_(), values(500).requires_grad_()
    found, expected = spline(x, raw, bound), reference(x, raw, bound)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-11)
    weights = values(1000, seed=2).view(2, 500).unbind()
    gradients = [torch.autograd.grad(of, (x, raw), weights) for of in (found, expected)]
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("function", [spline, inverse_spline])
@pytest.mark.parametrize("n_bins", [2, 5])
def test_gradients_are_those_of_differences(function, n_bins):
    raw, x = parameters(n_bins, 12).requires_grad_(), values(12).requires_grad_()
    assert torch.autograd.gradcheck(lambda *of: function(*of, BOUND), (x, raw))


def test_the_gradient_of_the_inverse_is_that_of_solving():
    """Of x = f^-1(z) and its log slope: autograd through Newton's last step from the solution."""
    raw, z = parameters(8, 300).requires_grad_(), values(300).requires_grad_()
    x = inverse_spline(z, raw, BOUND)[0].detach()
    reached, log_slope = reference(x, raw)
    solved = x + (z - reached) * torch.exp(-log_slope.detach())
    expected = solved, -reference(solved, raw)[1]
    weights = values(600, seed=3).view(2, 300).unbind()
    found = torch.autograd.grad(inverse_spline(z, raw, BOUND), (z, raw), weights)
    torch.testing.assert_close(
        found, torch.autograd.grad(expected, (z, raw), weights), rtol=1e-7, atol=1e-7
    )


def special(raw):
    """Return the knots of the first value's spline, the ends, far values and both zeros."""
    at = knots(raw[: (len(raw) + 1) // 3].double())[:, 0]
    more = [0.0, -0.0, 1e-30, BOUND, -BOUND, 4.0001, -4.0001, 1e4, -1e4, 1e30, -1e30]
    return torch.cat([at, torch.tensor(more).double()]).to(raw)


@pytest.mark.parametrize("scale", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("dtype", [torch.double, torch.float])
def test_inverse_undoes_forward(scale, dtype):
    """Up to rounding: of z, near the box's size, and so of x by that over the slope."""
    raw = parameters(8, 2000, scale, dtype)
    x = values(2000, dtype=dtype)
    x = torch.cat([x, special(raw)])
    raw = torch.cat([raw, raw[:, :1].expand(-1, len(x) - 2000)], 1)
    z, log_slope = spline(x, raw, BOUND)
    back, back_log_slope = inverse_spline(z, raw, BOUND)
    rounding = 30 * torch.finfo(dtype).eps
    steepest = torch.maximum(torch.exp(-log_slope), torch.ones_like(x))
    assert (
        (back - x).abs() <= rounding * (BOUND + (z - z.clamp(-BOUND, BOUND)).abs()) * steepest
    ).all()
    if scale <= 1:
        atol = {torch.double: 1e-10, torch.float: 1e-3}[dtype]
        torch.testing.assert_close(back, x, rtol=1e-6, atol=atol)
        torch.testing.assert_close(back_log_slope, -log_slope, rtol=0, atol=20 * atol)


@pytest.mark.parametrize("function", [spline, inverse_spline])
@pytest.mark.parametrize("dtype", [torch.double, torch.float])
def test_outside_the_box_is_the_identity(function, dtype):
    raw = parameters(8, 7, 5.0, dtype)
    x = torch.tensor([-1e30, -1e4, -4.001, 4.001, 5.0, 1e4, 1e30], dtype=dtype).requires_grad_()
    z, log_slope = function(x, raw.requires_grad_(), BOUND)
    assert torch.equal(z, x)
    assert not log_slope.any()
    weights = torch.tensor([1e30, 1.0, 2.0, 3.0, 4.0, 5.0, -1e30], dtype=dtype)
    to_x, to_raw = torch.autograd.grad((z, log_slope), (x, raw), (weights, weights))
    assert torch.equal(to_x, weights)
    assert not to_raw.any()


@pytest.mark.parametrize("function", [spline, inverse_spline])
def test_the_curve_is_smooth_where_it_leaves_the_box_and_at_its_knots(function):
    """Value and slope go on: they differ by no more than a step of 1e-9 can move them."""
    raw = parameters(8, 1)
    axis = slice(0, 8) if function is spline else slice(8, 16)
    at = knots(raw[axis])[:, 0]
    (before, slope_before), (after, slope_after) = (
        function(at + step, raw.expand(-1, 9), BOUND) for step in (-1e-9, 1e-9)
    )
    torch.testing.assert_close(before, after, rtol=0, atol=1e-6)
    torch.testing.assert_close(slope_before, slope_after, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.double, torch.float])
@pytest.mark.parametrize("n_bins", [2, 8, 10])
def test_parameters_of_zero_are_the_identity(dtype, n_bins):
    x = torch.cat([values(1000, dtype=dtype), torch.tensor([4.0, -4.0, 0.0, -0.0], dtype=dtype)])
    raw = torch.zeros(3 * n_bins - 1, len(x), dtype=dtype)
    rounding = 4 * torch.finfo(dtype).eps
    for function in (spline, inverse_spline):
        z, log_slope = function(x, raw, BOUND)
        torch.testing.assert_close(z, x, rtol=0, atol=BOUND * rounding)
        torch.testing.assert_close(log_slope, torch.zeros_like(x), rtol=0, atol=2 * rounding)


@pytest.mark.parametrize("function", [spline, inverse_spline])
@pytest.mark.parametrize("scale", [10.0, 1e4, 1e12])
def test_extreme_parameters_keep_everything_finite(function, scale):
    raw = parameters(8, 4000, scale, torch.float).requires_grad_()
    x = torch.cat([values(3989, dtype=torch.float), special(raw.detach())[9:]])
    x = torch.cat([x, torch.zeros(4000 - len(x))]).requires_grad_()
    z, log_slope = function(x, raw, BOUND)
    (z.sum() + log_slope.sum()).backward()
    for found in (z, log_slope, x.grad, raw.grad):
        assert found.isfinite().all()
    assert (z.detach()[x.detach().abs() <= BOUND].abs() <= BOUND * (1 + 1e-5)).all()


def test_splines_increase():
    raw = parameters(8, 1, 4.0).expand(-1, 100_000)
    x = torch.linspace(-5, 5, 100_000).double()
    assert (spline(x, raw, BOUND)[0].diff() > 0).all()


def test_shapes_and_layouts_are_any():
    raw, x = parameters(8, 24), values(24)
    z, log_slope = spline(x, raw, BOUND)
    folded = spline(x.view(2, 3, 4).transpose(0, 2), raw.view(-1, 2, 3, 4).transpose(1, 3), BOUND)
    torch.testing.assert_close(folded[0].transpose(0, 2).flatten(), z, rtol=0, atol=0)
    torch.testing.assert_close(folded[1].transpose(0, 2).flatten(), log_slope, rtol=0, atol=0)
    for found in spline(x[:0], raw[:, :0], BOUND):
        assert found.shape == (0,)
