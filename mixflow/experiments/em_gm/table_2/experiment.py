"""EM-GM table II: one mixture per class, the class of the largest likelihood wins."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from pydantic import Field, model_validator
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import StandardScaler

from mixflow.estimators import MixtureClassifier
from mixflow.experiments.base import Answer, Experiment, Result, RunContext
from mixflow.experiments.em_gm.table_2.data import (
    LEVELS,
    TABLE_NAMES,
    UNEQUAL,
    Cell,
    LogProb,
    OfCell,
    companion,
    image_shape,
    load_cell,
    over_views,
)
from mixflow.experiments.em_gm.table_2.recipes import (
    COMPONENTS,
    GAUSSIANS,
    OF_VIEWS,
    OTHER_COMPONENTS,
    PUBLISHED_TRAINING,
    RECIPES,
    Dataset,
    Model,
    recipe,
    structure,
)

_COMMON = {"profile", "seed", "dataset", "split_seed", "model", "n_components"}
_COMMON |= {"evaluate_every", "validation_fraction", "n_blocks"}
# By profile, in the order of the plan. No processor trains all of Norb's pixels in a laptop's time.
DATASETS: dict[str, tuple[Dataset, ...]] = {
    "laptop": ("letter", "satimage", "norb-8x16-normalised"),
    "paper": ("letter", "satimage", "norb"),
}
# Parameters that go to the classifier under their own names.
TRAINING = (
    *("n_components", "n_blocks", "n_layers", "hidden_features", "noise", "init", "m_step"),
    *("posterior_temperature", "learning_rate", "weight_decay", "batch_size", "em_every"),
)


class Table2(OfCell):
    """One cell of table II for one seed; None takes the recipe of data set and model."""

    dataset: Dataset = Field("letter", description="digits at smoke only")
    model: Model = Field("GenMM", description="the mixture of each class")
    n_components: int = Field(
        1, ge=1, le=100, description="K, the flows per class; Gaussians of LatMM"
    )
    evaluate_every: int = Field(10, ge=1, description="epochs between points of the curves")
    validation_fraction: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="share of the training split that chooses the epoch (of Norb one toy of every "
        "class); 0: none",
    )
    epochs: int | None = Field(None, ge=1)
    n_blocks: int | None = Field(None, ge=1, description="mixtures pooled in a class")
    n_layers: int | None = Field(None, ge=1, description="coupling steps of a flow")
    hidden_features: int | None = Field(None, ge=1)
    hidden_layers: int | None = Field(None, ge=1)
    dropout: float | None = Field(None, ge=0, lt=1)
    noise: float | None = Field(None, ge=0, description="sd, in units of the scaled features")
    posterior_temperature: float | Literal["per_dimension"] | None = None
    m_step: Literal["sparse", "dense"] | None = None
    init: Literal["gmm", "kmeans", "random", "uniform"] | None = None
    learning_rate: float | None = Field(None, gt=0)
    weight_decay: float | None = Field(None, ge=0)
    batch_size: int | None = Field(None, ge=1, description="samples of a class in a step")
    em_every: int | None = Field(None, ge=1, description="epochs between E-steps")
    reg_covar: float | None = Field(None, gt=0, description="ridge of covariances")

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Put the recipe in, so that the config says all and its digest changes with it."""
        default = {name: cls.model_fields[name].default for name in ("dataset", "model")}
        dataset, model = ({**default, **values}[name] for name in ("dataset", "model"))
        n_components = values.get("n_components", 1)
        filled = recipe(dataset, model, n_components if isinstance(n_components, int) else 1)
        given = {n: v for n, v in values.items() if v is not None}
        own = {name for name in cls.model_fields if name in filled or name in _COMMON}
        foreign = [name for name in given if name in cls.model_fields and name not in own]
        if not filled and dataset in RECIPES and model in get_args(Model):
            known = ", ".join(repr(name) for name in RECIPES[dataset])
            raise ValueError(f"no recipe of {model!r} for {dataset!r}, only of {known}")
        if foreign and filled:
            raise ValueError(f"{model!r} has no parameter {', '.join(foreign)}")
        return {**filled, **given}


def run(config: Table2, context: RunContext) -> Result:
    """Fit the classifier, with a companion on less data that chooses the epoch."""
    cell = load_cell(config.dataset, config.model, config.split_seed)
    if config.model in GAUSSIANS:
        return _run_gaussian(config, cell)
    start = time.perf_counter()
    model = fit(config, context, "full", cell)
    costs = {
        "fit_seconds": time.perf_counter() - start,
        "parameters": float(sum(p.numel() for p in model.mixture_.parameters())),
    }
    curve = model.history_.dropna(subset=["accuracy"])
    metrics = _test_metrics(config, cell, _log_prob(config, model.log_prob_classes)(cell.x_test))
    metrics["test_accuracy_best_on_test"] = float(curve["accuracy"].max())
    arrays = {
        "epoch": curve["epoch"].to_numpy() + 1,
        "test_accuracy": curve["accuracy"].to_numpy(),
        "weights": np.exp(model.mixture_.log_weights.cpu().numpy()).reshape(
            len(model.classes_), -1
        ),
    }
    if config.validation_fraction > 0:
        validation = _validation_curve(config, context, cell)
        chosen = int(np.argmax(validation))
        metrics["test_accuracy_validation_chosen"] = float(arrays["test_accuracy"][chosen])
        metrics["validation_accuracy"] = float(validation[chosen])
        arrays["validation_accuracy"] = validation
    return Result(rows_of(config, metrics), arrays, costs)


def _validation_curve(config: Table2, context: RunContext, cell: Cell) -> np.ndarray:
    """Fit on all but a part of the training split; return that part's accuracy by epoch."""
    held_out = companion(cell, config.validation_fraction, config.seed)
    model = fit(config, context, "held-out", held_out)
    accuracy: np.ndarray = model.history_["accuracy"].dropna().to_numpy()
    return accuracy


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
        log_prob = _log_prob(config, model.log_prob_classes)(cell.x_test)
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


def _run_gaussian(config: Table2, cell: Cell) -> Result:
    """Fit scikit-learn's full-covariance Gaussian mixture to every class: the plain reference."""
    start = time.perf_counter()
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
        return np.stack(scores, 1) - np.log(scaler.scale_).sum()

    metrics = _test_metrics(config, cell, _log_prob(config, log_prob)(cell.x_test))
    return Result(rows_of(config, metrics), costs={"fit_seconds": time.perf_counter() - start})


def _log_prob(config: Table2, own: LogProb) -> LogProb:
    """Return the density that a model is measured by, from that which was trained."""
    return over_views(own, config.dataset) if config.model in OF_VIEWS else own


def _test_metrics(config: Table2, cell: Cell, log_prob: np.ndarray) -> dict[str, float]:
    """Measure log p(x given y), (N, n_classes) in the model's units, at the last epoch."""

    def accuracy(prior: np.ndarray) -> float:
        return float(((log_prob + np.log(prior)).argmax(1) == cell.y_test).mean())

    own = log_prob[np.arange(len(log_prob)), cell.y_test] - cell.log_unit
    metrics = {
        "test_accuracy_last_epoch": accuracy(cell.class_prior),
        "test_nll": float(-own.mean()),
    }
    if config.dataset in UNEQUAL:
        shares = np.bincount(cell.y_train) / len(cell.y_train)
        metrics["test_accuracy_uniform_priors"] = accuracy(np.ones(len(shares)))
        metrics["test_accuracy_class_priors"] = accuracy(shares)
    return metrics


def rows_of(config: Table2, metrics: Mapping[str, float]) -> pd.DataFrame:
    """Return metrics as result rows, named as the paper's table names data set and setting."""
    # The table is one split; what other splits give has a setting of its own.
    split = f" split={config.split_seed}" if config.split_seed else ""
    same = {
        "dataset": TABLE_NAMES.get(config.dataset, config.dataset),
        "model": config.model,
        "setting": f"K={config.n_components}{split}",
        "seed": config.seed,
    }
    return pd.DataFrame([{**same, "metric": m, "value": v} for m, v in sorted(metrics.items())])


def plan(profile: str) -> Sequence[Mapping[str, Any]]:
    """Return the cells, fewer seeds of the published model, and K = 20 on other splits."""
    if profile == "smoke":
        short = {"epochs": 20, "evaluate_every": 5, "seed": 0}
        return [
            *({"model": "GenMM", "n_components": k, **short} for k in (1, 2)),
            {"model": "GenMM as published", "n_components": 1, **short},
            {"model": "GMM full covariance", "n_components": 1, "seed": 0},
        ]
    cells = [
        {"dataset": dataset, "model": model, "n_components": k, "seed": seed, **_frugal(model)}
        for dataset in DATASETS[profile]
        for model in RECIPES[dataset]
        for k in OTHER_COMPONENTS.get(model, COMPONENTS)
        for seed in range(_n_seeds(profile, dataset, model))
    ]
    other_splits = [
        {"dataset": "letter", "model": model, "n_components": 20, "seed": 0, "split_seed": split}
        for model in ("GenMM", "GMM full covariance")
        for split in range(1, 5)
    ]
    return cells + other_splits


def _n_seeds(profile: str, dataset: str, model: str) -> int:
    if profile == "laptop" and model == "GenMM as published":
        return 1
    return 3 if dataset.startswith("norb") else 5


def _frugal(model: str) -> dict[str, Any]:
    """Return what makes the published model bearable: its curves cost as much as training."""
    return {"evaluate_every": 20} if model == "GenMM as published" else {}


EXPERIMENT = Experiment(
    name="em-gm/table-2",
    title="Maximum-likelihood classification by mixtures of flows, K = 1 ... 20",
    config=Table2,
    run=run,
    defaults={"smoke": {"dataset": "digits"}, "laptop": {}, "paper": {}},
    plan=plan,
    answers={
        "table-2": Answer(
            metrics={"test_accuracy": "test_accuracy_validation_chosen"},
            stand_ins={"state of the art cited": ("GenMM", "K=20")},
        ),
        "table-2-last-epoch": Answer(metrics={"test_accuracy": "test_accuracy_last_epoch"}),
    },
)
