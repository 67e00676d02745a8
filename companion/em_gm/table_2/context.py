"""What other classifiers reach on the splits of EM-GM's table II."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field
from sklearn.base import BaseEstimator
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.model_selection import (
    BaseCrossValidator,
    GridSearchCV,
    GroupKFold,
    StratifiedKFold,
    train_test_split,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from companion.em_gm.table_2.data import TABLE_NAMES, Cell, OfCell, load_cell
from companion.runs.experiment import Experiment, RunContext
from companion.runs.result import Result

Model = Literal[
    "kNN", "RBF-SVM", "random forest", "extra trees", "histogram gradient boosting", "QDA"
]
ContextDataset = Literal["letter", "satimage", "norb-8x16-normalised", "digits"]
TREES = 500
# What cross-validation on the training split chooses from; the others keep their defaults.
GRIDS: dict[str, dict[str, list[Any]]] = {
    "kNN": {"n_neighbors": [1, 3, 4, 5, 7, 9], "weights": ["uniform", "distance"]},
    "RBF-SVM": {"C": [1.0, 3.0, 10.0, 30.0, 100.0], "gamma": [0.01, 0.03, 0.1, 0.3]},
    "QDA": {"reg_param": [1e-4, 1e-3, 1e-2, 0.1]},
}
RANDOM = ("random forest", "extra trees", "histogram gradient boosting")


class Context(OfCell):
    """One classifier of scikit-learn on the split of one data set."""

    dataset: ContextDataset = Field("letter", description="digits: smoke")
    model: Model = Field("kNN", description="features are standardised for all")
    folds: int = Field(5, ge=2, description="of the cross-validation that chooses parameters")
    search_samples: int = Field(
        5000, ge=100, description="samples of the training split, at most, that are searched on"
    )


def run(config: Context, context: RunContext) -> Result:
    """Choose parameters on the training split, fit to all of it, test once."""
    cell = load_cell(config.dataset, config.model, config.split_seed)
    start = time.perf_counter()
    model = classifier(config.model, config.seed)
    chosen = _search(config, model, cell)
    model.set_params(**chosen)
    searched = time.perf_counter()
    model.fit(cell.x_train, cell.y_train)
    fitted = time.perf_counter()
    same = {
        "dataset": TABLE_NAMES.get(config.dataset, config.dataset),
        "model": config.model,
        "setting": _said(config.model, chosen, config.split_seed),
        "seed": config.seed,
        "metric": "test_accuracy",
        "value": float(model.score(cell.x_test, cell.y_test)),
    }
    costs = {"search_seconds": searched - start, "fit_seconds": fitted - searched}
    costs["score_seconds"] = time.perf_counter() - fitted
    return Result(pd.DataFrame([same]), costs=costs)


def classifier(model: str, seed: int) -> Pipeline:
    """Return an unfitted classifier on standardised features, its last step named "model"."""
    estimators: dict[str, BaseEstimator] = {
        "kNN": KNeighborsClassifier(),
        "RBF-SVM": SVC(),
        "random forest": RandomForestClassifier(TREES, random_state=seed),
        "extra trees": ExtraTreesClassifier(TREES, random_state=seed),
        # Stops when a tenth of the training split, drawn by the seed, no longer improves.
        "histogram gradient boosting": HistGradientBoostingClassifier(
            max_iter=1000, early_stopping=True, n_iter_no_change=20, random_state=seed
        ),
        "QDA": QuadraticDiscriminantAnalysis(),
    }
    return Pipeline([("scale", StandardScaler()), ("model", estimators[model])])


def _search(config: Context, model: Pipeline, cell: Cell) -> dict[str, Any]:
    """Return the best parameters of the model's grid, by accuracy on held-out folds.

    Where samples show objects, a fold holds out whole objects, as the test split does.
    """
    if config.model not in GRIDS:
        return {}
    rows = np.arange(len(cell.y_train))
    if len(rows) > config.search_samples:
        rows, _ = train_test_split(
            rows,
            train_size=config.search_samples,
            stratify=cell.y_train,
            random_state=config.seed,
        )
    grid = {f"model__{name}": values for name, values in GRIDS[config.model].items()}
    groups = None if cell.group is None else cell.group[rows]
    folds: BaseCrossValidator = StratifiedKFold(
        config.folds, shuffle=True, random_state=config.seed
    )
    if groups is not None:
        folds = GroupKFold(min(config.folds, len(np.unique(groups))))
    search = GridSearchCV(model, grid, cv=folds, refit=False)
    search.fit(cell.x_train[rows], cell.y_train[rows], groups=groups)
    best: dict[str, Any] = search.best_params_
    return best


def _said(model: str, chosen: Mapping[str, Any], split_seed: int) -> str:
    """Name the parameters, and the split where it is not the table's."""
    parts = [f"{name.removeprefix('model__')}={value}" for name, value in sorted(chosen.items())]
    if "trees" in model or "forest" in model:
        parts.append(f"trees={TREES}")
    if split_seed:
        parts.append(f"split={split_seed}")
    return " ".join(parts) or "early stopping"


def plan(profile: str) -> Sequence[Mapping[str, Any]]:
    """Return every classifier on every data set, those that draw at random with several seeds."""
    if profile == "smoke":
        return [{"model": model, "seed": 0} for model in ("kNN", "random forest")]
    return [
        {"dataset": dataset, "model": model, "seed": seed}
        for dataset, n_seeds in (("letter", 5), ("satimage", 5), ("norb-8x16-normalised", 3))
        for model in ("kNN", "RBF-SVM", "QDA", *RANDOM)
        for seed in range(n_seeds if model in RANDOM else 1)
    ]


EXPERIMENT = Experiment(
    name="em-gm/table-2-context",
    title="Other classifiers on the splits of table II",
    config=Context,
    run=run,
    defaults={"smoke": {"dataset": "digits", "search_samples": 500}, "laptop": {}, "paper": {}},
    plan=plan,
)
