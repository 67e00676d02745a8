"""The data of ``em-gm/classifier``, the generative classifiers, and their rivals."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline

from companion.em_gm.classifier.config import RECIPE, Generative
from companion.em_gm.classifier.gaussians import ClassGaussians, fit_gaussians
from companion.em_gm.table_2.context import classifier
from companion.em_gm.table_2.data import Cell
from companion.runs.experiment import RunContext
from mixflow.estimators import MixtureClassifier
from mixflow.mixtures import GenMM

FLOWS, GAUSSIANS, FOREST = "GenMM", "GMM full covariance", "random forest"
# What a probability of exactly 0, which forests give, counts as: scikit-learn's log loss clips
# there too.
ZERO = float(np.log(np.finfo(float).eps))
_Fitted = TypeVar("_Fitted")


@dataclass(frozen=True)
class Task:
    """A split with part of its training samples held out, and classes that come later.

    Attributes
    ----------
    x, y
        What models learn from: nine tenths of the training split, unless told otherwise.
    x_held, y_held
        The rest of the training split.
    x_test, y_test
        The test split.
    new
        Classes that are added one at a time; the others are known from the start.
    """

    x: NDArray
    y: NDArray
    x_held: NDArray
    y_held: NDArray
    x_test: NDArray
    y_test: NDArray
    new: NDArray

    @property
    def known(self) -> NDArray:
        """Classes known from the start, sorted."""
        return np.setdiff1d(self.y, self.new)


def divide(cell: Cell, config: Generative) -> Task:
    """Hold samples out and draw the new classes, by the seed.

    Raises
    ------
    ValueError
        If fewer than two classes would be known.
    """
    n_classes = int(cell.y_train.max()) + 1
    if config.n_new > n_classes - 2:
        raise ValueError(f"n_new={config.n_new} leaves fewer than 2 of {n_classes} classes")
    x, x_held, y, y_held = train_test_split(
        cell.x_train,
        cell.y_train,
        test_size=config.held_fraction,
        stratify=cell.y_train,
        random_state=config.seed,
    )
    order = np.random.default_rng(config.seed).permutation(n_classes)
    return Task(x, y, x_held, y_held, cell.x_test, cell.y_test, order[: config.n_new])


@dataclass(frozen=True)
class Models:
    """Classifiers that learned from the same samples, and the processor seconds they took."""

    flows: MixtureClassifier
    gaussians: ClassGaussians
    rivals: dict[str, Pipeline]
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def generative(self) -> dict[str, MixtureClassifier | ClassGaussians]:
        """Those with a density, by name."""
        return {FLOWS: self.flows, GAUSSIANS: self.gaussians}

    def log_proba(self, x: NDArray) -> dict[str, NDArray]:
        """Return every model's log P(y given x), (N, D) -> (N, C), finite."""
        models = {**self.generative, **self.rivals}
        return {name: finite_log_proba(model, x) for name, model in models.items()}


def finite_log_proba(model: MixtureClassifier | ClassGaussians | Pipeline, x: NDArray) -> NDArray:
    """Return log P(y given x), (N, D) -> (N, C), with a number for probabilities of 0."""
    if not isinstance(model, Pipeline):
        log_proba = model.predict_log_proba(x)
    else:
        with np.errstate(divide="ignore"):
            log_proba = np.log(model.predict_proba(x))
    return np.where(np.isneginf(log_proba), ZERO, log_proba)


def fit_models(
    config: Generative, context: RunContext, name: str, x: NDArray, y: NDArray
) -> Models:
    """Fit them all; ``name`` is that of the folder for checkpoints."""
    seconds: dict[str, float] = {}

    def timed(model: str, fit: Callable[[], _Fitted]) -> _Fitted:
        fitted, seconds[model] = stopwatch(fit)
        return fitted

    flows = timed(FLOWS, lambda: fit_flows(config, context, name, x, y))
    gaussians = timed(GAUSSIANS, lambda: _fit_gaussians(config, x, y))
    rivals: dict[str, Pipeline] = {
        rival: timed(rival, partial(fit_rival, config, rival, x, y)) for rival in config.rivals
    }
    return Models(flows, gaussians, rivals, seconds)


def fit_flows(
    config: Generative, context: RunContext, name: str, x: NDArray, y: NDArray
) -> MixtureClassifier:
    """Fit the mixtures of flows by the recipe; priors are the classes' shares.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C, with a checkpoint from which the same call goes on.
    """
    assert config.epochs is not None
    model = MixtureClassifier(
        config.n_components,
        **{name: getattr(config, name) for name in RECIPE},
        max_epochs=config.epochs,
        early_stopping=False,
        random_state=config.seed,
        device=context.device,
        checkpoint=context.checkpoint / name,
        verbose=int(context.progress),
    ).fit(x, y)
    if model.interrupted_:
        raise KeyboardInterrupt
    return model.set_params(checkpoint=None)


def _fit_gaussians(config: Generative, x: NDArray, y: NDArray) -> ClassGaussians:
    assert config.reg_covar is not None
    return fit_gaussians(
        x, y, n_components=config.n_components, reg_covar=config.reg_covar, seed=config.seed
    )


def fit_rival(config: Generative, name: str, x: NDArray, y: NDArray) -> Pipeline:
    """Fit one of scikit-learn's classifiers to standardised features."""
    model = classifier(name, config.seed)
    if name == FOREST:
        model.set_params(model__n_estimators=config.trees)
    return model.fit(x, y)


def mixture_of(model: MixtureClassifier, c: int) -> GenMM:
    """Return the mixture of class number c, in units of the standardised features."""
    rows = c * model.n_components + torch.arange(model.n_components)
    return model.mixture_.select(rows.to(model.mixture_.log_weights.device))


def standardised(model: MixtureClassifier, x: np.ndarray) -> torch.Tensor:
    """Return features (N, D) in the units that a classifier's mixtures take."""
    return torch.as_tensor((x - model.location_) / model.scale_).to(model.mixture_.log_weights)


def stopwatch(function: Callable[[], _Fitted]) -> tuple[_Fitted, float]:
    """Return what a function returns, and the processor seconds of this process."""
    start = time.process_time()
    value = function()
    return value, time.process_time() - start
