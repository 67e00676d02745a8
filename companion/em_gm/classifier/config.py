"""What a run of ``em-gm/classifier`` is told, and what its parts return."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from companion.em_gm.table_2.recipes import recipe
from companion.runs.config import Config
from companion.runs.result import Result

# What a recipe of table II says, but for the epochs: parameters of the classifier by name.
RECIPE = (
    *("n_blocks", "n_layers", "hidden_features", "hidden_layers", "dropout", "noise", "m_step"),
    *("posterior_temperature", "init", "learning_rate", "weight_decay", "batch_size", "em_every"),
    "reg_covar",
)


class Generative(Config):
    """A generative classifier and its rivals on one data set; None takes table II's recipe."""

    dataset: Literal["letter", "digits"] = Field("letter", description="digits at smoke only")
    split_seed: int = Field(0, ge=0, description="draws the 13333/6667 split of Letter")
    n_components: int = Field(5, ge=1, le=100, description="K, the components per class")
    held_fraction: float = Field(
        0.1, gt=0, lt=1, description="share of the training split that chooses temperatures"
    )
    n_new: int = Field(6, ge=1, description="classes, drawn by the seed, that come later")
    rivals: tuple[Literal["random forest", "histogram gradient boosting"], ...] = (
        "random forest",
        "histogram gradient boosting",
    )
    retrained: Literal["random forest", "histogram gradient boosting"] = Field(
        "histogram gradient boosting", description="the rival that learns every new class anew"
    )
    trees: int = Field(500, ge=1, description="of the random forest")
    n_bins: int = Field(15, ge=2, description="of the reliability diagram")
    imbalances: tuple[int, ...] = Field(
        (10, 100), description="largest over least prior of the test set, when priors shift"
    )
    missing: tuple[int, ...] = Field((2, 4, 8), description="numbers of features that are missing")
    missing_samples: int = Field(1000, ge=1, description="test samples with missing features")
    n_draws: int = Field(16, ge=2, description="completions of a sample with missing features")
    epochs: int | None = Field(None, ge=1)
    n_blocks: int | None = Field(None, ge=1)
    n_layers: int | None = Field(None, ge=1)
    hidden_features: int | None = Field(None, ge=1)
    hidden_layers: int | None = Field(None, ge=1)
    dropout: float | None = Field(None, ge=0, lt=1)
    noise: float | None = Field(None, ge=0, description="sd, in units of the scaled features")
    m_step: Literal["sparse", "dense"] | None = None
    posterior_temperature: float | Literal["per_dimension"] | None = None
    init: Literal["gmm", "kmeans", "random", "uniform"] | None = None
    learning_rate: float | None = Field(None, gt=0)
    weight_decay: float | None = Field(None, ge=0)
    batch_size: int | None = Field(None, ge=1)
    em_every: int | None = Field(None, ge=1)
    reg_covar: float | None = Field(None, gt=0, description="ridge of covariances")

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Put the recipe in, so that the config says all and its digest changes with it."""
        default = {name: cls.model_fields[name].default for name in ("dataset", "n_components")}
        dataset, k = ({**default, **values}[name] for name in ("dataset", "n_components"))
        filled = recipe(str(dataset), "GenMM", k if isinstance(k, int) else 1)
        return {**filled, **{name: value for name, value in values.items() if value is not None}}

    @model_validator(mode="after")
    def _check(self) -> Generative:
        if self.retrained not in self.rivals:
            raise ValueError(f"retrained={self.retrained!r} is not among the rivals")
        return self


@dataclass
class Findings:
    """What one part of the run has found.

    Attributes
    ----------
    rows
        (model, setting, metric, value).
    arrays, costs
        As in a ``Result``.
    """

    rows: list[tuple[str, str, str, float]] = field(default_factory=list)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    costs: dict[str, float] = field(default_factory=dict)

    def add(self, model: str, setting: str, **metrics: float) -> None:
        """Add a row for every metric."""
        self.rows += [(model, setting, name, float(value)) for name, value in metrics.items()]

    def result(self, config: Generative) -> Result:
        """Return them as the result of a run."""
        rows = pd.DataFrame(self.rows, columns=["model", "setting", "metric", "value"])
        return Result(
            rows.assign(dataset=config.dataset, seed=config.seed), self.arrays, self.costs
        )


def merged(parts: list[Findings]) -> Findings:
    """Return the findings of all parts together."""
    whole = Findings()
    for part in parts:
        whole.rows += part.rows
        whole.arrays |= part.arrays
        whole.costs |= part.costs
    return whole
