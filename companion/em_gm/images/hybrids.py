"""The models of section III.B that EM-GM names and leaves, against the two that it trains.

All have equally many parameters, by the width of their couplings, and cost equally much, by
their epochs: what differs is where the mixture is.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from torch.nn.functional import avg_pool2d
from torch.utils.flop_counter import FlopCounterMode

from companion.em_gm.images.data import NOISE, load_images
from companion.em_gm.table_2.data import load_cell
from companion.runs.config import Config
from companion.runs.experiment import Experiment, RunContext
from companion.runs.result import Result
from mixflow.estimators import GenMM, MixtureClassifier
from mixflow.metrics import nats_per_pixel
from mixflow.mixtures import GenMM as Mixture

Dataset = Literal["letter", "mnist", "digits"]
REFERENCE = "GenMM"
# Flows, Gaussians in the latents of each, and layers of a trunk, in units of the config's.
MODELS: dict[str, tuple[int, int, int]] = {
    "single flow": (0, 0, 0),
    REFERENCE: (1, 0, 0),
    "LatMM": (0, 1, 0),
    "GenMM of LatMMs": (1, 1, 0),
    "common and individual": (1, 0, 1),
}
WIDEST, PROBE = 2048, 32


class Hybrids(Config):
    """All models on one data set, for one seed."""

    dataset: Dataset = Field("letter", description="letter: a mixture for each class; or images")
    n_flows: int = Field(4, ge=2, le=50, description="flows of a GenMM")
    n_sources: int = Field(4, ge=2, le=50, description="Gaussians in the latents of a flow")
    n_layers: int = Field(8, ge=2, description="couplings of a flow, or steps of a level")
    hidden_features: int = Field(32, ge=4, description="width of GenMM's couplings")
    epochs: int = Field(120, ge=1, description="of GenMM; the others have the same FLOPs")
    e_steps: int = Field(24, ge=1, description="in all epochs together")
    batch_size: int = Field(256, ge=1, description="of every component")
    noise: float = Field(0.2, ge=0, description="sd, in units of the scaled features")
    posterior_temperature: float = Field(2.0, gt=0, description="T")


def run(config: Hybrids, context: RunContext) -> Result:
    """Fit every model; measure accuracy on Letter, and NLL of held-out samples."""
    data = _Letter() if config.dataset == "letter" else _Images(config.dataset)
    lines: list[dict[str, Any]] = []
    costs: dict[str, float] = {}
    budget = _flops(_estimator(config, data, REFERENCE), config) * config.epochs
    for model in MODELS:
        estimator = matched(config, data, model)
        flops = _flops(estimator, config)
        estimator.max_epochs = max(1, round(budget / flops))
        estimator.em_every = max(1, estimator.max_epochs // config.e_steps)
        estimator.set_params(
            device=context.device,
            checkpoint=context.checkpoint / model,
            verbose=int(context.progress),
        )
        start = time.perf_counter()
        fitted = data.fit(estimator)
        costs[f"fit_seconds, {model}"] = time.perf_counter() - start
        if fitted.interrupted_:
            raise KeyboardInterrupt
        metrics = {
            **data.measure(fitted),
            "parameters": _n_parameters(fitted.mixture_),
            "epochs": estimator.max_epochs,
            "width": estimator.hidden_features,
            "FLOPs per sample": flops * estimator.max_epochs,
        }
        same = {"dataset": config.dataset, "model": model, "setting": "", "seed": config.seed}
        lines += [{**same, "metric": m, "value": float(v)} for m, v in metrics.items()]
    return Result(pd.DataFrame(lines), costs=costs)


# Equal parameters, equal compute --------------------------------------------------------------


def matched(config: Hybrids, data: _Letter | _Images, model: str) -> Any:
    """Return a model's estimator, its width such that it has GenMM's number of parameters."""
    wanted = _n_parameters(_blank(_estimator(config, data, REFERENCE)))

    def surplus(width: int) -> float:
        return _n_parameters(_blank(_estimator(config, data, model, width))) - wanted

    low, high = 1, WIDEST
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if surplus(middle) > 0 else (middle, high)
    return _estimator(config, data, model, min((low, high), key=lambda width: abs(surplus(width))))


def _estimator(
    config: Hybrids, data: _Letter | _Images, model: str, width: int | None = None
) -> Any:
    several, sources, trunk = MODELS[model]
    shared = trunk * (config.n_layers // 2)
    estimator = data.estimator(
        n_components=config.n_flows if several else 1,
        n_sources=config.n_sources * sources * (1 if several else config.n_flows),
        shared_layers=shared,
        n_layers=config.n_layers - shared,
        hidden_features=width or config.hidden_features,
        m_step="sparse" if several else "dense",
        batch_size=config.batch_size * (1 if several else config.n_flows),
        noise=config.noise,
        posterior_temperature=config.posterior_temperature,
        early_stopping=False,
        random_state=config.seed,
    )
    estimator.n_features_in_ = data.n_features
    return estimator


def _blank(estimator: Any) -> Mixture:
    mixture: Mixture = estimator._new_mixture(1, 0)
    return mixture


def _n_parameters(mixture: torch.nn.Module) -> float:
    return float(sum(p.numel() for p in mixture.parameters()))


def _flops(estimator: Any, config: Hybrids) -> float:
    """Return the FLOPs of an epoch for one sample: a training pass, and its part of an E-step."""
    mixture = _blank(estimator)
    x = torch.zeros(1, PROBE, *mixture.event_shape, dtype=mixture.log_weights.dtype)
    sparse = estimator.m_step == "sparse"
    paths = mixture.n_components if sparse else 1
    with FlopCounterMode(display=False) as training:
        each = x.expand(paths, *x.shape[1:])
        log_prob = mixture.log_prob_each(each) if sparse else mixture.log_prob_groups(x)
        log_prob.sum().backward()
    with FlopCounterMode(display=False) as e_step, torch.no_grad():
        mixture.log_prob_groups(x)
    share = config.e_steps / config.epochs
    return float(
        training.get_total_flops() / (paths * PROBE) + share * e_step.get_total_flops() / PROBE
    )


# Data -----------------------------------------------------------------------------------------


class _Letter:
    """Classes of Letter, a mixture for each: how well they are told apart."""

    def __init__(self) -> None:
        self.cell = load_cell("letter", "GenMM")
        self.n_features = self.cell.x_train.shape[1]

    def estimator(self, **parameters: Any) -> MixtureClassifier:
        return MixtureClassifier(
            hidden_layers=1, dropout=0.1, reg_covar=0.05, weight_decay=1e-2, init="gmm",
            priors=self.cell.class_prior, **parameters,
        )  # fmt: skip

    def fit(self, estimator: MixtureClassifier) -> MixtureClassifier:
        return estimator.fit(self.cell.x_train, self.cell.y_train)

    def measure(self, fitted: MixtureClassifier) -> dict[str, float]:
        cell, out = self.cell, {}
        for part, x, y in (
            ("train", cell.x_train, cell.y_train),
            ("test", cell.x_test, cell.y_test),
        ):
            log_prob = fitted.log_prob_classes(x)
            chosen = (log_prob + np.log(cell.class_prior)).argmax(1)
            out[f"{part}_accuracy"] = float((chosen == y).mean())
            out[f"{part}_nll"] = float(-log_prob[np.arange(len(y)), y].mean())
        return out


class _Images:
    """Images of half the side: how likely held-out ones are."""

    def __init__(self, dataset: Literal["mnist", "digits"]) -> None:
        images = load_images(dataset)
        parts = [images.train, images.held_out]
        if dataset == "mnist":
            parts = [avg_pool2d(x, 2) for x in parts]
        self.x_train, self.x_test = (x.numpy() for x in parts)
        self.image_shape = self.x_train.shape[1:]
        self.n_features = int(np.prod(self.image_shape))

    def estimator(self, **parameters: Any) -> GenMM:
        return GenMM(image_shape=self.image_shape, standardize=False, **parameters)

    def fit(self, estimator: GenMM) -> GenMM:
        return estimator.fit(self.x_train)

    def measure(self, fitted: GenMM) -> dict[str, float]:
        rng = np.random.default_rng(0)
        out = {}
        for part, x in (("train", self.x_train), ("test", self.x_test)):
            noisy = x + NOISE * rng.standard_normal(x.shape)
            out[f"{part}_nll"] = float(nats_per_pixel(fitted.score(noisy), self.n_features))
        return out


def plan(profile: str) -> Sequence[Mapping[str, Any]]:
    """Return three seeds of each data set."""
    if profile == "smoke":
        return [{"seed": 0}]
    images = {"n_layers": 4, "epochs": 16, "e_steps": 2, "batch_size": 16, "noise": NOISE}
    return [
        {"dataset": dataset, "seed": seed, **how}
        for seed in range(3)
        for dataset, how in (
            ("letter", {}),
            ("mnist", {**images, "posterior_temperature": 1.0}),
        )
    ]


EXPERIMENT = Experiment(
    name="em-gm/hybrids",
    title="GenMM, LatMM, GenMM of LatMMs, common and individual: equal parameters and FLOPs",
    config=Hybrids,
    run=run,
    defaults={
        "smoke": {
            **{"dataset": "digits", "n_layers": 2, "hidden_features": 16, "epochs": 8},
            **{"e_steps": 2, "batch_size": 32, "noise": NOISE, "posterior_temperature": 1.0},
        },
        "laptop": {},
        "paper": {"epochs": 300},
    },
    plan=plan,
)
