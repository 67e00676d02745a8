"""The layers of flows: all act on the last axis of (K, N, *positions, C)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mixflow.flows.bijection import NEW, Bijection
from mixflow.flows.networks import ChannelNorm

Scale = Literal["tanh", "sigmoid", "exp"]


class ActNorm(Bijection):
    r"""Shift and scale every feature, :math:`z = (x + b) \exp(s)` (Kingma and Dhariwal 2018).

    ``initialize`` sets b and s so that the batch has mean 0 and sd 1; forward never does.
    """

    def __init__(self, n_components: int, event_shape: Sequence[int]) -> None:
        super().__init__(n_components, event_shape)
        self.norm = ChannelNorm(n_components, event_shape[-1])

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.norm(x), self._log_det(x)

    def _inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        shape = self.norm.shape_for(z)
        x = z * torch.exp(-self.norm.log_scale).view(shape) - self.norm.shift.view(shape)
        return x, -self._log_det(z)

    def _initialize(self, x: Tensor) -> Tensor:
        self.norm.initialize(x)
        return self.norm(x)

    def _log_det(self, x: Tensor) -> Tensor:
        positions = math.prod(self.event_shape[:-1])
        return (positions * self.norm.log_scale.sum(1, keepdim=True)).expand(x.shape[:2])


class Rotation(Bijection):
    r"""Rotate the features by a fixed orthogonal matrix, :math:`z = x Q`; log_det is 0.

    Parameters
    ----------
    n_components, event_shape
        As for every bijection.
    reverse
        Reverse the order of the features instead of drawing a random rotation.
    generator
        Draws the rotation.
    """

    def __init__(
        self,
        n_components: int,
        event_shape: Sequence[int],
        *,
        reverse: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(n_components, event_shape)
        self.matrix: Tensor
        n_features = event_shape[-1]
        matrix = torch.eye(n_features, **NEW).flip(0).repeat(n_components, 1, 1)
        if not reverse:
            matrix = _random_rotation(n_components, n_features, generator)
        self.register_buffer("matrix", matrix.contiguous())

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Rotation:
        before = self.matrix.dtype
        super()._apply(fn, recurse)
        if self.matrix.dtype != before:
            # A rotation rounded to float32 is orthogonal to 1e-7 only; one Newton step makes
            # it so to the new precision.
            gram = self.matrix.transpose(1, 2) @ self.matrix
            self.matrix = 1.5 * self.matrix - 0.5 * self.matrix @ gram
        return self

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return _rows_times(x, self.matrix), x.new_zeros(x.shape[:2])

    def _inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return _rows_times(z, self.matrix.transpose(1, 2)), z.new_zeros(z.shape[:2])


class InvertibleLinear(Bijection):
    r"""Mix the features by a learned matrix, :math:`z = x P L U + b`, a 1x1 convolution on images.

    P is a fixed permutation, L unit lower and U upper triangular with a diagonal that cannot
    change sign, so that the map stays invertible and log_det is the sum of log abs diag(U).

    Parameters
    ----------
    n_components, event_shape
        As for every bijection.
    whiten
        Start at the identity, and let ``initialize`` set U and b so that the batch has mean 0
        and covariance 1; otherwise start at a random rotation.
    reg_covar
        Added to the diagonal of the covariance before whitening, in squared units of x.
    generator
        Draws the rotation that it starts at.
    """

    def __init__(
        self,
        n_components: int,
        event_shape: Sequence[int],
        *,
        whiten: bool = False,
        reg_covar: float = 1e-4,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(n_components, event_shape)
        self.permutation: Tensor
        self.sign: Tensor
        self.initialized: Tensor
        self.whiten, self.reg_covar = whiten, reg_covar
        d = event_shape[-1]
        start = torch.eye(d, **NEW).repeat(n_components, 1, 1)
        if not whiten:
            start = _random_rotation(n_components, d, generator)
        permutation, lower, upper = torch.linalg.lu(start)
        diagonal = upper.diagonal(dim1=1, dim2=2)
        self.register_buffer("permutation", permutation.contiguous())
        self.register_buffer("sign", diagonal.sign())
        self.lower = nn.Parameter(lower.tril(-1))
        self.upper = nn.Parameter(upper.triu(1))
        self.log_diagonal = nn.Parameter(diagonal.abs().log())
        self.bias = nn.Parameter(torch.zeros(n_components, 1, d, **NEW))
        self.register_buffer(
            "initialized", torch.full((n_components,), not whiten, device=NEW["device"])
        )

    def _triangles(self) -> tuple[Tensor, Tensor]:
        eye = torch.eye(self.event_shape[-1], dtype=self.lower.dtype, device=self.lower.device)
        diagonal = torch.diag_embed(self.sign * torch.exp(self.log_diagonal))
        return self.lower.tril(-1) + eye, self.upper.triu(1) + diagonal

    def _log_det(self, x: Tensor) -> Tensor:
        positions = math.prod(self.event_shape[:-1])
        return (positions * self.log_diagonal.sum(1, keepdim=True)).expand(x.shape[:2])

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        lower, upper = self._triangles()
        matrix = self.permutation @ lower @ upper
        z = torch.baddbmm(self.bias, x.flatten(1, -2), matrix)
        return z.view(x.shape), self._log_det(x)

    def _inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        lower, upper = self._triangles()
        rows = z.flatten(1, -2) - self.bias
        rows = torch.linalg.solve_triangular(upper, rows, upper=True, left=False)
        rows = torch.linalg.solve_triangular(
            lower, rows, upper=False, left=False, unitriangular=True
        )
        return (rows @ self.permutation.transpose(1, 2)).view(z.shape), -self._log_det(z)

    def _initialize(self, x: Tensor) -> Tensor:
        if self.whiten:
            # In float64: with few samples the covariance is close to singular.
            rows = x.flatten(1, -2).double()
            mean = rows.mean(1, keepdim=True)
            centred = rows - mean
            covariance = centred.transpose(1, 2) @ centred / rows.shape[1]
            covariance.diagonal(dim1=1, dim2=2).add_(self.reg_covar)
            factor = torch.linalg.cholesky(covariance).transpose(1, 2)  # covariance = R' R
            eye = torch.eye(rows.shape[-1], dtype=rows.dtype, device=rows.device)
            upper = torch.linalg.solve_triangular(factor, eye.expand_as(factor), upper=True)
            self.lower.zero_()
            self.upper.copy_(upper.triu(1))
            self.log_diagonal.copy_(upper.diagonal(dim1=1, dim2=2).log())
            self.bias.copy_(-mean @ upper)
            self.initialized.fill_(True)
        return self._forward(x)[0]


class AffineCoupling(Bijection):
    r"""Scale and shift one half of the features given the other (Dinh et al. 2017).

    .. math:: z_a = x_a, \quad z_b = x_b \exp(s(x_a)) + t(x_a)

    Parameters
    ----------
    n_components, event_shape
        As for every bijection; the first half (rounded down) conditions the second.
    conditioner
        Network (K, N, *positions, a) -> (K, N, *positions, 2 b), zero at the start.
    scale
        What the raw output s becomes: ``"tanh"`` 2 tanh(s/2), bounded, the default;
        ``"sigmoid"`` log sigmoid(s + 2), as in EM-GM; ``"exp"`` s itself.

    Raises
    ------
    ValueError
        If the scale is none of these.
    """

    def __init__(
        self,
        n_components: int,
        event_shape: Sequence[int],
        conditioner: nn.Module,
        *,
        scale: Scale = "tanh",
    ) -> None:
        super().__init__(n_components, event_shape)
        if scale not in get_args(Scale):
            raise ValueError(f"scale must be 'tanh', 'sigmoid' or 'exp', got {scale!r}")
        self.n_first = event_shape[-1] // 2
        self.conditioner = conditioner
        self.scale = scale

    def _condition(self, first: Tensor) -> tuple[Tensor, Tensor]:
        raw, shift = self.conditioner(first).chunk(2, dim=-1)
        if self.scale == "tanh":
            return 2 * torch.tanh(raw / 2), shift
        return (F.logsigmoid(raw + 2) if self.scale == "sigmoid" else raw), shift

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first, second = x[..., : self.n_first], x[..., self.n_first :]
        log_scale, shift = self._condition(first)
        z = torch.cat([first, torch.addcmul(shift, second, torch.exp(log_scale))], dim=-1)
        return z, log_scale.flatten(2).sum(2)

    def _inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        first, second = z[..., : self.n_first], z[..., self.n_first :]
        log_scale, shift = self._condition(first)
        x = torch.cat([first, (second - shift) * torch.exp(-log_scale)], dim=-1)
        return x, -log_scale.flatten(2).sum(2)

    def _initialize(self, x: Tensor) -> Tensor:
        initialize = getattr(self.conditioner, "initialize", None)
        if initialize is not None:
            initialize(x[..., : self.n_first])
        return self._forward(x)[0]


class Squeeze(Bijection):
    """Fold 2 x 2 pixels into channels, (H, W, C) -> (H/2, W/2, 4C); log_det is 0.

    Raises
    ------
    ValueError
        If the event is no image (H, W, C), or H or W is odd.
    """

    def __init__(self, n_components: int, event_shape: Sequence[int]) -> None:
        if len(event_shape) != 3:
            raise ValueError(f"squeeze needs images (H, W, C), got {tuple(event_shape)}")
        height, width, channels = event_shape
        if height % 2 or width % 2:
            raise ValueError(f"squeeze needs even height and width, got {height} x {width}")
        super().__init__(n_components, event_shape, (height // 2, width // 2, 4 * channels))

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        height, width, channels = self.event_shape
        x = x.reshape(*x.shape[:2], height // 2, 2, width // 2, 2, channels)
        z = x.permute(0, 1, 2, 4, 6, 3, 5).reshape(*x.shape[:2], *self.latent_shape)
        return z, z.new_zeros(z.shape[:2])

    def _inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        height, width, channels = self.event_shape
        z = z.reshape(*z.shape[:2], height // 2, width // 2, channels, 2, 2)
        x = z.permute(0, 1, 2, 5, 3, 6, 4).reshape(*z.shape[:2], *self.event_shape)
        return x, x.new_zeros(x.shape[:2])


def _random_rotation(k: int, d: int, generator: torch.Generator | None) -> Tensor:
    return torch.linalg.qr(torch.randn(k, d, d, generator=generator, **NEW))[0]


def _rows_times(x: Tensor, matrix: Tensor) -> Tensor:
    return torch.bmm(x.flatten(1, -2), matrix).view(x.shape)
