"""Muon: steps along orthogonalised gradients, for hidden layers; AdamW for all the rest."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

# A quintic whose iterates take every singular value near 1, quickly and not exactly (Jordan et al.,
# "Muon", 2024).
QUINTIC, ITERATIONS = (3.4445, -4.7750, 2.0315), 5
# Names of the weights of hidden layers. Last layers start at zero, and did worse with such steps.
HIDDEN = re.compile(r"(^|\.)(hidden\.\d+|conv\d+)\.weight$")
# Of an orthogonalised step's entries, as large as AdamW's usually are (Liu et al., arXiv
# 2502.16982): one learning rate serves both.
ROOT_MEAN_SQUARE = 0.2


class Muon(torch.optim.Optimizer):
    """Take Muon's steps for the weights of hidden layers, and AdamW's for all other parameters.

    A layer's gradient, averaged over steps, is replaced by the nearest orthogonal matrix: all
    directions of a step count alike. torch's own Muon takes one matrix at a time; here all
    matrices of a shape, of all layers and all K components, are one batch.

    Parameters
    ----------
    named
        Names and parameters. Weights of hidden layers, by ``HIDDEN``, are banks of matrices (K,
        in, out), or of convolutions (K, out, in, height, width), whose matrix has a row for each
        channel out.
    momentum
        Share of the average that is kept in a step; Nesterov's.
    dtype
        In which steps are orthogonalised: bfloat16 serves (Jordan et al. compute so), and is
        faster where the processor has it. None is the weights' own.
    adamw
        AdamW's arguments; ``lr`` is that of all steps.
    """

    def __init__(
        self,
        named: Iterable[tuple[str, nn.Parameter]],
        *,
        momentum: float = 0.95,
        dtype: torch.dtype | None = None,
        **adamw: Any,
    ) -> None:
        parts: dict[bool, list[nn.Parameter]] = {False: [], True: []}
        for name, parameter in named:
            is_bank = parameter.ndim in (3, 5)  # not a plain layer of somebody's network
            parts[is_bank and HIDDEN.search(name) is not None].append(parameter)
        self._adamw = torch.optim.AdamW([*parts[False], *parts[True]], **adamw)
        groups = [{"params": part} for part in parts.values()]
        super().__init__(groups, self._adamw.defaults)
        self.momentum, self.dtype = momentum, dtype

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Take a step; parameters without a gradient stay as they are.

        Raises
        ------
        ValueError
            If a closure is given: there is one gradient a step.
        """
        if closure is not None:
            raise ValueError("Muon takes no closure: compute the gradients, then call step()")
        others, weights = self.param_groups
        # Set anew in every step: a checkpoint that is loaded replaces both.
        self._adamw.param_groups, self._adamw.state = [others], self.state
        self._adamw.step()
        shapes: dict[torch.Size, list[Tensor]] = {}
        for parameter in weights["params"]:
            if parameter.grad is not None:
                shapes.setdefault(parameter.shape, []).append(parameter)
        for alike in shapes.values():
            self._step_alike(alike, weights["lr"], weights["weight_decay"])

    def _step_alike(self, weights: list[Tensor], rate: float | Tensor, decay: float) -> None:
        """Step along what is orthogonal in each of these weights, which have one shape."""
        gradients = [w.grad for w in weights if w.grad is not None]
        for weight in weights:
            if not self.state[weight]:
                self.state[weight]["mean"] = torch.zeros_like(weight)
        means: list[Tensor] = [self.state[weight]["mean"] for weight in weights]
        torch._foreach_lerp_(means, gradients, 1 - self.momentum)
        ahead = torch.stack(torch._foreach_lerp(gradients, means, self.momentum))
        matrices = ahead.flatten(0, 1).flatten(2)
        steps = orthogonalised(matrices.to(self.dtype or ahead.dtype)).to(ahead.dtype)
        steps *= -rate * ROOT_MEAN_SQUARE * math.sqrt(max(steps.shape[1:]))
        for weight in weights if decay else ():
            weight.mul_(1 - rate * decay)
        torch._foreach_add_(weights, list(steps.view_as(ahead)))


def orthogonalised(matrices: Tensor) -> Tensor:
    """Return matrices with the same singular vectors, and singular values of about 1.

    Parameters
    ----------
    matrices
        (N, rows, columns).

    Returns
    -------
    Tensor
        (N, rows, columns); singular values that are not tiny beside the largest come to lie
        between .7 and 1.2.
    """
    a, b, c = QUINTIC
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)
    for _ in range(ITERATIONS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x.mT if tall else x
