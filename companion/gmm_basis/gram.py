"""Gram matrices: of feature maps, as data sets of random crops, sampled, and compared."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from sklearn.decomposition import PCA
from torch import Tensor

from companion.gmm_basis.vgg import BLOCKS, VGG19
from mixflow.estimators import BasisDensity

# How the Gram matrices that an image is optimised to come out of those of crops: one density per
# entry (as published); the same made positive semi-definite; one density per principal component
# of the data set; such draws from each style alone, blended; and the controls, mean and one crop.
Target = Literal["basis", "basis, PSD", "basis, rotated", "basis, blended", "mean", "crop"]
BATCH = 8  # crops whose feature maps are in memory at once


def gram(maps: Tensor) -> Tensor:
    r"""Return :math:`G_{ij} = \frac{1}{HW} \sum_p F_{ip} F_{jp}` of maps (N, C, H, W): (N, C, C).

    References
    ----------
    Gatys, Ecker and Bethge, NeurIPS 2015, up to the normalisation.
    """
    flat = maps.flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[2]


@dataclass(frozen=True)
class Triangles:
    """Put Gram matrices of several layers into one row, upper triangles only, and back.

    A Gram matrix is symmetric, so its upper triangle is all that there is to learn; sampled
    entries are mirrored.

    Attributes
    ----------
    channels
        Layer -> number of channels C; its triangle has C (C + 1) / 2 entries.
    """

    channels: Mapping[str, int]

    def row(self, grams: Mapping[str, Tensor]) -> Tensor:
        """Return matrices (N, C, C) by layer as rows (N, D)."""
        parts = []
        for name, c in self.channels.items():
            i, j = torch.triu_indices(c, c)
            parts.append(grams[name][:, i, j])
        return torch.cat(parts, dim=1)

    def matrices(self, row: Tensor) -> dict[str, Tensor]:
        """Return one row (D,) as symmetric matrices (C, C) by layer."""
        out = {}
        for name, part in self.parts(row).items():
            c = self.channels[name]
            i, j = torch.triu_indices(c, c, device=row.device)
            matrix = row.new_empty(c, c)
            matrix[i, j] = part
            matrix[j, i] = part
            out[name] = matrix
        return out

    def parts(self, rows: Tensor) -> dict[str, Tensor]:
        """Return the entries of every layer, (..., C (C + 1) / 2)."""
        sizes = [c * (c + 1) // 2 for c in self.channels.values()]
        return dict(zip(self.channels, rows.split(sizes, dim=-1), strict=True))

    def of_crops(self, network: VGG19, crops: Tensor) -> Tensor:
        """Return the Gram matrices of crops (N, 3, H, W) as rows (N, D)."""
        rows = []
        with torch.no_grad():
            for part in crops.split(BATCH):
                maps = network(part)
                rows.append(self.row({name: gram(value) for name, value in maps.items()}))
        return torch.cat(rows)

    def squared(self, difference: Tensor) -> dict[str, Tensor]:
        """Return squared Frobenius norms by layer, (...,): off the diagonal counts twice."""
        out = {}
        for name, part in self.parts(difference).items():
            c = self.channels[name]
            i, j = torch.triu_indices(c, c, device=part.device)
            out[name] = (part.square() * (1 + (i != j).to(part))).sum(-1)
        return out


def triangles(network: VGG19) -> Triangles:
    """Return the layout of a network's Gram matrices."""
    return Triangles({name: BLOCKS[int(name[4]) - 1][1] for name in network.layers})


def random_crops(picture: Tensor, n: int, size: int, rng: np.random.Generator) -> Tensor:
    """Cut n squares at random places out of a picture (3, H, W): (n, 3, size, size).

    Raises
    ------
    ValueError
        If the picture is smaller than a crop.
    """
    height, width = picture.shape[1:]
    if size > min(height, width):
        raise ValueError(
            f"crops of {size} pixels do not fit into a picture of {height} x {width}; take smaller "
            "crops, or a larger scale"
        )
    top = rng.integers(0, height - size + 1, n)
    left = rng.integers(0, width - size + 1, n)
    places = zip(top, left, strict=True)
    return torch.stack([picture[:, i : i + size, j : j + size] for i, j in places])


# Targets --------------------------------------------------------------------------------------


def mixed(style_1: Tensor, style_2: Tensor, share: float) -> Tensor:
    """Return a data set of N crops of which a share is of style 2: (N, D) each -> (N, D)."""
    n = len(style_1)
    n_second = round(share * n)
    return torch.cat([style_1[: n - n_second], style_2[:n_second]])


def draw_target(
    kind: Target,
    styles: Sequence[Tensor],
    share: float,
    layout: Triangles,
    *,
    n_components: int,
    sigma: float,
    seed: int,
    n_samples: int = 1,
) -> Tensor:
    """Draw Gram matrices to optimise images to.

    Parameters
    ----------
    kind
        How; see ``Target``.
    styles
        Gram matrices of crops of style 1 and 2 as rows, (N, D) each.
    share
        Of style 2: of the crops in the data set, for ``basis, blended`` of the matrix.
    layout
        Of the rows.
    n_components, sigma
        Of the basis densities.
    seed
        Of the draws.
    n_samples
        Number of draws.

    Returns
    -------
    Tensor
        Rows (n_samples, D).
    """
    data = mixed(styles[0], styles[1], share)
    if kind == "mean":
        return data.mean(0, keepdim=True).repeat(n_samples, 1)
    if kind == "crop":
        rng = np.random.default_rng(seed)
        return data[torch.from_numpy(rng.integers(0, len(data), n_samples))]
    drawn: dict[str, Any] = {"n_components": n_components, "sigma": sigma, "n_samples": n_samples}
    if kind == "basis, rotated":
        return _sample_rotated(data, layout, seed=seed, **drawn)
    if kind == "basis, blended":
        each = [
            _sample_rotated(rows, layout, seed=seed + s, **drawn) for s, rows in enumerate(styles)
        ]
        return (1 - share) * each[0] + share * each[1]
    sampled = _sample_entries(data, seed=seed, **drawn)
    if kind == "basis":
        return sampled
    return torch.stack([positive(row, layout) for row in sampled])


def entry_densities(data: Tensor, n_components: int, sigma: float, seed: int = 0) -> BasisDensity:
    """Fit one basis density to every column of data by algorithm 2, all at once."""
    # An entry of channels that never fire is 0 in every crop: it gets a grid of no width to
    # speak of. Crops are few, so that the greatest may be far out; it is a crop all the same.
    least = 1e-6 * float(data.abs().mean()) + 1e-12
    model = BasisDensity(n_components, sigma=sigma, min_range=least, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*outlier.*")
        return model.fit(data)


def _sample_entries(data: Tensor, *, seed: int, n_samples: int, **density: Any) -> Tensor:
    model = entry_densities(data, **density, seed=seed)
    return torch.as_tensor(model.sample(n_samples)).to(data)


def _sample_rotated(data: Tensor, layout: Triangles, **drawn: Any) -> Tensor:
    """Sample principal components of the rows, all that N crops have, and turn back."""
    unit = _layer_norms(data, layout)
    rows = (data / unit).double().cpu().numpy()
    pca = PCA(n_components=min(len(rows) - 1, rows.shape[1]), svd_solver="full").fit(rows)
    scores = torch.from_numpy(pca.transform(rows))
    sampled = _sample_entries(scores, **drawn)
    return unit * torch.from_numpy(pca.inverse_transform(sampled.numpy())).to(data)


def _layer_norms(data: Tensor, layout: Triangles) -> Tensor:
    """Return, for every entry, the root mean square norm of its layer's matrices, (D,)."""
    squared = layout.squared(data)
    parts = layout.parts(data[0])
    return torch.cat([squared[name].mean().sqrt().expand(len(parts[name])) for name in parts])


def positive(row: Tensor, layout: Triangles) -> Tensor:
    """Return the nearest positive semi-definite matrices: negative eigenvalues become 0."""
    out = {}
    for name, matrix in layout.matrices(row).items():
        values, vectors = torch.linalg.eigh(matrix.double())
        out[name] = (vectors * values.clamp_min(0) @ vectors.T).to(row)[None]
    return layout.row(out)[0]


# Measures -------------------------------------------------------------------------------------


def negative_shares(row: Tensor, layout: Triangles) -> dict[str, float]:
    """Return, by layer, the share of the eigenvalues' absolute sum that is negative: 0 if PSD."""
    out = {}
    for name, matrix in layout.matrices(row).items():
        values = torch.linalg.eigvalsh(matrix.double())
        # Of a singular matrix, rounding leaves half of the zeros negative.
        values[values.abs() < 1e-6 * values.abs().max()] = 0
        out[name] = float(values.clamp_max(0).abs().sum() / values.abs().sum())
    return out


def distances(rows: Tensor, centres: Sequence[Tensor], layout: Triangles) -> np.ndarray:
    r"""Return how far Gram matrices are from the mean ones of two styles, (N, 2).

    .. math:: d_s = \frac1L \sum_l \frac{\|G_l - M_{sl}\|^2}{\|M_{1l} - M_{2l}\|^2}

    So the mean of style 1 is at (0, 1), that of style 2 at (1, 0), and a blend with share a of
    the two means at (a^2, (1 - a)^2).
    """
    unit = layout.squared(centres[0] - centres[1])
    columns = []
    for centre in centres:
        squared = layout.squared(rows - centre)
        columns.append(torch.stack([squared[name] / unit[name] for name in unit]).mean(0))
    result: np.ndarray = torch.stack(columns, dim=1).double().cpu().numpy()
    return result


def position(distance: np.ndarray) -> np.ndarray:
    """Return where on the line between the two mean styles distances (..., 2) are: 0 to 1.

    It is the projection onto that line: what is added at a right angle, such as the noise of
    independent entries, does not move it.
    """
    where: np.ndarray = (1 + distance[..., 0] - distance[..., 1]) / 2
    return where
