"""The contract of every invertible map, and composition.

To add a bijection, subclass :class:`Bijection`, give every parameter and buffer a leading
axis of length K, and write ``_forward`` and ``_inverse``. Shapes are checked here, once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

# How parameters begin: the same numbers whatever torch's default dtype and device are.
NEW: dict[str, Any] = {"dtype": torch.float32, "device": "cpu"}


class Bijection(nn.Module):
    r"""Map a bank of K batches invertibly, :math:`z_k = f_k(x_k)`.

    All K maps share one architecture and have parameters of their own: every parameter and
    buffer has shape (K, ...). K = 1 is a single map; there is no second code path. They begin in
    float32 on the CPU, whatever torch's defaults are; ``to`` moves them. What is random in them is
    drawn from ``generator``, a generator of the CPU; None is torch's global one.

    Parameters
    ----------
    n_components
        K, the number of maps in the bank.
    event_shape
        Shape of one sample x. Layers act on the last axis, the features (or channels);
        axes before it are positions, such as the rows and columns of an image.
    latent_shape
        Shape of one z; the event shape unless given.

    Raises
    ------
    ValueError
        If K < 1 or the event shape is empty or has an axis of length < 1.
    """

    def __init__(
        self,
        n_components: int,
        event_shape: Sequence[int],
        latent_shape: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        if n_components < 1:
            raise ValueError(f"n_components must be at least 1, got {n_components}")
        if len(event_shape) == 0 or min(event_shape) < 1:
            raise ValueError(f"event_shape must hold positive lengths, got {tuple(event_shape)}")
        self.n_components = n_components
        self.event_shape = tuple(event_shape)
        self.latent_shape = self.event_shape if latent_shape is None else tuple(latent_shape)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map data to latents.

        Parameters
        ----------
        x
            Data, shape (K, N, *event_shape).

        Returns
        -------
        z
            Latents, shape (K, N, *latent_shape).
        log_det
            log abs det of dz/dx, shape (K, N).

        Raises
        ------
        ValueError
            If the shape of x is not (K, N, *event_shape).
        """
        self._check(x, self.event_shape, "x")
        return self._forward(x)

    def forward_groups(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map a batch for each of G groups of consecutive maps, G a divisor of K.

        As ``forward`` on every group's batch repeated for its K / G maps, but what the maps of
        a group share is computed once: (G, N, *event_shape) -> z (K, N, *latent_shape), log_det
        (K, N).

        Raises
        ------
        ValueError
            If G does not divide K, or the event shape is another.
        """
        if x.shape[2:] != self.event_shape or not len(x) or self.n_components % len(x):
            expected = ", ".join(str(n) for n in ("G", "N", *self.event_shape))
            raise ValueError(
                f"x must have shape ({expected}) with G a divisor of {self.n_components}, got "
                f"{tuple(x.shape)}"
            )
        return self._forward_groups(x)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Map latents (K, N, *latent_shape) to data; ``log_det`` is that of dx/dz, (K, N)."""
        self._check(z, self.latent_shape, "z")
        return self._inverse(z)

    @torch.no_grad()
    def initialize(self, x: Tensor) -> Tensor:
        """Set data-dependent parameters from x (K, N, *event_shape) and return forward(x).

        Only layers that say so (ActNorm, whitening) change; N may be small, statistics are
        clamped. Each component sees its own batch.
        """
        self._check(x, self.event_shape, "x")
        return self._initialize(x)

    @property
    def top_shape(self) -> tuple[int, ...]:
        """Shape, channels last, of the latents that are best modelled further; they come first."""
        return self.latent_shape

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        raise NotImplementedError

    def _forward_groups(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self._forward(spread(x, self.n_components))

    def _inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        raise NotImplementedError

    def _initialize(self, x: Tensor) -> Tensor:
        return self._forward(x)[0]

    def _check(self, value: Tensor, event_shape: tuple[int, ...], name: str) -> None:
        if value.shape[:1] + value.shape[2:] != (self.n_components, *event_shape):
            expected = ", ".join(str(n) for n in (self.n_components, "N", *event_shape))
            raise ValueError(f"{name} must have shape ({expected}), got {tuple(value.shape)}")


class Chain(Bijection):
    r"""Compose bijections, :math:`f = f_L \circ \dots \circ f_1`.

    Parameters
    ----------
    bijections
        The maps in the order of the forward direction; banks of one size whose shapes fit.

    Raises
    ------
    ValueError
        If there are none, or neighbours do not fit.
    """

    def __init__(self, bijections: Sequence[Bijection]) -> None:
        if not bijections:
            raise ValueError("a chain needs at least one bijection")
        for left, right in zip(bijections[:-1], bijections[1:], strict=True):
            if (left.n_components, left.latent_shape) != (right.n_components, right.event_shape):
                raise ValueError(
                    f"{type(left).__name__} gives {left.n_components} x {left.latent_shape}, but "
                    f"{type(right).__name__} takes {right.n_components} x {right.event_shape}"
                )
        first, last = bijections[0], bijections[-1]
        super().__init__(first.n_components, first.event_shape, last.latent_shape)
        self.bijections = nn.ModuleList(bijections)

    @property
    def top_shape(self) -> tuple[int, ...]:
        """Shape of the last map's top latents."""
        return self._parts()[-1].top_shape

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self._run(x, self._parts(), "_forward")

    def _forward_groups(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first, *rest = self._parts()
        z, log_det = first._forward_groups(x)
        return self._run(z, rest, "_forward", log_det)

    def _inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return self._run(z, reversed(self._parts()), "_inverse")

    def _initialize(self, x: Tensor) -> Tensor:
        for bijection in self._parts():
            x = bijection._initialize(x)
        return x

    def _parts(self) -> list[Bijection]:
        return cast("list[Bijection]", [*self.bijections])

    @staticmethod
    def _run(
        value: Tensor,
        bijections: Iterable[Bijection],
        direction: Literal["_forward", "_inverse"],
        total: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        for bijection in bijections:
            value, log_det = getattr(bijection, direction)(value)
            total = log_det if total is None else total + log_det
        assert total is not None
        return value, total


def spread(x: Tensor, n_rows: int) -> Tensor:
    """Repeat every row for the consecutive ones that it stands for: (G, ...) -> (n_rows, ...)."""
    return x[:, None].expand(-1, n_rows // len(x), *x.shape[1:]).flatten(0, 1)
