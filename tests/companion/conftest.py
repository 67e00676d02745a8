"""A toy experiment, for the tests that ask for it."""

import sys
import types
from typing import Literal

import numpy as np
import pandas as pd
import pytest
from pydantic import Field

from companion.runs import registry
from companion.runs.config import Config
from companion.runs.experiment import Experiment
from companion.runs.result import Result

NAME = "toy/table-1"


class ToyConfig(Config):
    dataset: Literal["digits", "toy"] = "toy"
    n_components: int = Field(1, ge=1, le=9)
    sizes: list[int] = [1, 2]


class Toy:
    """The experiment, and switches for what goes wrong while it runs."""

    name = NAME

    def __init__(self) -> None:
        self.calls = 0
        self.error: BaseException | None = None
        self.experiment = Experiment(
            name=NAME,
            title="a toy",
            config=ToyConfig,
            run=self.run,
            defaults={"smoke": {"dataset": "toy"}},
            plan=lambda profile: (
                []
                if profile == "paper"
                else [{"n_components": k, "seed": seed} for k in (1, 2) for seed in (0, 1)]
            ),
        )

    def config(self, **values):
        return self.experiment.configure(**values)

    def run(self, config, context):
        self.calls += 1
        saved = context.checkpoint / "step"
        steps = int(saved.read_text()) if context.resume and saved.exists() else 0
        saved.write_text("5")
        if self.error:
            raise self.error
        return Result(self.rows(config), {"steps": np.arange(3.0)}, {"resumed_at": steps})

    def rows(self, config):
        accuracy = 0.9 + config.n_components / 100 + config.seed / 7000
        row = (config.dataset, "Toy", f"K={config.n_components}", config.seed)
        values = {"accuracy": accuracy, "claim": 1.0}
        lines = [(*row, metric, value) for metric, value in values.items()]
        return pd.DataFrame(
            lines, columns=["dataset", "model", "setting", "seed", "metric", "value"]
        )


@pytest.fixture
def toy(monkeypatch):
    toy = Toy()
    module = types.ModuleType("mixflow_toy")
    module.EXPERIMENT = toy.experiment
    monkeypatch.setitem(sys.modules, "mixflow_toy", module)
    monkeypatch.setattr(registry, "_MODULES", {NAME: "mixflow_toy"})
    return toy
