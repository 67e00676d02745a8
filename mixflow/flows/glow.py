"""The multi-scale flow for images."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from mixflow.flows.bijection import Bijection, Chain
from mixflow.flows.curves import ToneCurve
from mixflow.flows.layers import ActNorm, AffineCoupling, InvertibleLinear, Scale, Squeeze
from mixflow.flows.networks import BankConv, ConvNet


class Glow(Bijection):
    r"""Map K batches of images to latents (Kingma and Dhariwal 2018).

    Each level squeezes and takes S steps of ActNorm, invertible 1x1 convolution and affine
    coupling; after each level but the last, half of the channels leave as latents,
    standardised by a Gaussian whose mean and scale are predicted from the other half. The
    whole is one bijection between images (C, H, W) and standard-normal latents (C H W,): the
    last level's latents come first.

    Parameters
    ----------
    n_components
        K, the number of flows in the bank.
    image_shape
        (C, H, W); H and W must be divisible by 2 to the number of levels.
    n_levels
        Number of levels.
    n_steps
        Steps in each level, one number or one per level.
    hidden_features
        Channels of the couplings' hidden layers.
    scale
        The coupling's scale function; ``"sigmoid"`` is the published one.
    mixed_precision
        Let the couplings' networks compute in bfloat16 while training, on a processor that has it:
        2.7 times as fast at 512 features on a CPU with AVX-512 BF16, slower where it is emulated.
        The log densities of images move, by some 1e-4 nats a pixel at 64 features after a few
        epochs, and by 3e-3 on average at 512 after 165 (single images by up to 0.04). In eval mode,
        as for responsibilities, they are of full precision.
    positional_bias
        Let the couplings' networks know where in the image they are, by a learned bias of their
        first hidden layer at every pixel. Not in the papers; for images whose pixels hang together
        by their place, as those that were resized (the book's page *Beyond Glow*).
    tone_curve
        Bend the values of the pixels first, by a learned :class:`~mixflow.flows.ToneCurve`. Not in
        the papers; for images of which many pixels are black or white, or have few grey levels.
    generator
        Draws rotations and weights, see :class:`Bijection`.

    Raises
    ------
    ValueError
        If the image shape is not (C, H, W) or the levels do not divide it.

    Examples
    --------
    >>> import torch
    >>> flow = Glow(2, (1, 8, 8), n_levels=2, n_steps=1, hidden_features=4)
    >>> z, log_det = flow(torch.zeros(2, 5, 1, 8, 8))
    >>> z.shape, log_det.shape
    (torch.Size([2, 5, 64]), torch.Size([2, 5]))
    """

    def __init__(
        self,
        n_components: int,
        image_shape: Sequence[int],
        *,
        n_levels: int = 3,
        n_steps: int | Sequence[int] = 4,
        hidden_features: int = 64,
        scale: Scale = "sigmoid",
        mixed_precision: bool = False,
        positional_bias: bool = False,
        tone_curve: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        shape: tuple[int, ...] = _checked_shape(image_shape, n_levels)
        super().__init__(n_components, image_shape, (math.prod(image_shape),))
        steps = [n_steps] * n_levels if isinstance(n_steps, int) else list(n_steps)
        if len(steps) != n_levels or min(steps) < 1:
            raise ValueError(f"n_steps must give 1 or more for each of {n_levels} levels: {steps}")
        levels, splits = [], []
        network = partial(
            ConvNet,
            n_components,
            hidden_features=hidden_features,
            mixed_precision=mixed_precision,
            generator=generator,
        )
        for level, count in enumerate(steps):
            bent = tone_curve and level == 0
            chain = _level(
                n_components, shape, count, network, scale, positional_bias, bent, generator
            )
            levels.append(chain)
            shape = chain.latent_shape
            if level < n_levels - 1:
                splits.append(_split(n_components, shape))
                shape = (*shape[:-1], shape[-1] // 2)
        self.levels, self.splits = nn.ModuleList(levels), nn.ModuleList(splits)

    @property
    def top_shape(self) -> tuple[int, ...]:
        """(H, W, C) of the last level's latents, to which every split is conditional."""
        return self._parts()[0][-1].latent_shape

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self._encode(x, "_forward")

    def _initialize(self, x: Tensor) -> Tensor:
        return self._encode(x, "_initialize")[0]

    def _encode(self, x: Tensor, method: str) -> tuple[Tensor, Tensor]:
        x = x.permute(0, 1, 3, 4, 2)  # channels last inside, see layers
        log_det = x.new_zeros(x.shape[:2])
        latents: list[Tensor] = []
        levels, splits = self._parts()
        for level in levels:
            x, log_det = _apply(level, method, x, log_det)
            if len(latents) < len(splits):
                x, log_det = _apply(splits[len(latents)], method, x, log_det)
                x, out = x.chunk(2, dim=-1)
                latents.append(out)
        parts = [x, *reversed(latents)]
        return torch.cat([part.flatten(2) for part in parts], dim=2), log_det

    def _inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        levels, splits = self._parts()
        sizes = [math.prod(level.latent_shape) for level in reversed(levels)]
        sizes[1:] = [size // 2 for size in sizes[1:]]
        parts = iter(z.split(sizes, dim=2))
        last = levels[-1]
        x, log_det = last._inverse(next(parts).unflatten(2, last.latent_shape))
        for level, split in zip(reversed(levels[:-1]), reversed(splits), strict=True):
            out = next(parts).view_as(x)
            x, step = split._inverse(torch.cat([x, out], dim=-1))
            log_det = log_det + step
            x, step = level._inverse(x)
            log_det = log_det + step
        return x.permute(0, 1, 4, 2, 3), log_det

    def _parts(self) -> tuple[list[Bijection], list[Bijection]]:
        return cast("list[Bijection]", [*self.levels]), cast("list[Bijection]", [*self.splits])


class GlowLevel(Bijection):
    """Map K batches of images to images by the steps of one level of Glow.

    Unlike Glow's own levels it unfolds the squeezed pixels again, so that any flow on images may
    follow: a trunk that components share.

    Parameters
    ----------
    n_components, image_shape, n_steps, hidden_features, scale, mixed_precision, positional_bias, \
tone_curve, generator
        As for :class:`Glow`.
    """

    def __init__(
        self,
        n_components: int,
        image_shape: Sequence[int],
        *,
        n_steps: int,
        hidden_features: int = 64,
        scale: Scale = "tanh",
        mixed_precision: bool = False,
        positional_bias: bool = False,
        tone_curve: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        shape = _checked_shape(image_shape, 1)
        super().__init__(n_components, image_shape)
        network = partial(
            ConvNet,
            n_components,
            hidden_features=hidden_features,
            mixed_precision=mixed_precision,
            generator=generator,
        )
        self.level = _level(
            n_components, shape, n_steps, network, scale, positional_bias, tone_curve, generator
        )

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z, log_det = self.level._forward(x.permute(0, 1, 3, 4, 2))
        return self._unfolded(z), log_det

    def _inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        x, log_det = self.level._inverse(self._squeeze._forward(z.permute(0, 1, 3, 4, 2))[0])
        return x.permute(0, 1, 4, 2, 3), log_det

    def _initialize(self, x: Tensor) -> Tensor:
        return self._unfolded(self.level._initialize(x.permute(0, 1, 3, 4, 2)))

    @property
    def _squeeze(self) -> Bijection:
        return next(b for b in self.level.bijections if isinstance(b, Squeeze))

    def _unfolded(self, z: Tensor) -> Tensor:
        return self._squeeze._inverse(z)[0].permute(0, 1, 4, 2, 3)


def _apply(bijection: Bijection, method: str, x: Tensor, log_det: Tensor) -> tuple[Tensor, Tensor]:
    if method == "_initialize":
        return bijection._initialize(x), log_det
    x, step = bijection._forward(x)
    return x, log_det + step


def _checked_shape(image_shape: Sequence[int], n_levels: int) -> tuple[int, int, int]:
    if len(image_shape) != 3 or min(image_shape) < 1:
        raise ValueError(f"image_shape must be (C, H, W), got {tuple(image_shape)}")
    channels, height, width = image_shape
    if n_levels < 1 or height % 2**n_levels or width % 2**n_levels:
        raise ValueError(
            f"{n_levels} levels need height and width divisible by {2 ** max(n_levels, 1)}, got "
            f"{height} x {width}; pad or resize the images, or take fewer levels"
        )
    return height, width, channels


def _level(
    k: int,
    shape: tuple[int, ...],
    n_steps: int,
    network: Callable[..., ConvNet],
    scale: Scale,
    positional_bias: bool,
    tone_curve: bool,
    generator: torch.Generator | None,
) -> Chain:
    layers: list[Bijection] = [ToneCurve(k, shape)] if tone_curve else []
    layers.append(Squeeze(k, shape))
    shape = layers[-1].latent_shape
    half = shape[-1] // 2
    positions = shape[:-1] if positional_bias else None
    for _ in range(n_steps):
        conditioner = network(half, 2 * (shape[-1] - half), positions=positions)
        layers += [
            ActNorm(k, shape),
            InvertibleLinear(k, shape, generator=generator),
            AffineCoupling(k, shape, conditioner, scale=scale),
        ]
    return Chain(layers)


def _split(k: int, shape: tuple[int, ...]) -> AffineCoupling:
    half = shape[-1] // 2
    return AffineCoupling(k, shape, BankConv(k, half, 2 * half, zero=True, gain=True), scale="exp")
