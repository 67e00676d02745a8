"""The single flow of images that mixtures of K flows start from; trained once for all K."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from companion.em_gm.images.data import ImageSet, load_images
from companion.em_gm.images.models import Flow, curve, new_flow, train
from companion.runs.experiment import Experiment, RunContext
from companion.runs.result import Result
from companion.runs.weights import pack_weights, unpack_weights
from mixflow.metrics import nats_per_pixel
from mixflow.mixtures import GenMM

NAME = "em-gm/single-flow"
# At a constant rate the last steps go anywhere: an E-step at every epoch only draws the curve.
CURVE_EVERY = 4


def run(config: Flow, context: RunContext) -> Result:
    """Train at a constant rate, so that any schedule may follow; keep the weights."""
    images = load_images(config.dataset, part=config.part).to(context.device)
    mixture = new_flow(config, images.shape)
    start = time.perf_counter()
    done = train(
        mixture,
        images.train,
        config,
        context,
        name="single",
        epochs=config.base_epochs,
        em_every=CURVE_EVERY,
        schedule="constant",
        fresh=True,
    )
    found = curve(done)
    costs = {
        "fit_seconds": time.perf_counter() - start,
        "parameters": float(sum(p.numel() for p in mixture.parameters())),
    }
    row = {
        "dataset": config.dataset,
        "model": "single flow",
        "setting": f"epochs={config.base_epochs}",
        "seed": config.seed,
        "metric": "nll_nat_per_pixel",
        "value": nats_per_pixel(found["log_likelihood"][-1], images.n_pixels),
    }
    weights = {"weights": pack_weights(mixture.state_dict())}
    return Result(pd.DataFrame([row]), weights | found, costs)


def required(config: Flow, context: RunContext, images: ImageSet) -> tuple[GenMM, dict[str, Any]]:
    """Return the single flow of a config, trained and stored if it is not there, and its curve."""
    fields = {name: getattr(config, name) for name in Flow.model_fields if name != "profile"}
    stored = context.required(NAME, **fields)
    mixture = new_flow(config, images.shape)
    mixture.load_state_dict(unpack_weights(stored.arrays["weights"]))
    mixture.to(images.train.device)
    return mixture, {name: np.asarray(stored.arrays[name]) for name in ("epoch", "log_likelihood")}


def settle(mixture: torch.nn.Module) -> np.ndarray:
    """Round a trained model to the 16 bits that are stored, and return them.

    What is measured is then what can be read back.
    """
    content = pack_weights(mixture.state_dict())
    mixture.load_state_dict(unpack_weights(content))
    mixture.eval().requires_grad_(False)
    return content


def plan(profile: str) -> Sequence[Mapping[str, Any]]:
    """Return a flow for each data set and seed."""
    if profile == "smoke":
        return [{"seed": 0}]
    return [
        {"dataset": name, "seed": seed} for seed in range(3) for name in ("mnist", "fashion-mnist")
    ]


SMOKE = {"dataset": "digits", "n_steps": (2, 1), "hidden_features": 16, "base_epochs": 6}
PAPER = {
    "n_steps": (4, 4, 4),
    "hidden_features": 512,
    "scale": "sigmoid",
    "mixed_precision": True,
    "batch_size": 64,
    "learning_rate": 1e-3,
    "base_epochs": 60,
}

EXPERIMENT = Experiment(
    name=NAME,
    title="The single flow of images that mixtures start from",
    config=Flow,
    run=run,
    defaults={"smoke": SMOKE, "laptop": {}, "paper": PAPER},
    plan=plan,
)
