"""VMoNF on images of digits: 0, 10 or 100 labels a class, against what labels alone teach."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from companion.runs.experiment import Experiment, RunContext
from companion.runs.result import Result
from companion.runs.weights import pack
from companion.vmonf.digit_images import LEVELS, Classifier, DigitImages, draw
from companion.vmonf.fresh_seeds import FRESH
from companion.vmonf.mnist_models import (
    K,
    MnistConfig,
    classifier,
    cluster,
    fit_mixture,
    samples,
)
from mixflow.estimators import VMoNF
from mixflow.metrics import components_in_use, contingency_table, matched_accuracy

# A component is in use when it owns at least this share of the test images.
IN_USE = 0.01
# Samples of each component that the judge reads, and that are stored for the figure.
JUDGED, SHOWN = 100, 12
GROUP = 3  # digits that a component's samples may be of, and still be one group
N_CURVE = 500


def run(config: MnistConfig, context: RunContext) -> Result:
    """Fit the model, and measure it on all test images."""
    images = draw(
        config.dataset,
        config.seed,
        n_train=config.n_train,
        n_labelled_per_class=config.n_labelled_per_class,
        n_other=config.n_judge,
        pool=config.pool,
    )
    start = time.perf_counter()
    if config.model in ("Gaussian mixture", "k-means"):
        component = cluster(config, images)
        costs = {"fit_seconds": time.perf_counter() - start}
        return _result(config, images, component, {}, {}, costs)
    if config.model == "CNN":
        network = classifier(config, images, context)
        costs = {
            "fit_seconds": time.perf_counter() - start,
            "parameters": float(network.parameters()),
        }
        return _result(config, images, network.predict(images.x_test), {}, {}, costs)
    curve = _Curve(config, images)
    model = fit_mixture(config, images, context, curve)
    parameters = model.model_.parameters()
    costs = {
        "fit_seconds": time.perf_counter() - start - curve.seconds,
        "parameters": float(sum(p.numel() for p in parameters)),
    }
    metrics, arrays = _density(config, images, model), curve.arrays(model.history_)
    if config.n_labelled_per_class == 0:
        judged = _judge(config, images, model, context)
        arrays["judged"] = judged
        metrics |= _groups(judged)
    if config.keep:
        arrays |= {"samples": _as_pixels(config, samples(model, SHOWN, config.seed))}
        arrays |= {"model": pack(model), "weights": model.weights_}
    return _result(config, images, model.predict(images.x_test), metrics, arrays, costs)


# Measures -------------------------------------------------------------------------------------


def _density(config: MnistConfig, images: DigitImages, model: VMoNF) -> dict[str, float]:
    """Return what only a density has; likelihoods in nat per pixel of images in [0, 1)."""
    n_pixels = images.x[0].size
    log_p = model.score_samples(images.x_test)
    posterior = model.posterior(images.x_test).argmax(1)
    return {
        "test_log_likelihood": float(log_p.mean() / n_pixels),
        "elbo_gap": float(model.gap(images.x_test).mean()),
        "posterior_accuracy": _accuracy(config, images.y_test, posterior),
    }


def _accuracy(config: MnistConfig, y: np.ndarray, component: np.ndarray) -> float:
    """Return the share of right digits; only where labels name the components unmatched."""
    labelled = config.n_labelled_per_class > 0 and config.model in ("VMoNF", "CNN")
    return float((y == component).mean()) if labelled else matched_accuracy(y, component)


def _judge(
    config: MnistConfig, images: DigitImages, model: VMoNF, context: RunContext
) -> np.ndarray:
    """Count samples by the digit that a held-out classifier reads and their component, (10, K)."""
    assert config.posterior_features is not None
    assert config.classifier_steps is not None
    # Samples carry the noise that the flows were trained with, so the judge learns with it.
    judge = Classifier(
        config.posterior_features,
        config.classifier_steps,
        shift=config.posterior_shift or 0,
        noise=config.noise or 0.0,
        seed=config.seed,
    ).fit(images.x_other, images.y_other, device=context.device)
    drawn = samples(model, JUDGED, config.seed)
    digits = judge.predict(np.clip(np.nan_to_num(drawn), 0, 1).reshape(-1, *images.x.shape[1:]))
    counts = np.zeros((10, K), np.int64)
    np.add.at(counts, (digits, np.repeat(np.arange(K), JUDGED)), 1)
    return counts


def _groups(judged: np.ndarray) -> dict[str, float]:
    """Return how far components give samples of distinct groups of digits."""
    shares = np.sort(judged / judged.sum(0), axis=0)[::-1]
    digits, components = np.nonzero(judged)
    counts = judged[digits, components]
    nmi = normalized_mutual_info_score(np.repeat(digits, counts), np.repeat(components, counts))
    groups = shares[:GROUP].sum(0)
    return {
        "samples_nmi": float(nmi),
        "samples_dominance": float(shares[0].mean()),
        "samples_least_group_share": float(groups.min()),
    }


def _result(
    config: MnistConfig,
    images: DigitImages,
    component: np.ndarray,
    metrics: Mapping[str, float],
    arrays: Mapping[str, np.ndarray],
    costs: dict[str, float],
) -> Result:
    y = images.y_test
    metrics = {
        "accuracy": _accuracy(config, y, component),
        "ari": float(adjusted_rand_score(y, component)),
        "nmi": float(normalized_mutual_info_score(y, component)),
        "components_in_use": float(len(components_in_use(component, IN_USE))),
        **metrics,
    }
    table = contingency_table(y, component, n_components=K).counts
    same = {
        "dataset": config.dataset,
        "model": config.model,
        "setting": f"K={K}, {config.n_labelled_per_class} labels a class",
        "seed": config.seed,
    }
    rows = pd.DataFrame([{**same, "metric": m, "value": v} for m, v in sorted(metrics.items())])
    return Result(rows, {**arrays, "contingency": table}, costs)


def _as_pixels(config: MnistConfig, x: np.ndarray) -> np.ndarray:
    levels = LEVELS[config.dataset]
    return np.clip(np.floor(np.nan_to_num(x) * levels) * (256 // levels), 0, 255).astype(np.uint8)


class _Curve:
    """Look at a fit after every epoch, on the first test images."""

    def __init__(self, config: MnistConfig, images: DigitImages) -> None:
        self.config, self.seconds = config, 0.0
        self.x, self.y = images.x_test[:N_CURVE], images.y_test[:N_CURVE]

    def __call__(self, model: VMoNF, epoch: int) -> dict[str, float]:
        start = time.perf_counter()
        posterior = model.posterior(self.x).argmax(1)
        record = {
            "accuracy": _accuracy(self.config, self.y, model.predict(self.x)),
            "posterior_accuracy": _accuracy(self.config, self.y, posterior),
        }
        self.seconds += time.perf_counter() - start
        return record

    def arrays(self, history: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the curves of a fit, by name, each (epochs,): its history outlives a cut."""
        curves = {name: history[name] for name in ("accuracy", "posterior_accuracy")}
        curves["epoch"] = history["epoch"] + 1
        return {f"curve_{name}": values for name, values in curves.items()}


# Plan -----------------------------------------------------------------------------------------


_SMOKE = {
    "dataset": "digits",
    "n_labelled_per_class": 10,
    "n_train": 600,
    "n_judge": 300,
    "pool": 1,
}
# What makes smoke runs short, by the models that have it.
_SHORT = {"classifier_steps": 200, "posterior_features": 16}
_SHORT_FLOWS = {
    **_SHORT,
    "n_layers": 2,
    "hidden_features": 8,
    "epochs": 6,
    "batch_size": 50,
    "learning_rate": 1e-2,
    "start_share": 0.7,
}


def plan(profile: str) -> Sequence[Mapping[str, Any]]:
    """Return 3 fresh seeds of every number of labels, and of the baselines."""
    if profile == "smoke":
        return [
            {"model": "VMoNF", **_SHORT_FLOWS, "keep": True, "seed": 0},
            {"model": "VMoNF", "n_labelled_per_class": 0, **_SHORT_FLOWS, "keep": True, "seed": 0},
            {"model": "CNN", **_SHORT, "seed": 0},
            {"model": "Gaussian mixture", "n_labelled_per_class": 0, "seed": 0},
        ]
    mixtures: list[dict[str, Any]] = [
        *({"model": "VMoNF", "n_labelled_per_class": n} for n in (100, 10, 0)),
        {"model": "VMoNF random start", "n_labelled_per_class": 0},
    ]
    baselines: list[dict[str, Any]] = [
        *({"model": "CNN", "n_labelled_per_class": n} for n in (100, 10)),
        *({"model": m, "n_labelled_per_class": 0} for m in ("Gaussian mixture", "k-means")),
    ]
    return [
        {**point, "seed": FRESH + s, **({"keep": True} if point in mixtures and s == 0 else {})}
        for point in mixtures + baselines
        for s in range(3)
    ]


EXPERIMENT = Experiment(
    name="vmonf/mnist",
    title="VMoNF on MNIST, 0, 10 and 100 labels a class",
    config=MnistConfig,
    run=run,
    defaults={"smoke": _SMOKE, "laptop": {}, "paper": {"n_train": 58_000, "pool": 1}},
    plan=plan,
)
