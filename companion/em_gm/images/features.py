"""The networks whose features judge samples in figures 4 and 5, one for each data set."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from companion.em_gm.images.feature_network import FeatureNetwork
from companion.runs.config import Config, Profile
from companion.runs.experiment import Experiment, RunContext
from companion.runs.result import Result
from companion.runs.store import Store
from companion.runs.stored import StoredRun
from companion.runs.weights import pack_weights, unpack_weights
from mixflow import datasets
from mixflow.training.checkpoints import digest
from mixflow.training.loop import fit
from mixflow.training.objective import LoopSettings, Objective
from mixflow.training.vi import shifted

NAME = "em-gm/features"
Dataset = Literal["mnist", "fashion-mnist", "digits"]
# Side that the network sees, side as published, grey value of ink. EM-GM's models of 28 x 28
# images are models of the same images enlarged to 32 x 32.
IMAGES: dict[str, tuple[int, int, int]] = {
    "mnist": (32, 28, 255),
    "fashion-mnist": (32, 28, 255),
    "digits": (16, 8, 16),
}
_LOADERS = {
    "mnist": datasets.load_mnist,
    "fashion-mnist": datasets.load_fashion_mnist,
    "digits": datasets.load_digit_images,
}
WARMUP = 0.2  # share of the steps in which the learning rate rises


class Features(Config):
    """One network: what it learns from, how large it is and how long it learns."""

    dataset: Dataset = Field("mnist", description="digits at smoke only")
    epochs: int = Field(12, ge=1, description="passes over the training split")
    width: int = Field(16, ge=8, le=256, description="channels of the first block; 4 x features")
    batch_size: int = Field(128, ge=2)
    learning_rate: float = Field(4e-3, gt=0, description="the peak, of AdamW")
    weight_decay: float = Field(5e-2, ge=0)
    shift: int = Field(2, ge=0, le=8, description="pixels, at most, by which images move")


def run(config: Features, context: RunContext) -> Result:
    """Train on the training split; measure what is stored, on the test split, once."""
    split = _LOADERS[config.dataset]()
    start = time.perf_counter()
    network = train(config, context, split.x_train, split.y_train)
    seconds = time.perf_counter() - start
    weights = pack_weights(network.state_dict())
    stored = _rebuilt(config, weights)
    exact = _accuracy(config, network.cpu(), split.x_test, split.y_test)
    metrics = {
        "test_accuracy": _accuracy(config, stored, split.x_test, split.y_test),
        "test_accuracy_32_bits": exact,
        "train_accuracy": _accuracy(config, stored, split.x_train[:10_000], split.y_train[:10_000]),
        "stored_bytes": float(weights.nbytes),
    }
    same = {
        "dataset": config.dataset,
        "model": "feature network",
        "setting": f"epochs={config.epochs} width={config.width}",
        "seed": config.seed,
    }
    rows = pd.DataFrame([{**same, "metric": m, "value": v} for m, v in sorted(metrics.items())])
    n_parameters = sum(p.numel() for p in network.parameters())
    costs = {"fit_seconds": seconds, "parameters": float(n_parameters)}
    return Result(rows, {"weights": weights}, costs)


def train(config: Features, context: RunContext, x: np.ndarray, y: np.ndarray) -> FeatureNetwork:
    """Train a network on images as published, uint8 (N, 1, H, W), and their classes (N,).

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C, with a checkpoint from which the same call goes on.
    """
    objective = _Classification(config, x, y, context.device)
    n_steps = config.epochs * objective.steps_per_epoch
    settings = LoopSettings(
        max_epochs=config.epochs,
        seed=config.seed,
        learning_rate=config.learning_rate,
        betas=(0.9, 0.999),
        weight_decay=config.weight_decay,
        warmup=int(WARMUP * n_steps),
        checkpoint=context.checkpoint,
        resume=context.resume,
        progress=context.progress,
    )
    if fit(objective, settings).interrupted:
        raise KeyboardInterrupt
    return objective.module


def load_feature_network(
    dataset: Dataset, *, profile: Profile | None = None, seed: int = 0, store: Store | None = None
) -> FeatureNetwork:
    """Return the stored network of a data set, on the CPU and ready to extract.

    Parameters
    ----------
    dataset
        ``"mnist"``, ``"fashion-mnist"`` or ``"digits"``.
    profile
        Of the run; by default laptop, for the digits smoke.
    seed
        Of the run.
    store
        Where results are kept; the default one unless given.

    Returns
    -------
    FeatureNetwork
        Its ``source`` names the run. It takes floats in [0, 1], 28 x 28 or 32 x 32 (digits:
        8 x 8); see :func:`feature_network.as_images`.

    Raises
    ------
    FileNotFoundError
        The run is not there; the message is the command that makes it.
    ParameterError
        Unknown data set.
    """
    profile = profile or _judging_profile(dataset)
    config = EXPERIMENT.configure(profile, dataset=dataset, seed=seed)
    assert isinstance(config, Features)
    store = store or Store()
    if not store.is_done(NAME, config):
        raise FileNotFoundError(
            f"the feature network of {dataset} is not in {store.root}; make it with 'mixflow run "
            f"{NAME} --profile {profile} -p dataset={dataset} --seeds {seed}'"
        )
    return rebuilt(store.load(NAME, config))


def required(context: RunContext, dataset: Dataset) -> FeatureNetwork:
    """Return the network that judges a data set at every profile, trained where it is not there.

    Distances of features compare only where one network gives the features.
    """
    profile = _judging_profile(dataset)
    return rebuilt(context.required(NAME, profile=profile, dataset=dataset, seed=0))


def _judging_profile(dataset: Dataset) -> Profile:
    return "smoke" if dataset == "digits" else "laptop"


def rebuilt(run: StoredRun) -> FeatureNetwork:
    """Return the network of a stored run, ready to extract; its ``source`` names the run."""
    config = Features.model_validate(run.config)
    network = _rebuilt(config, run.arrays["weights"])
    network.source = f"{NAME}/{run.digest}"
    return network


def test_images(dataset: Dataset) -> np.ndarray:
    """Return the test split, which no network learned from, as networks take it: (N, 1, H, W)."""
    return as_floats(dataset, _LOADERS[dataset]().x_test)


def as_floats(dataset: Dataset, images: np.ndarray) -> np.ndarray:
    """Return published images, uint8, as the networks take them: float32 in [0, 1]."""
    return (images / IMAGES[dataset][2]).astype(np.float32)


def _network(config: Features) -> FeatureNetwork:
    side, raw_side, _ = IMAGES[config.dataset]
    return FeatureNetwork(side=side, raw_side=raw_side, width=config.width)


def _rebuilt(config: Features, weights: np.ndarray) -> FeatureNetwork:
    with torch.random.fork_rng([]):
        network = _network(config)
    network.load_state_dict(unpack_weights(weights))
    network.eval().requires_grad_(False)
    return network


def _accuracy(config: Features, network: FeatureNetwork, x: np.ndarray, y: np.ndarray) -> float:
    probabilities = network.extract(as_floats(config.dataset, x)).probabilities
    return float((probabilities.argmax(1) == y).mean())


class _Classification(Objective):
    """Cross-entropy on minibatches of shifted images."""

    module: FeatureNetwork

    def __init__(self, config: Features, x: np.ndarray, y: np.ndarray, device: str) -> None:
        self.config = config
        with torch.random.fork_rng([]):
            torch.manual_seed(config.seed)
            network = _network(config)
        self.module = network.to(device)
        images = torch.as_tensor(as_floats(config.dataset, x), device=device)
        self.images = torch.cat([network.resized(part) for part in images.split(1000)])
        self.classes = torch.as_tensor(y, device=device)
        # The last, smaller batch is left out: batch normalisation needs several images.
        self.steps_per_epoch = max(len(x) // config.batch_size, 1)

    def plan(self) -> None:
        device = self.images.device
        order = torch.randperm(len(self.images), generator=self.generator, device=device)
        self.batches = order.split(self.config.batch_size)

    def loss(self, step: int) -> Tensor:
        rows = self.batches[step]
        _, logits = self.module(shifted(self.images[rows], self.config.shift, self.generator))
        return F.cross_entropy(logits, self.classes[rows])

    def identity(self) -> dict[str, Any]:
        data = {"images": self.images, "classes": self.classes}
        return {"data": digest(data), **self.config.model_dump(mode="json")}


def plan(profile: str) -> Sequence[Mapping[str, Any]]:
    """Return a network for each data set."""
    names = ("digits",) if profile == "smoke" else ("mnist", "fashion-mnist")
    return [{"dataset": name, "seed": 0} for name in names]


EXPERIMENT = Experiment(
    name=NAME,
    title="The networks whose features judge samples: accuracy and stored weights",
    config=Features,
    run=run,
    defaults={
        "smoke": {"dataset": "digits", "epochs": 10, "width": 8, "batch_size": 64, "shift": 1},
        "laptop": {},
        "paper": {"epochs": 30, "width": 32},
    },
    plan=plan,
)
