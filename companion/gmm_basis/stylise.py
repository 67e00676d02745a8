"""Optimise an image until the Gram matrices of its feature maps are those asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from companion.gmm_basis.gram import Triangles, gram
from companion.gmm_basis.vgg import VGG19

# Weight of the squared distance of pixels from [0, 1]: it only keeps them from running away.
RANGE_WEIGHT = 10.0
HISTORY = 10  # pairs of steps and gradients that L-BFGS remembers


@dataclass(frozen=True)
class Stylised:
    """An optimised image, and the losses on the way.

    Attributes
    ----------
    image
        RGB in [0, 1], (3, H, W).
    losses
        Style loss at each evaluation, (steps,); line searches try points that they leave.
    """

    image: Tensor
    losses: Tensor


def stylise(
    network: VGG19,
    target: Mapping[str, Tensor],
    unit: Mapping[str, Tensor],
    start: Tensor,
    *,
    steps: int,
    content_layer: str | None = None,
    content_weight: float = 0.0,
    content: Tensor | None = None,
    callback: Callable[[int, float], None] | None = None,
) -> Stylised:
    r"""Minimise a style loss, and a content loss, over the pixels by L-BFGS.

    .. math:: \frac1L \sum_l \frac{\|G_l(x) - T_l\|^2}{u_l} + w \frac{\|F(x) - F(c)\|^2}{\|F(c)\|^2}

    Parameters
    ----------
    network
        With the layers of the target, and the content layer.
    target
        T, layer -> matrix (C, C). It need not be positive semi-definite; what is negative of it
        stays in the loss.
    unit
        u, layer -> squared norm that makes the layers comparable.
    start
        Image to start from, (3, H, W) in [0, 1].
    steps
        Evaluations of loss and gradient; a line search that has begun may take a few more.
    content_layer, content_weight, content
        Feature map F, weight w and image c, (3, H, W); a weight of 0 leaves the content out.
    callback
        Called with the number of evaluations so far and the style loss.

    Raises
    ------
    FloatingPointError
        If the loss is not finite.
    """
    image = start[None].clone(memory_format=torch.contiguous_format).requires_grad_()
    wanted = _content(network, content_layer, content) if content_weight else None
    losses: list[float] = []
    # Without a line search the loss of some images jumps by orders of magnitude.
    optimizer = torch.optim.LBFGS(
        [image], max_iter=steps, max_eval=steps, history_size=HISTORY,
        tolerance_grad=0, tolerance_change=0, line_search_fn="strong_wolfe",
    )  # fmt: skip

    def evaluate() -> Tensor:
        optimizer.zero_grad()
        maps = network(image)
        style = style_loss({name: gram(maps[name])[0] for name in target}, target, unit)
        loss = style + RANGE_WEIGHT * (image - image.clamp(0, 1)).square().mean()
        if wanted is not None and content_layer is not None:
            apart = (maps[content_layer] - wanted).square().mean()
            loss = loss + content_weight * apart / wanted.square().mean()
        losses.append(style.item())
        if not loss.isfinite():
            raise FloatingPointError(
                f"the loss is {loss.item()} at evaluation {len(losses)}; take fewer steps, or a "
                "larger content weight"
            )
        if callback is not None:
            callback(len(losses), losses[-1])
        loss.backward()
        return loss

    optimizer.step(evaluate)
    return Stylised(image.detach()[0].clamp(0, 1).contiguous(), torch.tensor(losses))


def style_loss(
    grams: Mapping[str, Tensor], target: Mapping[str, Tensor], unit: Mapping[str, Tensor]
) -> Tensor:
    """Return the mean over layers of squared distances of Gram matrices, in units of ``unit``."""
    terms = [(grams[name] - t).square().sum() / unit[name] for name, t in target.items()]
    return torch.stack(terms).mean()


def style_unit(rows: Tensor, layout: Triangles) -> dict[str, Tensor]:
    """Return, by layer, the mean squared norm of Gram matrices in rows (N, D)."""
    return {name: value.mean() for name, value in layout.squared(rows).items()}


def _content(network: VGG19, layer: str | None, content: Tensor | None) -> Tensor:
    if layer is None or content is None:
        raise ValueError("content_weight > 0 needs a content layer and a content image")
    with torch.no_grad():
        return network(content[None])[layer]
