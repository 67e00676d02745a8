"""What a generative classifier gives beyond the class, beside a plain one and two rivals.

All learn from the same nine tenths of the training split; the last tenth chooses temperatures,
and the test split is looked at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from companion.em_gm.classifier.components import components
from companion.em_gm.classifier.config import Generative, merged
from companion.em_gm.classifier.doubt import (
    calibration,
    posteriors,
    prior_shift,
    rejection,
    unseen_classes,
)
from companion.em_gm.classifier.growth import adding_classes
from companion.em_gm.classifier.missing import missing_features
from companion.em_gm.classifier.models import divide, fit_models
from companion.em_gm.table_2.data import load_cell
from companion.runs.experiment import Experiment, RunContext
from companion.runs.result import Result


def run(config: Generative, context: RunContext) -> Result:
    """Fit to all classes and to the known ones; ask both everything."""
    task = divide(load_cell(config.dataset, "GenMM", config.split_seed), config)
    models = fit_models(config, context, "all classes", task.x, task.y)
    known = np.isin(task.y, task.known)
    early = fit_models(config, context, "known classes", task.x[known], task.y[known])
    scored, temperatures = posteriors(models, task)
    old = models.flows.class_prior_
    found = merged(
        [
            calibration(scored, task.y_test, config.n_bins),
            temperatures,
            rejection(scored, task.y_test),
            prior_shift(scored, task.y_test, old, config.imbalances, config.seed),
            missing_features(models, task, config),
            components(models.flows, task),
            unseen_classes(early, task, config),
            # Last: it changes the models of the known classes.
            adding_classes(early, models, task, config),
        ]
    )
    found.arrays["new classes"] = task.new
    found.costs |= {f"{name}, fit": seconds for name, seconds in models.seconds.items()}
    return found.result(config)


def plan(profile: str) -> Sequence[Mapping[str, Any]]:
    """Return one run a seed, which draws the held-out samples and the new classes too."""
    return [{"seed": seed} for seed in range(1 if profile == "smoke" else 5)]


EXPERIMENT = Experiment(
    name="em-gm/classifier",
    title="What a generative classifier gives: doubt, priors, new classes, components",
    config=Generative,
    run=run,
    defaults={
        "smoke": {
            "dataset": "digits",
            "n_components": 2,
            "epochs": 10,
            "n_new": 2,
            "rivals": ("random forest",),
            "retrained": "random forest",
            "trees": 50,
            "imbalances": (10,),
            "missing": (16,),
            "missing_samples": 100,
            "n_draws": 4,
        },
        "laptop": {},
        "paper": {},
    },
    plan=plan,
)
