"""What is measured of sampled Gram matrices and of the images made from them, as rows."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from scipy import stats
from torch import Tensor

from companion.gmm_basis.common import Ledger
from companion.gmm_basis.gram import (
    Triangles,
    distances,
    negative_shares,
    position,
    positive,
)
from companion.gmm_basis.stylise import style_unit

# An image is near to its style when it is nearer than this share of real crops of it are.
AS_NEAR_AS = 0.95
QUALITY = 90  # of stored pictures


@dataclass
class StyleLedger:
    """Collect the rows of one run.

    Attributes
    ----------
    ledger
        Where the rows go.
    model
        Where the Gram matrices come from.
    size
        Pixels of an image.
    """

    ledger: Ledger
    model: str
    size: int
    _images: np.ndarray = field(default_factory=lambda: np.empty((0, 2)))
    _crops: np.ndarray = field(default_factory=lambda: np.empty((2, 0, 2)))

    def crops(self, test: Sequence[Tensor], centres: Sequence[Tensor], layout: Triangles) -> None:
        """Say how far further crops are from both mean styles, and if that tells them apart."""
        self._crops = np.stack([distances(rows, centres, layout) for rows in test])
        for number, found in enumerate(self._crops):
            self.ledger.add(
                "real crops", f"style {number + 1}, {self.size} px",
                distance_1=found[:, 0].mean(), distance_2=found[:, 1].mean(),
                own_distance_upper=np.quantile(found[:, number], AS_NEAR_AS),
            )  # fmt: skip
        right = np.stack([f.argmin(1) == number for number, f in enumerate(self._crops)])
        self.ledger.add("real crops", f"both styles, {self.size} px", accuracy=right.mean())

    def images(
        self,
        labels: Sequence[tuple[float, int]],
        targets: Tensor,
        found: Tensor,
        styles: Sequence[Tensor],
        layout: Triangles,
    ) -> None:
        """Say where targets and images lie between the styles, and what no image can reach."""
        centres, unit = (
            [rows.mean(0) for rows in styles],
            style_unit(torch.cat(list(styles)), layout),
        )
        aimed = distances(targets, centres, layout)
        self._images = distances(found, centres, layout)
        for n, (share, variation) in enumerate(labels):
            text = f"share={share:g} variation={variation} {self.size} px"
            negative = float(np.mean(list(negative_shares(targets[n], layout).values())))
            self.ledger.add(
                self.model, text,
                distance_1=self._images[n, 0], distance_2=self._images[n, 1],
                position=float(position(self._images[n])),
                target_distance_1=aimed[n, 0], target_distance_2=aimed[n, 1],
                target_position=float(position(aimed[n])), target_negative_share=negative,
                style_loss=_loss(found[n] - targets[n], unit, layout),
                style_loss_floor=_loss(positive(targets[n], layout) - targets[n], unit, layout),
            )  # fmt: skip

    def spreads(
        self,
        shares: Sequence[float],
        targets: Tensor,
        found: Tensor,
        test: Sequence[Tensor],
        centres: Sequence[Tensor],
        layout: Triangles,
    ) -> None:
        """Say how much variations of a share differ, and how much real crops do."""
        real = float(np.mean([_spread(rows, centres, layout) for rows in test]))
        parts = zip(shares, targets.chunk(len(shares)), found.chunk(len(shares)), strict=True)
        for share, aimed, made in parts:
            self.ledger.add(
                self.model, f"share={share:g} {self.size} px",
                spread_of_targets=_spread(aimed, centres, layout),
                spread_of_images=_spread(made, centres, layout), spread_of_crops=real,
            )  # fmt: skip

    def trends(self, shares: Sequence[float]) -> None:
        """Say how the distances from both styles go with the share, of several shares."""
        if len(shares) > 2:
            # The mean over the variations of a share, (shares, 2).
            found = self._images.reshape(len(shares), -1, 2).mean(1)
            ranks = [float(stats.spearmanr(shares, found[:, s]).statistic) for s in (0, 1)]
            text = f"{self.size} px"
            self.ledger.add(self.model, text, spearman_1=ranks[0], spearman_2=ranks[1])

    def rows(self) -> pd.DataFrame:
        """Return all rows."""
        return self.ledger.rows()


def _loss(difference: Tensor, unit: Mapping[str, Tensor], layout: Triangles) -> float:
    """Return the style loss of a difference of Gram matrices, (D,)."""
    squared = layout.squared(difference)
    return float(torch.stack([squared[name] / unit[name] for name in unit]).mean())


def _spread(rows: Tensor, centres: Sequence[Tensor], layout: Triangles) -> float:
    """Return the mean squared distance of rows from their mean, as distances are measured."""
    unit = layout.squared(centres[0] - centres[1])
    squared = layout.squared(rows - rows.mean(0))
    terms = [squared[name].sum() / (len(rows) - 1) / unit[name] for name in unit]
    return float(torch.stack(terms).mean())


# What is stored for figures -------------------------------------------------------------------


def encode(image: Tensor) -> np.ndarray:
    """Return an image (3, H, W) in [0, 1] as the bytes of a WebP file, uint8."""
    from PIL import Image

    pixels = (image * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="WEBP", quality=QUALITY, method=4)
    return np.frombuffer(stream.getvalue(), dtype=np.uint8)


def decode(content: np.ndarray) -> np.ndarray:
    """Return the pixels of what ``encode`` stored, (H, W, 3) uint8."""
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(content.tobytes())).convert("RGB"))


def example_grams(
    styles: Sequence[Tensor], target: Tensor, layout: Triangles
) -> dict[str, np.ndarray]:
    """Return what the figures show of Gram matrices, by array's name.

    Of every layer one entry in all crops of both styles, (2, N): the largest off the diagonal, by
    its mean. Of a crop and of the target all eigenvalues, (C,); and the first layer's matrices.
    """
    out = {}
    for name, values in _typical_entries(styles, layout).items():
        out[f"entry of {name}"] = values
    shown = {"style 1": styles[0][0], "style 2": styles[1][0], "sampled": target}
    for which, row in shown.items():
        matrices = layout.matrices(row)
        for name, matrix in matrices.items():
            found = torch.linalg.eigvalsh(matrix.double()).flip(0)
            out[f"eigenvalues of {name}, {which}"] = found.float().cpu().numpy()
        first = matrices[next(iter(layout.channels))]
        out[f"Gram matrix, {which}"] = first.float().cpu().numpy()
    return out


def _typical_entries(styles: Sequence[Tensor], layout: Triangles) -> dict[str, np.ndarray]:
    parts = [layout.parts(rows) for rows in styles]
    out = {}
    for name, c in layout.channels.items():
        i, j = torch.triu_indices(c, c)
        mean = torch.stack([part[name].mean(0) for part in parts]).mean(0).cpu()
        entry = int(torch.where(i == j, -torch.inf, mean).argmax())
        out[name] = torch.stack([part[name][:, entry] for part in parts]).float().cpu().numpy()
    return out
