"""Learning rates over steps, gradient clipping, posterior temperatures over epochs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor, nn

Schedule = Literal["cosine", "noam", "constant"]
Temperature = float | Literal["per_dimension"] | tuple[float, float]


def learning_rate(
    step: int,
    n_steps: int,
    *,
    base: float,
    schedule: Schedule = "cosine",
    warmup: int = 0,
    minimum: float = 0.0,
) -> float:
    """Return the learning rate of a step.

    Parameters
    ----------
    step, n_steps
        Step from 0, and the number of steps of the whole fit.
    base
        The peak.
    schedule
        ``"cosine"`` falls to the minimum at the last step; ``"noam"`` rises linearly for
        ``warmup`` steps and then falls with the inverse square root of the step, not below
        the minimum (EM-GM's, from tensor2tensor); ``"constant"`` stays.
    warmup
        Steps of linear rise; for every schedule.
    minimum
        The floor after the warm-up.
    """
    if step < warmup:
        return base * (step + 1) / warmup
    if schedule == "noam":
        return max(minimum, base * math.sqrt(max(warmup, 1) / (step + 1)))
    if schedule == "cosine":
        share = (step - warmup) / max(1, n_steps - 1 - warmup)
        return minimum + (base - minimum) * (1 + math.cos(math.pi * min(1.0, share))) / 2
    if schedule == "constant":
        return base
    raise ValueError(f"schedule must be 'cosine', 'noam' or 'constant', got {schedule!r}")


@torch.no_grad()
def clip_gradients(
    parameters: Iterable[nn.Parameter],
    *,
    n_components: int | None,
    value: float | None = None,
    norm: float | None = None,
) -> None:
    """Clip gradients in place, by value and then by norm.

    Parameters
    ----------
    parameters
        Their gradients are clipped; those without one are passed over.
    n_components
        K when every parameter is a bank (K, ...), or of a multiple of K rows: each part is then
        clipped by its own norm and no part feels another. None clips all by one norm.
    value, norm
        Largest absolute value, largest Euclidean norm; None leaves either out.
    """
    parameters = list(parameters)
    grads = [p.grad for p in parameters if p.grad is not None]
    if value is not None:
        for grad in grads:
            grad.clamp_(-value, value)
    if norm is None or not grads:
        return
    if n_components is None or n_components == 1:
        # The library's takes all gradients at once: fewer operations where these are small.
        torch.nn.utils.clip_grad_norm_(parameters, norm)
        return
    rows = [grad.view(n_components, -1) for grad in grads]
    total = torch.stack([row.square().sum(1) for row in rows]).sum(0).sqrt()
    factor = (norm / (total + 1e-6)).clamp_max(1.0)[:, None]
    for row in rows:
        row.mul_(factor)


def temperature_at(temperature: Temperature, share: float, n_features: int) -> float:
    """Return the posterior temperature when ``share`` (0 to 1) of the epochs has passed.

    A pair (start, end) moves geometrically from one to the other; "per_dimension" is D, as in
    the released code of EM-GM.

    Raises
    ------
    ValueError
        If it is neither a positive number, a pair of such, nor "per_dimension".
    """
    if temperature == "per_dimension":
        return float(n_features)
    pair = temperature if isinstance(temperature, tuple | list) else (temperature, temperature)
    numbers = all(isinstance(t, int | float) and t > 0 for t in pair)
    if len(pair) != 2 or not numbers:
        raise ValueError(
            "temperature must be a positive number, a pair (start, end) of such, or, in EM, "
            f"'per_dimension', got {temperature!r}"
        )
    start, end = pair
    return float(start * (end / start) ** share)


def bank_rows(tensors: Iterable[Tensor], n_components: int) -> list[Tensor]:
    """Return the tensors that are banks, with a leading axis of length K."""
    return [t for t in tensors if t.ndim > 0 and len(t) == n_components]
