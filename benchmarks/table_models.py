"""The density estimators that ``benchmarks.tables`` compares; each chooses on validation rows.

A model gets the training rows, the validation rows, the test rows, all (N, D) float64 and
standardised, and a seed; it returns log p of the test rows in nats, (N,), and what it chose.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity

from mixflow import estimators
from mixflow.training.density import fit_density
from mixflow.training.gaussian_selection import (
    N_COMPONENTS,
    SMOOTHINGS,
    select_gaussian_mixture,
)

Array = NDArray[np.float64]
# Numbers of components that the peer's search tries in vain before it stops.
PATIENCE = 4
Found = tuple[Array, dict[str, Any]]
RIDGES = [s.ridge for s in SMOOTHINGS if not s.shrinkage]
BANDWIDTHS = np.geomspace(0.02, 1.5, 14)
# Of the peers' flows: steps are small where rows are few.
BATCH, FEW, RATE, EPOCHS, LOST = 256, 1000, 1e-3, 500, 30


def default(train: Array, valid: Array, test: Array, seed: int) -> Found:
    """Fit mixflow's default to both parts."""
    x = torch.from_numpy(np.concatenate([train, valid]))
    found = fit_density(x, generator=torch.Generator().manual_seed(seed))
    chosen = {
        "k": found.selection.n_components,
        "smoothing": max(found.selection.smoothing),
        "epochs": found.n_epochs,
        "flows": round(float(found.shares[0]), 3),
        "coordinates": max(found.coordinates, key=found.coordinates.__getitem__),
    }
    return found.mixture.log_prob(torch.from_numpy(test)).numpy(), chosen


def mixflow_gaussians(train: Array, valid: Array, test: Array, seed: int) -> Found:
    """Choose K and the smoothing by mixflow's search."""
    x = torch.from_numpy(np.concatenate([train, valid]))
    found = select_gaussian_mixture(x, generator=torch.Generator().manual_seed(seed))
    chosen = {"k": found.n_components, "smoothing": max(found.smoothing)}
    return found.mixture.log_prob(torch.from_numpy(test)).numpy(), chosen


def gaussians(train: Array, valid: Array, test: Array, seed: int) -> Found:
    """Choose scikit-learn's K and reg_covar by validation, and fit to both parts.

    Numbers of components are those that mixflow's search tries, up to the fourth in vain.
    """
    scores: dict[tuple[int, float], float] = {}
    grid = [k for k in N_COMPONENTS if k <= len(train) // 2]
    for tried, k in enumerate(grid):
        for ridge in RIDGES:
            model = GaussianMixture(k, reg_covar=ridge, random_state=seed).fit(train)
            scores[k, ridge] = model.score(valid)
        if tried - grid.index(max(scores, key=scores.__getitem__)[0]) >= PATIENCE:
            break
    k, ridge = max(scores, key=scores.__getitem__)
    both = np.concatenate([train, valid])
    model = GaussianMixture(k, reg_covar=ridge, random_state=seed).fit(both)
    return model.score_samples(test), {"k": k, "smoothing": ridge}


def kernels(train: Array, valid: Array, test: Array, seed: int) -> Found:
    """Choose the bandwidth of Gaussian kernels by validation, and take both parts."""
    scores = [KernelDensity(bandwidth=h).fit(train).score(valid) for h in BANDWIDTHS]
    h = float(BANDWIDTHS[int(np.argmax(scores))])
    model = KernelDensity(bandwidth=h).fit(np.concatenate([train, valid]))
    return model.score_samples(test), {"bandwidth": h}


def earlier_default(train: Array, valid: Array, test: Array, seed: int) -> Found:
    """Fit ``GenMM()`` to both parts."""
    model = estimators.GenMM(random_state=seed).fit(np.concatenate([train, valid]))
    return model.score_samples(test), {"k": model.n_components}


def zuko_flow(name: str) -> Callable[..., Found]:
    """Return how to train a flow of zuko's, at its defaults, with early stopping.

    Raises
    ------
    ImportError
        If zuko is not installed.
    """
    import zuko

    def fit(train: Array, valid: Array, test: Array, seed: int) -> Found:
        torch.manual_seed(seed)
        flow = getattr(zuko.flows, name)(train.shape[1])
        parts = [torch.from_numpy(part).float() for part in (train, valid, test)]
        epochs = _climb(flow, parts[0], parts[1])
        return _log_prob(flow, parts[2]).double().numpy(), {"epochs": epochs}

    return fit


def _climb(flow: torch.nn.Module, train: torch.Tensor, valid: torch.Tensor) -> int:
    """Train with Adam; leave the flow at its best epoch, and return that."""
    optimizer = torch.optim.Adam(flow.parameters(), lr=RATE)
    size = BATCH if len(train) >= FEW else BATCH // 4
    best, best_epoch, state = -np.inf, 0, flow.state_dict()
    for epoch in range(EPOCHS):
        for rows in torch.randperm(len(train)).split(size):
            loss = -flow().log_prob(train[rows]).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        score = float(_log_prob(flow, valid).mean())
        if score > best:
            best, best_epoch = score, epoch
            state = {key: value.clone() for key, value in flow.state_dict().items()}
        elif epoch - best_epoch >= LOST:
            break
    flow.load_state_dict(state)
    return best_epoch + 1


@torch.no_grad()
def _log_prob(flow: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    return torch.cat([flow().log_prob(part) for part in x.split(1024)])


def models() -> dict[str, Callable[..., Found]]:
    """Return all models by name; those of zuko where it is installed."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    found: dict[str, Callable[..., Found]] = {
        "mixflow": default,
        "Gaussian mixture": gaussians,
        "mixflow's Gaussian mixture": mixflow_gaussians,
        "KernelDensity": kernels,
        "earlier GenMM()": earlier_default,
    }
    try:
        return found | {name: zuko_flow(name) for name in ("NSF", "MAF")}
    except ImportError:
        return found
