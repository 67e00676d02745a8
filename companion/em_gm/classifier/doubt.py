"""How sure a generative classifier is: calibration, rejection, shifted priors, unseen classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from companion.em_gm.classifier.config import Findings, Generative
from companion.em_gm.classifier.models import FLOWS, Models, Task
from mixflow.estimators.priors import estimate_priors, with_priors
from mixflow.metrics import (
    accuracy_by_coverage,
    best_temperature,
    brier_score,
    expected_calibration_error,
    log_error_probability,
    reliability_diagram,
    temperature_scaled,
)

FITTED, SCALED = "as fitted", "temperature-scaled"
COVERAGES = (0.8, 0.9, 0.95)
# Points of the curves that are stored.
CURVE_POINTS = 200
# (model, setting) -> log P(y given x) of the test samples.
Posteriors = dict[tuple[str, str], NDArray]


def posteriors(models: Models, task: Task) -> tuple[Posteriors, Findings]:
    """Score the test samples, as fitted and with temperatures that held-out samples choose."""
    found, scored = Findings(), {}
    held = models.log_proba(task.x_held)
    for name, log_proba in models.log_proba(task.x_test).items():
        temperature = best_temperature(held[name], task.y_held)
        found.add(name, SCALED, temperature=temperature)
        scored[name, FITTED] = log_proba
        scored[name, SCALED] = temperature_scaled(log_proba, temperature)
    return scored, found


def calibration(scored: Posteriors, y: NDArray, n_bins: int) -> Findings:
    """Measure accuracy, log loss, Brier score and ECE; keep the reliability diagrams."""
    found = Findings()
    for (model, setting), log_proba in scored.items():
        proba = np.exp(log_proba)
        diagram = reliability_diagram(proba, y, n_bins)
        found.arrays[f"reliability, {model}, {setting}"] = diagram
        found.add(
            model,
            setting,
            accuracy=_accuracy(log_proba, y),
            log_loss=-log_proba[np.arange(len(y)), y].mean(),
            brier_score=brier_score(proba, y),
            calibration_error=expected_calibration_error(proba, y, n_bins),
            mean_confidence=proba.max(1).mean(),
        )
    return found


def rejection(scored: Posteriors, y: NDArray) -> Findings:
    """Measure accuracy on the most confident samples; keep the curves."""
    found = Findings()
    for (model, setting), log_proba in scored.items():
        curve = accuracy_by_coverage(-log_error_probability(log_proba), log_proba.argmax(1) == y)
        points = np.linspace(0, len(curve) - 1, min(CURVE_POINTS, len(curve))).round().astype(int)
        found.arrays[f"coverage, {model}, {setting}"] = np.stack(
            [(points + 1) / len(curve), curve[points]], axis=1
        )
        found.add(
            model,
            setting,
            area_accuracy_coverage=curve.mean(),
            **{f"accuracy_at_{c:.0%}": curve[round(c * len(curve)) - 1] for c in COVERAGES},
        )
    return found


def prior_shift(
    scored: Posteriors, y: NDArray, old: NDArray, imbalances: tuple[int, ...], seed: int
) -> Findings:
    """Thin the test set out to unequal classes; decide by old, true and estimated priors.

    Parameters
    ----------
    scored
        Posteriors of the whole test set.
    y
        Its classes, (N,).
    old
        P(y) in training, (C,).
    imbalances
        Ratios of the most frequent class to the rarest.
    seed
        Draws which classes become rare, and the samples kept.
    """
    found = Findings()
    for imbalance in imbalances:
        rows = thinned(y, imbalance, np.random.default_rng(seed))
        true = np.bincount(y[rows], minlength=len(old)) / len(rows)
        found.arrays[f"priors, imbalance {imbalance}"] = true
        for (model, setting), everything in scored.items():
            log_proba = everything[rows]
            estimated = estimate_priors(log_proba, old)
            priors = {"old": old, "true": true, "estimated": estimated}
            metrics = {
                f"accuracy_{name}_priors": _accuracy(with_priors(log_proba, old, new), y[rows])
                for name, new in priors.items()
            }
            metrics |= {
                f"prior_distance_{name}": np.abs(priors[name] - true).sum() / 2
                for name in ("old", "estimated")
            }
            found.add(model, f"{setting}, imbalance {imbalance}", **metrics)
            found.arrays[f"priors, imbalance {imbalance}, {model}, {setting}"] = estimated
    return found


def thinned(y: NDArray, imbalance: float, rng: np.random.Generator) -> NDArray:
    """Return samples to keep so that class sizes fall geometrically, in a random order.

    Parameters
    ----------
    y
        Classes 0 ... C - 1, (N,), each at least once.
    imbalance
        Share of its samples that the most frequent class keeps, over that of the rarest,
        which keeps one at least.
    rng
        Source of order and samples.
    """
    classes = rng.permutation(int(y.max()) + 1)
    shares = np.geomspace(1, 1 / imbalance, len(classes))
    kept = []
    for label, share in zip(classes, shares, strict=True):
        rows = rng.permutation(np.flatnonzero(y == label))
        kept.append(rows[: max(1, round(share * len(rows)))])
    return np.sort(np.concatenate(kept))


def unseen_classes(models: Models, task: Task, config: Generative) -> Findings:
    """Tell test samples of known classes from those of classes never seen, by many scores.

    Parameters
    ----------
    models
        Fitted to the known classes only.
    task, config
        The data, and the run's seed.
    """
    unseen = np.isin(task.y_test, task.new)
    train = np.isin(task.y, task.known)
    scores: dict[tuple[str, str], NDArray] = {}
    for name, model in models.generative.items():
        scores[name, "density of x"] = model.score_samples(task.x_test)
        scores[name, "largest class density"] = model.log_prob_classes(task.x_test).max(1)
    for name, log_proba in models.log_proba(task.x_test).items():
        scores[name, "largest posterior"] = -log_error_probability(log_proba)
    scores |= _outlier_scores(task.x[train], task.x_test, config.seed)
    found = Findings()
    for (name, setting), score in scores.items():
        found.add(name, setting, auroc_unseen=roc_auc_score(unseen, -score))
    density = scores[FLOWS, "density of x"].astype(np.float32)
    found.arrays |= {"log density, known": density[~unseen], "log density, unseen": density[unseen]}
    return found


def _accuracy(log_proba: NDArray, y: NDArray) -> float:
    return float((log_proba.argmax(1) == y).mean())


def _outlier_scores(x: NDArray, x_test: NDArray, seed: int) -> dict[tuple[str, str], NDArray]:
    """Return what detectors of outliers say, high for what is like the training samples."""
    scaler = StandardScaler().fit(x)
    z, z_test = scaler.transform(x), scaler.transform(x_test)
    nearest = NearestNeighbors(n_neighbors=1).fit(z)
    forest = IsolationForest(random_state=seed).fit(z)
    return {
        ("nearest neighbour", "distance"): -nearest.kneighbors(z_test)[0][:, 0],
        ("isolation forest", "isolation"): forest.score_samples(z_test),
    }
