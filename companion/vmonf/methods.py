"""Fitting each model of the comparison to a set in the plane."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.cluster import HDBSCAN, SpectralClustering
from sklearn.mixture import GaussianMixture

from companion.runs.experiment import RunContext
from companion.vmonf.recipes import BASELINES
from companion.vmonf.sets import Plane
from mixflow.estimators import GenMM, VMoNF
from mixflow.training import StochasticEM, StochasticEMSettings
from mixflow.training.minibatches import Minibatches, MinibatchSettings
from mixflow.training.stochastic_em import Posterior

# Spectral clustering solves over a graph of all samples: it sees at most this many.
SPECTRAL_SAMPLES = 2000

POSTERIORS: dict[str, Posterior] = {
    "EM every batch": "exact",
    "EM per dimension": "per_dimension",
    "EM hard": "hard",
    "gradient": "gradient",
    "gradient annihilation": "gradient",
    "single flow": "gradient",
}


class StochasticEMMixture(VMoNF):
    """The flows of a VMoNF trained by EM on every batch; the network stays as it was drawn."""

    kind: Posterior = "exact"

    def _objective(self, settings: dict[str, Any], **data: Any) -> Minibatches:
        common = {name: settings[name] for name in MinibatchSettings.__dataclass_fields__}
        return StochasticEM(
            self.mixture_, settings=StochasticEMSettings(**common, posterior=self.kind), **data
        )

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the exact posterior, (N, 2) -> (N, K): there is no trained network to ask."""
        return self.posterior(X)


@dataclass
class Fitted:
    """What a fit leaves to measure; None where the method has no such thing."""

    component: np.ndarray  # of the test samples, or of the training samples
    of_test: bool
    log_prob: Callable[[np.ndarray], np.ndarray] | None = None
    model: Any = None


def fit(
    config: Any, plane: Plane, context: RunContext, callback: Callable[[Any, int], dict[str, float]]
) -> Fitted:
    """Fit the config's model."""
    if config.model == "Gaussian mixture":
        gaussians = GaussianMixture(config.n_components, random_state=config.seed, n_init=5)
        gaussians.fit(plane.x)
        return Fitted(gaussians.predict(plane.x_test), True, gaussians.score_samples, gaussians)
    if config.model in ("spectral clustering", "HDBSCAN"):
        return Fitted(cluster(config, plane), False)
    model = _estimator(config, plane, context, callback)
    labels = plane.labels if uses_labels(config, plane) else None
    model.fit(plane.x, labels)
    if model.interrupted_:
        raise KeyboardInterrupt
    model.set_params(callback=None, checkpoint=None)
    return Fitted(model.predict(plane.x_test), True, model.score_samples, model)


def uses_labels(config: Any, plane: Plane) -> bool:
    """Say whether labels name the components: there are some, and the model takes them."""
    takes = config.model not in (*BASELINES, "single flow", "EM every 5 epochs")
    return takes and config.start == "labels" and bool((plane.labels >= 0).any())


def cluster(config: Any, plane: Plane) -> np.ndarray:
    """Return clusters of the training samples; -1 for what HDBSCAN calls noise."""
    if config.model == "HDBSCAN":
        labels = HDBSCAN(min_cluster_size=max(10, len(plane.x) // 20), copy=True)
        found: np.ndarray = labels.fit_predict(plane.x)
        return found
    return spectral(plane.x[:SPECTRAL_SAMPLES], config.n_components, config.seed)


def spectral(x: np.ndarray, k: int, seed: int) -> np.ndarray:
    """Return scikit-learn's spectral clusters on a graph of 10 neighbours."""
    model = SpectralClustering(
        k, affinity="nearest_neighbors", n_neighbors=10, random_state=seed, assign_labels="kmeans"
    )
    labels: np.ndarray = model.fit_predict(x)
    return labels


def _estimator(
    config: Any, plane: Plane, context: RunContext, callback: Callable[[Any, int], dict[str, float]]
) -> VMoNF | GenMM:
    common: dict[str, Any] = {
        "n_components": config.n_components,
        "n_layers": config.n_layers,
        "hidden_features": config.hidden_features,
        "hidden_layers": config.hidden_layers,
        "mixing": config.mixing,
        "noise": config.noise,
        "max_epochs": config.epochs,
        "batch_size": config.batch_size,
        "learning_rate": config.learning_rate,
        "schedule": config.schedule,
        "warmup": config.warmup,
        "early_stopping": False,
        "random_state": config.seed,
        "device": context.device,
        "checkpoint": context.checkpoint,
        "callback": callback,
        "verbose": int(context.progress),
    }
    init: str | np.ndarray = config.start
    if config.start == "spectral":
        init = spectral(plane.x, config.n_components, config.seed)
    elif config.start == "labels":
        init = "auto" if uses_labels(config, plane) else "kmeans"
    if config.model == "EM every 5 epochs":
        return GenMM(**common, init=init, m_step="dense", em_every=5)
    kind = POSTERIORS.get(config.model)
    model = VMoNF if kind is None else StochasticEMMixture
    estimator = model(
        **common,
        init=init,
        posterior_features=config.posterior_features,
        posterior_layers=config.posterior_layers,
        shared_layers=config.shared_layers,
        start_share=config.start_share,
        temperature=(1.0, config.temperature_end),
        weights=config.weights,
        label_weight=config.label_weight,
        consistency=config.consistency,
        annihilation=config.annihilation,
    )
    if kind is not None:
        estimator.kind = kind
    return estimator


@torch.no_grad()
def samples_by_component(model: VMoNF | GenMM, n_samples: int, seed: int) -> np.ndarray:
    """Draw from every component, (K, n, 2), in the units of the data."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        drawn = model.mixture_.sample_each(n_samples)
    each: np.ndarray = drawn.double().cpu().numpy() * model.scale_ + model.location_
    return each
