"""Responsibilities to start from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from torch import Tensor

from mixflow.modes import without
from mixflow.training.groups import Groups

# One start of k-means in four cuts a wing of the pinwheel in two, which no later step mends; ten
# starts on a part of the data cost little.
KMEANS_RESTARTS, KMEANS_SAMPLES = 10, 10_000

Start = Literal["kmeans", "gmm", "random", "uniform"]


def start_responsibilities(
    x: np.ndarray,
    groups: Groups,
    n_components: int,
    *,
    method: Start = "kmeans",
    reg_covar: float = 1e-3,
    seed: int = 0,
) -> Tensor:
    """Return responsibilities for a first M-step.

    Parameters
    ----------
    x
        Samples, shape (N, D).
    groups
        Which samples belong together; each group starts by itself.
    n_components
        K, the number of components in a group.
    method
        ``"kmeans"``: 1 for the nearest centre; ``"gmm"``: posteriors of a full-covariance
        Gaussian mixture fitted by EM from there; ``"random"``: one component at random;
        ``"uniform"``: 1/K everywhere, so that only the random weights tell components apart.
    reg_covar
        Ridge of the Gaussian mixture, in squared units of x.
    seed
        Of k-means and of the random draw.

    Returns
    -------
    Tensor
        Shape (G, n, K), float64; meaningless where the group is padding.

    Raises
    ------
    ValueError
        If the method is unknown, or a group has fewer samples than components.
    """
    methods: dict[str, Callable[..., np.ndarray]] = {
        "kmeans": _kmeans,
        "gmm": _gmm,
        "random": _random,
        "uniform": lambda x, *_: np.full((len(x), n_components), 1 / n_components),
    }
    if method not in methods:
        raise ValueError(f"init must be one of {sorted(methods)}, got {method!r}")
    out = np.zeros((groups.n_groups, groups.size, n_components))
    for group, (index, weight) in enumerate(zip(groups.index, groups.weight, strict=True)):
        real = (weight > 0).cpu().numpy()
        if real.sum() < n_components:
            raise ValueError(
                f"{n_components} components need as many samples, but there are {real.sum()}; take "
                "fewer components or more samples"
            )
        part = x[index.cpu().numpy()[real]]
        w = weight.cpu().numpy()[real]
        rng = np.random.RandomState((seed * 1000003 + group) % 2**32)
        start = np.ones((len(part), 1)) if n_components == 1 else None
        out[group, real] = (
            start if start is not None else methods[method](part, w, n_components, reg_covar, rng)
        )
    return torch.from_numpy(out)


def _kmeans(
    x: np.ndarray, weight: np.ndarray, k: int, reg_covar: float, rng: np.random.RandomState
) -> np.ndarray:
    # Fewer distinct points than clusters: dead components are handled by the E-step.
    with without(ConvergenceWarning):
        few = rng.permutation(len(x))[:KMEANS_SAMPLES]
        model = KMeans(k, n_init=KMEANS_RESTARTS, random_state=rng)
        model.fit(x[few], sample_weight=weight[few])
    return np.eye(k)[model.predict(x)]


def _gmm(
    x: np.ndarray, weight: np.ndarray, k: int, reg_covar: float, rng: np.random.RandomState
) -> np.ndarray:
    # scikit-learn's mixture takes no weights; the start may do without.
    mixture = GaussianMixture(k, reg_covar=reg_covar, random_state=rng, max_iter=50)
    with without(ConvergenceWarning):
        return mixture.fit(x).predict_proba(x)


def _random(
    x: np.ndarray, weight: np.ndarray, k: int, reg_covar: float, rng: np.random.RandomState
) -> np.ndarray:
    return np.eye(k)[rng.permutation(np.arange(len(x)) % k)]
