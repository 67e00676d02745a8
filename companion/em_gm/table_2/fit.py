"""How the models of table II are trained, and the densities that they are measured by."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import StandardScaler

from companion.em_gm.table_2.config import Table2
from companion.em_gm.table_2.data import LEVELS, Cell, LogProb, image_shape, over_views
from companion.em_gm.table_2.recipes import OF_VIEWS, PUBLISHED_TRAINING, structure
from companion.runs.experiment import RunContext
from mixflow.estimators import MixtureClassifier

# Parameters that go to the classifier under their own names.
TRAINING = (
    *("n_components", "n_blocks", "n_layers", "hidden_features", "noise", "init", "m_step"),
    *("posterior_temperature", "learning_rate", "weight_decay", "batch_size", "em_every"),
)


def fit(config: Table2, context: RunContext, name: str, cell: Cell) -> MixtureClassifier:
    """Fit to a cell's training part; ``history_`` has the accuracies on its test part.

    Parameters
    ----------
    config, context
        Of the run.
    name
        Of the folder for checkpoints.
    cell
        The data.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C, with a checkpoint from which the same call goes on.
    """
    assert config.epochs is not None

    def accuracy(model: Any, epoch: int) -> dict[str, float]:
        if (epoch + 1) % config.evaluate_every and epoch + 1 != config.epochs:
            return {}
        log_prob = density(config, model.log_prob_classes)(cell.x_test)
        scores = log_prob + np.log(cell.class_prior)
        return {"accuracy": float((scores.argmax(1) == cell.y_test).mean())}

    model = MixtureClassifier(
        **_classifier_parameters(config, cell),
        device=context.device,
        checkpoint=context.checkpoint / name,
        callback=accuracy,
        verbose=int(context.progress),
    ).fit(cell.x_train, cell.y_train)
    if model.interrupted_:
        raise KeyboardInterrupt
    return model


def _classifier_parameters(config: Table2, cell: Cell) -> dict[str, Any]:
    common = {name: getattr(config, name) for name in TRAINING}
    common |= {"max_epochs": config.epochs, "priors": cell.class_prior, "random_state": config.seed}
    common |= {"early_stopping": False}
    assert config.n_layers is not None
    common |= structure(config.model, config.n_components, config.n_layers)
    shape = image_shape(config.dataset, config.model)
    if shape is None:
        own = ("hidden_layers", "dropout", "reg_covar")
        return common | {name: getattr(config, name) for name in own}
    common |= {"image_shape": shape, "n_levels": LEVELS[config.dataset], "standardize": False}
    return common | (PUBLISHED_TRAINING if config.model == "GenMM as published" else {})


def fit_gaussians(config: Table2, cell: Cell) -> LogProb:
    """Fit scikit-learn's full-covariance mixture to every class; return log p(x given y)."""
    scaler = StandardScaler().fit(cell.x_train)
    x = scaler.transform(cell.x_train)
    mixtures = [
        GaussianMixture(
            config.n_components, reg_covar=config.reg_covar, random_state=config.seed, max_iter=200
        ).fit(x[cell.y_train == label])
        for label in range(int(cell.y_train.max()) + 1)
    ]

    def log_prob(x: np.ndarray) -> np.ndarray:
        scores = [mixture.score_samples(scaler.transform(x)) for mixture in mixtures]
        return np.asarray(np.stack(scores, 1) - np.log(scaler.scale_).sum())

    return log_prob


def density(config: Table2, own: LogProb) -> LogProb:
    """Return the density that a model is measured by, from that which was trained."""
    return over_views(own, config.dataset) if config.model in OF_VIEWS else own
