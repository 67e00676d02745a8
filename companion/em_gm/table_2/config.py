"""What a run of table II is told, and how its rows are named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

import pandas as pd
from pydantic import Field, model_validator

from companion.em_gm.table_2.data import TABLE_NAMES, OfCell
from companion.em_gm.table_2.recipes import RECIPES, Dataset, Model, recipe

_COMMON = {"profile", "seed", "dataset", "split_seed", "model", "n_components"}
_COMMON |= {"evaluate_every", "validation_fraction", "n_blocks"}


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
