"""EM-GM table I and figures 3 to 6: mixtures of image flows, their likelihood and their samples."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field, model_validator

from companion.em_gm.images import models, single_flow
from companion.em_gm.images.data import ImageSet, load_images, to_grey
from companion.em_gm.images.measures import Judge, Measures, cost_of_pass
from companion.em_gm.images.models import Flow
from companion.runs.experiment import Experiment, RunContext
from companion.runs.result import Result
from mixflow.metrics import nats_per_pixel
from mixflow.mixtures.base import Mixture
from mixflow.training.schedules import Temperature

Model = Literal["GenMM", "LatMM", "GenMM per dimension", "GenMM as published"]
NAME = "em-gm/table-1"
COMPONENTS = (1, 3, 5, 7, 9)
IN_TABLE = (1, 3, 5, 7)  # figures 4 and 5 have one more
N_SHOWN = 8  # samples of every component that are kept


class Images(Flow):
    """A mixture of K flows of images, for one seed."""

    model: Model = Field(
        "GenMM",
        description="GenMM: copies of one flow, divided by k-means, exact posteriors; LatMM: one "
        "flow, K Gaussians for its latents; per dimension: GenMM with the released code's "
        "posteriors; as published: with these and a random start",
    )
    n_components: int = Field(1, ge=1, le=50, description="K")
    epochs: int = Field(8, ge=1, description="epochs of the mixture, after those of the flow")
    em_every: int = Field(4, ge=1, description="epochs between E-steps")
    n_noisy: int = Field(2000, ge=10, description="images that comparisons of noise are made on")
    n_held_out: int = Field(4000, ge=10, description="held-out images, drawn at random")
    trials: int = Field(5, ge=1, description="sets of samples that are measured")
    n_generated: int = Field(1000, ge=20, description="samples of a trial, and as many real ones")
    keep: bool = Field(False, description="store the weights, too")

    @model_validator(mode="after")
    def _single_needs_no_posterior(self) -> Images:
        if self.n_components == 1 and self.model in ("GenMM per dimension", "LatMM"):
            raise ValueError(f"n_components=1 makes no {self.model}; take model='GenMM'")
        return self

    @property
    def temperature(self) -> Temperature:
        """T of the posterior."""
        return 1.0 if self.model in ("GenMM", "LatMM") else "per_dimension"


def run(config: Images, context: RunContext) -> Result:
    """Train, or go on from the single flow; then measure densities and samples."""
    images = load_images(config.dataset, part=config.part).to(context.device)
    start = time.perf_counter()
    mixture, found = _fit(config, context, images)
    return measured(config, context, images, mixture, found, time.perf_counter() - start)


def measured(
    config: Images,
    context: RunContext,
    images: ImageSet,
    mixture: Mixture,
    found: Mapping[str, np.ndarray],
    seconds: float,
) -> Result:
    """Return what is measured of a mixture, trained in so many seconds along a curve."""
    weights = single_flow.settle(mixture)
    name = ", ".join([config.model, *config.additions])
    measures = Measures(config.dataset, name, config.n_components, config.seed)
    measures.likelihoods(mixture, images, config)
    samples = measures.samples(mixture, images, Judge.of(config, context), config)
    costs = {
        "fit_seconds": seconds,
        "parameters": float(sum(p.numel() for p in mixture.parameters())),
        **cost_of_pass(config, images.shape),
    }
    arrays = {
        "curve_epoch": found["epoch"],
        "curve_nll": nats_per_pixel(found["log_likelihood"], images.n_pixels),
        "samples": samples,
        "by_component": _shown(mixture, config),
    }
    if config.keep:
        arrays["weights"] = weights
    return Result(measures.rows(), arrays, costs)


def _fit(
    config: Images, context: RunContext, images: ImageSet
) -> tuple[Mixture, dict[str, np.ndarray]]:
    """Return the trained mixture and its curve, the single flow's part included."""
    how: dict[str, Any] = {"em_every": config.em_every, "temperature": config.temperature}
    if config.model == "GenMM as published":
        return _fit_as_published(config, context, images, how)
    single, before = single_flow.required(config, context, images)
    k = config.n_components
    labels = models.kmeans_labels(images.train, k, config.seed)
    mixture: Mixture
    if config.model == "LatMM":
        mixture, start = models.with_sources(single, images.train, labels, k)
    else:
        mixture, start = models.grown(single, labels, k)
    done = models.train(
        mixture,
        images.train,
        config,
        context,
        name="mixture",
        epochs=config.epochs,
        responsibilities=start,
        **how,
    )
    after = models.curve(done, before=config.base_epochs)
    return mixture, {name: np.concatenate([before[name], after[name]]) for name in before}


def _fit_as_published(
    config: Images, context: RunContext, images: ImageSet, how: Mapping[str, Any]
) -> tuple[Mixture, dict[str, np.ndarray]]:
    """Train K flows from random weights and equal responsibilities, all epochs at once."""
    k = config.n_components
    mixture = models.new_flow(config, images.shape, k)
    done = models.train(
        mixture,
        images.train,
        config,
        context,
        name="mixture",
        epochs=config.base_epochs + config.epochs,
        responsibilities=torch.full((len(images.train), k), 1 / k),
        schedule="noam",
        fresh=True,
        **how,
    )
    return mixture, models.curve(done)


@torch.no_grad()
def _shown(mixture: Mixture, config: Images) -> np.ndarray:
    """Return samples of every component, uint8 (K, n, 1, H, W)."""
    with torch.random.fork_rng([]):
        torch.manual_seed(config.seed)
        return to_grey(mixture.sample_each(N_SHOWN))


def kept(profile: str, n_components: int, seed: int) -> dict[str, Any]:
    """Return what a point of the plan says of storing weights, which are large in the paper's size.

    There every flow has 8 MB of them, and only one flow alone keeps them.
    """
    keep = seed == 0 and (profile != "paper" or n_components == 1)
    return {"keep": True} if keep else {}


def plan(profile: str) -> Sequence[Mapping[str, Any]]:
    """Return every K on both data sets, those of table I for three seeds; other models for one."""
    if profile == "smoke":
        return [
            {"n_components": 1, "seed": 0, "keep": True},
            {"n_components": 3, "seed": 0, "keep": True},
            {"n_components": 3, "seed": 0, "keep": True, "model": "LatMM"},
        ]
    points: list[Mapping[str, Any]] = [
        {"dataset": dataset, "n_components": k, "seed": seed, **kept(profile, k, seed)}
        for seed in range(3)
        for k in (IN_TABLE if seed else COMPONENTS)
        for dataset in ("mnist", "fashion-mnist")
    ]
    others = [
        {"dataset": dataset, "model": model, "n_components": k, "seed": 0, **kept(profile, k, 0)}
        for model, sizes in (("LatMM", COMPONENTS[1:]), ("GenMM per dimension", (3, 5, 7)))
        for k in sizes
        for dataset in ("mnist", "fashion-mnist")
    ]
    return [*points, *others]


SMOKE = {
    **single_flow.SMOKE,
    **{"epochs": 4, "em_every": 2, "n_noisy": 100, "n_held_out": 200},
    **{"trials": 2, "n_generated": 100},
}
EXPERIMENT = Experiment(
    name=NAME,
    title="Mixtures of image flows: NLL and samples against K, on MNIST and Fashion-MNIST",
    config=Images,
    run=run,
    defaults={
        "smoke": SMOKE,
        "laptop": {},
        "paper": {**single_flow.PAPER, "epochs": 60, "em_every": 5},
    },
    plan=plan,
)
