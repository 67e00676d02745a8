"""How good generated digits are: read by a judge, and compared with real ones on its features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import pdist

from companion.gmm_basis.digit_reader import N_CLASSES, Reader
from mixflow.metrics import density_and_coverage, frechet_distance, precision_and_recall

# A digit is unrecognisable when the judge's highest probability is below this.
SURE = 0.9


@dataclass(frozen=True)
class Judge:
    """Measure digits against test images and against reconstructions of these.

    Attributes
    ----------
    reader
        A classifier that learned from images nobody else saw.
    real, reconstructed
        Features of test images and of their reconstructions, equally many of each digit in
        order: (10, n, F).
    n_near
        Of each digit, how many are compared by nearest neighbours and pairs.
    """

    reader: Reader
    real: np.ndarray
    reconstructed: np.ndarray
    n_near: int

    def measure(self, images: np.ndarray) -> dict[str, float]:
        """Return all measures of images (10, n, 1, H, W), generated as digits 0 ... 9.

        ``accuracy`` is the share that is read as meant; ``frechet_to_*`` squared Frechet distances
        on the judge's features; ``density`` and ``coverage`` (Naeem et al. 2020) and ``recall``
        (Kynkäänniemi et al. 2019) are against test images; ``diversity`` is the mean distance of
        two images of the same digit over that of test images.
        """
        features = self.features(images)
        read = self.reader.probabilities(features.reshape(-1, features.shape[2]))
        read = read.reshape(N_CLASSES, -1, N_CLASSES)
        wanted = np.arange(N_CLASSES)[:, None]
        right = (read.argmax(2) == wanted).mean(1)
        near, real = features[:, : self.n_near], self.real[:, : self.n_near]
        dense = density_and_coverage(_flat(real), _flat(near))
        precise = precision_and_recall(_flat(real), _flat(near))
        diversity = _distances(near) / _distances(real)
        return {
            "accuracy": right.mean(),
            "accuracy_8": right[8],
            "mixed_up_4_9": (read[4].argmax(1) == 9).mean() + (read[9].argmax(1) == 4).mean(),
            "unrecognisable": (read.max(2) < SURE).mean(),
            "frechet_to_test": frechet_distance(_flat(self.real), _flat(features)),
            "frechet_to_reconstructions": frechet_distance(
                _flat(self.reconstructed), _flat(features)
            ),
            "density": dense.density,
            "coverage": dense.coverage,
            "precision": precise.precision,
            "recall": precise.recall,
            "diversity": diversity.mean(),
            "diversity_7": diversity[7],
        }

    def features(self, images: np.ndarray) -> np.ndarray:
        """Return features: (10, n, 1, H, W) -> (10, n, F)."""
        n = images.shape[1]
        return self.reader.features(_flat(images)).reshape(N_CLASSES, n, -1)

    def read_pairs(self, images: np.ndarray, pairs: np.ndarray) -> dict[str, float]:
        """Return how images made of two digits are read.

        Parameters
        ----------
        images
            (P, m, 1, H, W), m of each pair.
        pairs
            The two digits of each, (P, 2).

        Returns
        -------
        dict
            ``third``, the share read as neither, and ``both``, the share whose two most
            probable digits are the two.
        """
        read = self.reader.probabilities(self.reader.features(_flat(images)))
        order = read.argsort(1).reshape(*images.shape[:2], N_CLASSES)
        first, second = order[..., -1], order[..., -2]
        a, b = pairs[:, :1], pairs[:, 1:]
        both = ((first == a) & (second == b)) | ((first == b) & (second == a))
        third = (first != a) & (first != b)
        return {"third": float(third.mean()), "both": float(both.mean())}


def _flat(x: np.ndarray) -> np.ndarray:
    return x.reshape(-1, *x.shape[2:])


def _distances(features: np.ndarray) -> np.ndarray:
    """Return the mean distance of two samples of each digit: (10, n, F) -> (10,)."""
    return np.array([pdist(part).mean() for part in features])


def by_digit(x: np.ndarray, y: np.ndarray, n: int) -> np.ndarray:
    """Return the first n samples of each digit: (N, ...) and (N,) -> (10, n, ...).

    Raises
    ------
    ValueError
        If a digit has fewer.
    """
    least = int(np.bincount(y, minlength=N_CLASSES).min())
    if least < n:
        raise ValueError(f"{n} images of each digit are wanted, but one has only {least}")
    return np.stack([x[y == c][:n] for c in range(N_CLASSES)])
