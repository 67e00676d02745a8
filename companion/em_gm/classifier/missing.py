r"""Classify with features missing: exact marginals of Gaussians, estimated ones of flows.

A flow has no marginal in closed form. Completions drawn from a Gaussian mixture q of the same
class give an unbiased estimate by importance sampling (o: observed, m: missing):

.. math:: p(x_o) = q(x_o) \, E_{x_m \sim q(\cdot \mid x_o)} [ p(x_o, x_m) / q(x_o, x_m) ]
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp

from companion.em_gm.classifier.config import Findings, Generative
from companion.em_gm.classifier.gaussians import ClassGaussians
from companion.em_gm.classifier.models import (
    FLOWS,
    GAUSSIANS,
    Models,
    Task,
    finite_log_proba,
    mixture_of,
)
from mixflow.estimators import MixtureClassifier
from mixflow.mixtures.base import in_chunks

MARGINAL, IMPUTED = "marginal", "mean imputed"
_CHUNK = 4096


def missing_features(models: Models, task: Task, config: Generative) -> Findings:
    """Measure accuracy when the same features, drawn by the seed, are missing in all samples."""
    rng, found = np.random.default_rng(config.seed), Findings()
    x, y = task.x_test[: config.missing_samples], task.y_test[: config.missing_samples]
    order = rng.permutation(x.shape[1])
    for n_missing in config.missing:
        missing = np.sort(order[:n_missing])
        seen = np.setdiff1d(order, missing)
        log_prior = np.log(models.gaussians.class_prior_)
        log_prob, efficiency = marginal_of_flows(
            models.flows, models.gaussians, x, missing, config.n_draws, rng
        )
        exact = models.gaussians.marginal(seen).log_prob_classes(x[:, seen])
        own = np.arange(len(y)), y
        setting = f"{n_missing} missing, {MARGINAL}"
        found.add(
            FLOWS,
            setting,
            accuracy_missing=((log_prob + log_prior).argmax(1) == y).mean(),
            sampling_efficiency=efficiency[own].mean(),
        )
        found.add(GAUSSIANS, setting, accuracy_missing=((exact + log_prior).argmax(1) == y).mean())
        imputed = x.copy()
        imputed[:, missing] = task.x[:, missing].mean(0)
        for name, model in {FLOWS: models.flows, **models.rivals}.items():
            right = finite_log_proba(model, imputed).argmax(1) == y
            found.add(name, f"{n_missing} missing, {IMPUTED}", accuracy_missing=right.mean())
    return found


def marginal_of_flows(
    flows: MixtureClassifier,
    gaussians: ClassGaussians,
    x: NDArray,
    missing: NDArray,
    n_draws: int,
    rng: np.random.Generator,
) -> tuple[NDArray, NDArray]:
    """Estimate log p(x_o given y) of mixtures of flows by importance sampling.

    Parameters
    ----------
    flows, gaussians
        Classifiers of the same classes; the second proposes completions.
    x
        Samples (N, D); the values of missing features are not looked at.
    missing
        Numbers of the missing features, int64 (M,).
    n_draws
        S, completions of each sample for each class.
    rng
        Source of the draws.

    Returns
    -------
    log_prob, efficiency
        In nats, (N, C), and the effective share of the draws, (N, C), 1 / S to 1.
    """
    seen = np.setdiff1d(np.arange(x.shape[1]), missing)
    log_seen = gaussians.marginal(seen).log_prob_classes(x[:, seen])
    log_prob, efficiency = np.empty_like(log_seen), np.empty_like(log_seen)
    for c in range(len(gaussians.classes_)):
        drawn = gaussians.complete(c, x, missing, n_draws, rng).reshape(-1, x.shape[1])
        proposal = logsumexp(gaussians.log_joint_of(c, drawn), axis=1)
        ratio = (_log_prob_of(flows, c, drawn) - proposal).reshape(n_draws, len(x))
        total = logsumexp(ratio, axis=0)
        log_prob[:, c] = log_seen[:, c] + total - np.log(n_draws)
        efficiency[:, c] = np.exp(2 * total - logsumexp(2 * ratio, axis=0)) / n_draws
    return log_prob, efficiency


@torch.no_grad()
def _log_prob_of(flows: MixtureClassifier, c: int, x: NDArray) -> NDArray:
    """Return log p(x) under class number c, in the units of x: (N, D) -> (N,)."""
    mixture = mixture_of(flows, c)
    scaled = torch.as_tensor((x - flows.location_) / flows.scale_).to(mixture.log_weights)
    log_prob: NDArray = in_chunks(mixture.log_prob, scaled, _CHUNK).cpu().numpy()
    return log_prob - np.log(flows.scale_).sum()
