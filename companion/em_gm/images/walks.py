"""Walks from image to image through the codes of a mixture, by the rules of EM-GM's figure 7."""

from __future__ import annotations

from typing import Literal, cast

import numpy as np
import torch
from torch import Tensor

from mixflow.flows import Chain, Shared
from mixflow.mixtures import GenMM, LatMM

Rule = Literal["generator of the nearer end", "generator drawn from pi"]
ENDS: Rule = "generator of the nearer end"
DRAWN: Rule = "generator drawn from pi"


@torch.no_grad()
def walk(
    mixture: GenMM, ends: Tensor, alpha: np.ndarray, rule: Rule = ENDS, seed: int = 0
) -> Tensor:
    r"""Decode codes on the line between those of two images, :math:`(1-\alpha) z_1 + \alpha z_2`.

    EM-GM, arXiv 1907.13432, figure 7. The code of an end is that of its component, the argmax of
    its responsibilities, and has all D latents: what leaves the flow at its splits is mixed too,
    not drawn anew. Of LatMM the latents before the source are mixed: the flow is the same for all
    components, and so is the walk by every rule.

    Parameters
    ----------
    mixture
        On images (1, H, W).
    ends
        (2, P, 1, H, W).
    alpha
        From 0 to 1, (S,).
    rule
        Which component decodes: that of the first end for alpha below 0.5 and that of the last
        from there on (7a, 7c), or one drawn from :math:`\pi` for each image (7b), the ends
        excepted, which their own decode.
    seed
        Of the draws.

    Returns
    -------
    Tensor
        (P, S, 1, H, W), on the CPU; not finite where a component cannot decode another's code.
    """
    coder = coder_of(mixture)
    x = ends.to(coder.log_weights.device)
    own = torch.stack([coder.predict(part) for part in x])
    first, last = (coder.encode(part, k) for part, k in zip(x, own, strict=True))
    decoding = generators(rule, own, alpha, coder.log_weights, seed)
    steps = zip(alpha.tolist(), decoding, strict=True)
    return torch.stack([coder.decode(torch.lerp(first, last, a), k) for a, k in steps], 1).cpu()


def generators(
    rule: Rule, own: Tensor, alpha: np.ndarray, log_weights: Tensor, seed: int
) -> Tensor:
    """Return the component that decodes each image of walks, (S, P); ``own`` is (2, P)."""
    nearer = own[torch.as_tensor(alpha >= 0.5).long().to(own.device)]
    if rule == ENDS:
        return nearer
    drawn = torch.multinomial(
        log_weights.cpu().double().exp(),
        nearer.numel(),
        replacement=True,
        generator=torch.Generator().manual_seed(seed),
    ).view_as(nearer)
    between = torch.as_tensor((alpha > 0) & (alpha < 1), device=own.device)
    return torch.where(between[:, None], drawn.to(own.device), nearer)


def coder_of(mixture: GenMM) -> GenMM:
    """Return what codes images: LatMM's one flow without its sources, or the mixture itself."""
    if not isinstance(mixture, LatMM):
        return mixture
    flow = cast(Shared, cast(Chain, mixture.flow).bijections[0]).bijection
    return GenMM(flow).to(mixture.log_weights.device).eval()
