"""How mixtures of images are trained for figures 3 to 7 and table I: one flow, then K copies."""

from __future__ import annotations

import math
from copy import deepcopy
from typing import Any

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from torch import Tensor

from companion.em_gm.images.data import NOISE, ImagePart, ImageSetName
from companion.runs.config import Config
from companion.runs.experiment import RunContext
from mixflow.flows import Glow
from mixflow.flows.layers import Scale
from mixflow.mixtures import GenMM, LatMM
from mixflow.mixtures.base import Mixture
from mixflow.training import EM, EMSettings, Fit, Groups, LoopSettings, fit
from mixflow.training.objective import OptimizerName
from mixflow.training.schedules import Schedule, Temperature

# Principal components in which k-means divides the images, and its starts.
N_PRINCIPAL, KMEANS_STARTS = 50, 5
SOURCE_IMAGES = 256  # of a component, whose latents its Gaussian starts from
# Share of the steps in which the learning rate rises; so many at most.
WARMUP, MOST_WARMUP = 0.04, 200


# What a flow may have that Glow has not: parameter -> what a model that has it is called.
ADDITIONS = {"positional_bias": "positional bias", "tone_curve": "tone curve"}


class Flow(Config):
    """The flow that everything starts from, and how it is trained."""

    added = (*ADDITIONS, "optimizer")

    dataset: ImageSetName = Field("mnist", description="digits at smoke only")
    part: ImagePart = Field(
        "t10k", description="images to fit to: t10k, the 10,000 of table I, or train, the 60,000"
    )
    n_steps: tuple[int, ...] = Field((8, 4, 2), description="steps of each level, finest first")
    hidden_features: int = Field(64, ge=1, description="channels inside the couplings")
    scale: Scale = Field("tanh", description="of the couplings; the published one is sigmoid")
    mixed_precision: bool = Field(
        False, description="bfloat16 inside the couplings' networks: for hardware that has it"
    )
    positional_bias: bool = Field(
        False, description="let the couplings' networks know where they look; not in the paper"
    )
    tone_curve: bool = Field(
        False, description="bend the pixels' values by a learned curve first; not in the paper"
    )
    optimizer: OptimizerName = Field(
        "adamw", description="adamw, or muon: orthogonalised steps for the layers' weights"
    )
    batch_size: int = Field(16, ge=1, description="images of every component in a step")
    learning_rate: float = Field(4e-3, gt=0, description="at its peak")
    base_epochs: int = Field(8, ge=1, description="epochs of the single flow")

    @property
    def additions(self) -> list[str]:
        """What the flow has that Glow has not."""
        return [title for name, title in ADDITIONS.items() if getattr(self, name)]


def new_flow(config: Flow, image_shape: tuple[int, ...], n_components: int = 1) -> GenMM:
    """Return a mixture of K flows, untrained."""
    with torch.random.fork_rng([]):
        torch.manual_seed(config.seed)
        flow = Glow(
            n_components,
            image_shape,
            n_levels=len(config.n_steps),
            n_steps=config.n_steps,
            hidden_features=config.hidden_features,
            scale=config.scale,
            mixed_precision=config.mixed_precision,
            positional_bias=config.positional_bias,
            tone_curve=config.tone_curve,
        )
        return GenMM(flow)


def copies(single: GenMM, n_copies: int) -> GenMM:
    """Return the mixture of that many copies of a single flow: the same density."""
    copied = single.select(torch.zeros(n_copies, dtype=torch.int64))
    copied.log_weights.fill_(-math.log(n_copies))
    return copied


def grown(single: GenMM, labels: np.ndarray, n_components: int) -> tuple[GenMM, Tensor]:
    """Return K copies of a flow, and responsibilities that give each the images of a label.

    Parameters
    ----------
    single
        A mixture of one flow.
    labels
        Of every image, 0 ... K - 1, (N,).
    n_components
        K.
    """
    shares = np.bincount(labels, minlength=n_components) / len(labels)
    mixture = copies(single, n_components)
    mixture.log_weights.copy_(torch.as_tensor(shares).log())
    return mixture, torch.eye(n_components)[torch.as_tensor(labels)]


@torch.no_grad()
def with_sources(
    single: GenMM, images: Tensor, labels: np.ndarray, n_components: int
) -> tuple[LatMM, Tensor]:
    """Return a flow with K Gaussians as its source, fitted to the latents of the labels' images.

    Parameters
    ----------
    single, labels, n_components
        As of :func:`grown`.
    images
        (N, 1, H, W), whose latents the Gaussians are set to.
    """
    mixture = LatMM(deepcopy(single.flow), n_components).to(images.device)
    mixture.log_weights.copy_(torch.as_tensor(np.bincount(labels) / len(labels)).log())
    rng = np.random.default_rng(0)
    rows = [rng.choice(np.flatnonzero(labels == k), SOURCE_IMAGES) for k in range(n_components)]
    x = images[torch.as_tensor(np.stack(rows))]
    latents = torch.stack([single.encode_each(part[None])[0] for part in x])
    mixture.sources.initialize(latents)
    return mixture, torch.eye(n_components)[torch.as_tensor(labels)]


def kmeans_labels(images: Tensor, n_clusters: int, seed: int) -> np.ndarray:
    """Cluster images (N, 1, H, W) by k-means on principal components: (N,)."""
    x = images.flatten(1).double().cpu().numpy()
    codes = PCA(min(N_PRINCIPAL, x.shape[1]), random_state=seed).fit_transform(x)
    model = KMeans(n_clusters, n_init=KMEANS_STARTS, random_state=seed)
    labels: np.ndarray = model.fit(codes).labels_
    return labels


def train(
    mixture: Mixture,
    images: Tensor,
    config: Flow,
    context: RunContext,
    *,
    name: str,
    epochs: int,
    responsibilities: Tensor | None = None,
    em_every: int = 1,
    temperature: Temperature = 1.0,
    schedule: Schedule = "cosine",
    fresh: bool = False,
) -> Fit:
    """Train a mixture in place; noise is that of the published code, one draw for all components.

    Parameters
    ----------
    mixture, images
        What to train, and on what: (N, 1, H, W).
    config, context
        Of the run; ``context`` names the device and where checkpoints go.
    name
        Of the folder for checkpoints.
    epochs, schedule
        Passes over the images, all components together; course of the learning rate.
    responsibilities
        (N, K), to begin with; None begins with an E-step.
    em_every, temperature
        Epochs between E-steps; T of the posterior.
    fresh
        Set data-dependent parameters first.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C, with a checkpoint from which the same call goes on.
    """
    x = images.to(context.device)
    settings = EMSettings(
        em_every=em_every,
        temperature=temperature,
        m_step="dense" if mixture.n_flows == 1 else "sparse",
        batch_size=config.batch_size * mixture.n_flows,
        noise=NOISE,
        e_step_noise=NOISE,
    )
    start = None if responsibilities is None else responsibilities[None]
    em = EM(mixture.to(x.device), x, Groups.single(len(x)), start, settings)
    if fresh:
        with torch.random.fork_rng([]):
            torch.manual_seed(config.seed + 1)
            em.start()
    n_steps = epochs * em.steps_per_epoch
    done = fit(em, _loop(config, context, name, epochs, n_steps, schedule))
    if done.interrupted:
        raise KeyboardInterrupt
    mixture.eval()
    return done


def _loop(
    config: Flow, context: RunContext, name: str, epochs: int, n_steps: int, schedule: Schedule
) -> LoopSettings:
    return LoopSettings(
        max_epochs=epochs,
        seed=config.seed,
        optimizer=config.optimizer,
        learning_rate=config.learning_rate,
        schedule=schedule,
        warmup=min(MOST_WARMUP, int(WARMUP * n_steps)),
        clip_norm=100.0,
        checkpoint=context.checkpoint / name,
        resume=context.resume,
        progress=context.progress,
    )


def curve(done: Fit, before: int = 0) -> dict[str, Any]:
    """Return epochs, from ``before`` on, and log p of the images in nats, at the E-steps."""
    found = pd.DataFrame(done.history).dropna(subset=["log_likelihood"])
    epochs = found["epoch"].to_numpy(float) + before
    epochs[-1] += 1  # the last E-step is after the last epoch, the others before theirs
    return {"epoch": epochs, "log_likelihood": found["log_likelihood"].to_numpy()}
