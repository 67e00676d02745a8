"""A map of single values: a learned, increasing curve."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mixflow.flows.bijection import NEW, Bijection

# Where the steps of a curve begin, as shares of the way from the data's darkest values to its
# brightest, and how wide they are: fine ones at both ends, where pixels gather.
PLACES = (0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.3, 0.7)
WIDTHS = (0.012, 0.05, 0.15, 0.012, 0.05, 0.15, 0.15, 0.15)
HEIGHT = 0.02  # of each step at the start, in the same unit: the curve is nearly straight
TAIL = 0.01  # share of the values that are darker, or brighter, than these ends
# Of the inverse; halving alone takes some 25 in float32, 55 in float64.
MOST_ITERATIONS = 100


class ToneCurve(Bijection):
    r"""Bend every value by a learned increasing curve, one for each feature, or pixel and channel.

    .. math:: z = x + \sum_j w_j \tanh\frac{x - c_j}{s_j}, \quad w_j, s_j > 0

    Pixels gather at black and at white; couplings, which are affine, can hardly tell the two from
    what lies between. It is a learned relative of the logit that Dinh et al. (2017) apply to
    pixels, and not in the papers on mixtures.

    ``initialize`` lays steps of several widths at the ends and in the middle of the range of each
    channel; every pixel learns from there.
    """

    def __init__(self, n_components: int, event_shape: Sequence[int]) -> None:
        super().__init__(n_components, event_shape)
        shape = (n_components, len(PLACES), *event_shape)
        self.place = nn.Parameter(torch.empty(shape, **NEW))
        self.log_width = nn.Parameter(torch.empty(shape, **NEW))
        self.log_height = nn.Parameter(torch.empty(shape, **NEW))
        self.initialized: Tensor
        self.register_buffer(
            "initialized", torch.zeros(n_components, dtype=torch.bool, device=NEW["device"])
        )
        with torch.no_grad():
            self._lay(torch.tensor(-0.5, **NEW), torch.tensor(0.5, **NEW))

    def _lay(self, low: Tensor, high: Tensor) -> None:
        """Lay the steps between two values, the same wherever in the event."""
        size = (high - low).clamp_min(1e-3)
        along = (1, len(PLACES), *[1] * len(self.event_shape))
        shares, widths = (
            torch.tensor(v, **NEW).to(self.place).view(along) for v in (PLACES, WIDTHS)
        )
        self.place.copy_(low + shares * size)
        self.log_width.copy_((widths * size).log())
        self.log_height.copy_((HEIGHT * size).log().expand_as(self.place))

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z, slope = self._bent(x)
        return z, slope.log().flatten(2).sum(2)

    def _inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        x = self._found(z)
        reached, slope = self._bent(x)
        # One more step, of which autograd knows: the inverse's derivative is 1 / slope.
        x = x + (z - reached) / slope
        return x, -slope.log().flatten(2).sum(2)

    def _initialize(self, x: Tensor) -> Tensor:
        rows = x.flatten(1, -2)
        n = rows.shape[1]
        below = int(TAIL * (n - 1))
        ends = (rows.kthvalue(i + 1, dim=1)[0] for i in (below, n - 1 - below))
        per_channel = (x.shape[0], *[1] * len(self.event_shape), x.shape[-1])
        self._lay(*(end.view(per_channel) for end in ends))
        self.initialized.fill_(True)
        return self._forward(x)[0]

    def _bent(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the curve and its slope at x, (K, N, ..., C) each."""
        z, slope = x, torch.ones_like(x)
        steps = (self.place, torch.exp(-self.log_width), torch.exp(self.log_height))
        for place, sharpness, height in zip(*(p.split(1, dim=1) for p in steps), strict=True):
            step = torch.tanh((x - place) * sharpness)
            z = torch.addcmul(z, height, step)
            slope = torch.addcmul(slope, height * sharpness, 1 - step.square())
        return z, slope

    @torch.no_grad()
    def _found(self, z: Tensor) -> Tensor:
        """Return where the curve reaches z: Newton's steps, or halves where these are too slow."""
        reach = self.log_height.exp().sum(1, keepdim=True)
        low, high, x = z - reach, z + reach, z
        last = high - low
        for _ in range(MOST_ITERATIONS):
            reached, slope = self._bent(x)
            low, high = torch.where(reached < z, x, low), torch.where(reached < z, high, x)
            new = x + (z - reached) / slope
            halves = (new <= low) | (new >= high) | (2 * (new - x).abs() > last)
            new = torch.where(halves, (low + high) / 2, new)
            last = (new - x).abs()
            x = new
            if not last.gt(4 * torch.finfo(z.dtype).eps * (1 + z.abs())).any():
                break
        return x
