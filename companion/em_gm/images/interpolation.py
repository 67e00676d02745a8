"""EM-GM figure 7: images between two images, and what a network sees in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from torch import Tensor

from companion.em_gm.images import features, table_1
from companion.em_gm.images.data import (
    NOISE,
    ImageSet,
    ImageSetName,
    load_images,
    to_grey,
)
from companion.em_gm.images.feature_network import FeatureNetwork, as_images
from companion.em_gm.images.mixtures import rebuilt
from companion.em_gm.images.walks import DRAWN, ENDS, walk
from companion.runs.config import Config
from companion.runs.experiment import Experiment, RunContext
from companion.runs.result import Result
from mixflow.mixtures import GenMM, LatMM

SHARED, PIXELS = "one flow", "pixels"  # names of walks that no rule makes
N_SETS = 3  # of pairs, one a seed
SHOWN = 12  # pairs that are kept for the figures


class Interpolation(Config):
    """One mixture of table I, with seed 0, and pairs of images drawn by this config's seed."""

    dataset: ImageSetName = Field("mnist", description="digits at smoke only")
    model: Literal["GenMM", "LatMM"] = Field("GenMM", description="as in em-gm/table-1")
    n_components: int = Field(7, ge=2, le=50, description="K")
    n_pairs: int = Field(100, ge=2, description="pairs of held-out images of different classes")
    n_steps: int = Field(11, ge=4, le=101, description="values of alpha from 0 to 1, both included")


@dataclass(frozen=True)
class Pairs:
    """P pairs of images.

    Attributes
    ----------
    images
        (2, P, 1, H, W).
    classes
        (P, 2).
    """

    images: Tensor
    classes: np.ndarray


@dataclass(frozen=True)
class Reading:
    """What the feature network sees in P walks of S images.

    Attributes
    ----------
    classes, confidence
        The likeliest class, and its probability, (P, S).
    ends
        Classes of the ends, (P, 2).
    """

    classes: np.ndarray
    confidence: np.ndarray
    ends: np.ndarray

    @property
    def at_an_end(self) -> np.ndarray:
        """Whether the class is that of one of the ends, (P, S)."""
        return (self.classes[:, :, None] == self.ends[:, None]).any(axis=2)

    def at_the_nearer(self, alpha: np.ndarray) -> np.ndarray:
        """Whether the class is that of the nearer end, or at alpha = 0.5 of the last, (P, S)."""
        nearer: np.ndarray = self.classes == self.ends[:, (alpha >= 0.5).astype(int)]
        return nearer


def run(config: Interpolation, context: RunContext) -> Result:
    """Walk between the images of each pair by every rule that makes a difference, and measure."""
    mixture, network, part = _required(config, context)
    pairs = draw_pairs(load_images(config.dataset, part=part), config.n_pairs, config.seed)
    alpha = np.linspace(0, 1, config.n_steps)
    walks = _walks(mixture.to(context.device), pairs, alpha, config)
    arrays: dict[str, np.ndarray] = {"alpha": alpha, "ends": pairs.classes[:SHOWN].astype(np.uint8)}
    rows = []
    for name, walked in walks.items():
        reading = read(network, walked, pairs.classes)
        rows += _rows(config, name, measured(reading, walked, pairs, alpha))
        arrays |= {
            f"images, {name}": to_grey(walked[:SHOWN, :, 0]),
            f"classes, {name}": reading.classes[:SHOWN].astype(np.uint8),
            f"at an end by alpha, {name}": reading.at_an_end.mean(axis=0),
        }
    first, last = _components(mixture, pairs)
    whole = {"same_component": (first == last).mean()}
    return Result(pd.DataFrame([*rows, *_rows(config, "", whole)]), arrays)


def _rows(
    config: Interpolation, name: str, metrics: Mapping[str, float]
) -> list[dict[str, object]]:
    """Return a row for each metric of a rule, or of the whole run where there is no name."""
    setting = ", ".join(filter(None, (f"K={config.n_components}", name)))
    model, setting = (PIXELS, "") if name == PIXELS else (config.model, setting)
    same = {"dataset": config.dataset, "model": model, "setting": setting, "seed": config.seed}
    return [{**same, "metric": metric, "value": float(v)} for metric, v in metrics.items()]


def _required(config: Interpolation, context: RunContext) -> tuple[GenMM, FeatureNetwork, Any]:
    """Return the mixture, the network and the part of the data that the mixture is of."""
    same = {"dataset": config.dataset, "seed": 0}
    stored = context.required(
        table_1.NAME, model=config.model, n_components=config.n_components, keep=True, **same
    )
    return rebuilt(stored), features.required(context, config.dataset), stored.config["part"]


def draw_pairs(images: ImageSet, n_pairs: int, seed: int) -> Pairs:
    """Draw pairs of held-out images of different classes, no image twice.

    The images carry the noise that the mixtures were trained with.

    Raises
    ------
    ValueError
        If there are too few images.
    """
    y = images.y_held_out
    rows = np.random.default_rng(seed).permutation(len(y))[: len(y) // 2 * 2].reshape(-1, 2)
    rows = rows[y[rows[:, 0]] != y[rows[:, 1]]][:n_pairs]
    if len(rows) < n_pairs:
        raise ValueError(f"n_pairs={n_pairs}, but only {len(rows)} pairs can be drawn")
    x = images.held_out[torch.as_tensor(rows.T.copy())]
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))
    return Pairs(x + NOISE * noise, y[rows])


# Walks ---------------------------------------------------------------------------------------


def _walks(
    mixture: GenMM, pairs: Pairs, alpha: np.ndarray, config: Interpolation
) -> dict[str, Tensor]:
    """Return walks (P, S, 1, H, W) by what makes them; of LatMM, all rules are one."""
    rules = {SHARED: ENDS} if isinstance(mixture, LatMM) else {ENDS: ENDS, DRAWN: DRAWN}
    walks = {
        name: walk(mixture, pairs.images, alpha, rule, config.seed) for name, rule in rules.items()
    }
    first, last = pairs.images
    mixed = torch.stack([torch.lerp(first, last, a) for a in alpha.tolist()], dim=1)
    return {**walks, PIXELS: mixed}


def _components(mixture: GenMM, pairs: Pairs) -> np.ndarray:
    """Return the component of each end, the argmax of its responsibilities, (2, P)."""
    device = mixture.log_weights.device
    return np.stack([mixture.predict(x.to(device)).cpu().numpy() for x in pairs.images])


# Measures ------------------------------------------------------------------------------------


def read(network: FeatureNetwork, walks: Tensor, ends: np.ndarray) -> Reading:
    """Let the network classify walks (P, S, 1, H, W) between ends of known classes (P, 2)."""
    images = as_images(walks.flatten(0, 1).nan_to_num())
    probabilities = network.extract(images).probabilities.reshape(*walks.shape[:2], -1)
    return Reading(probabilities.argmax(axis=2), probabilities.max(axis=2), ends)


def measured(reading: Reading, walks: Tensor, pairs: Pairs, alpha: np.ndarray) -> dict[str, float]:
    """Return shares of images between the ends, and how well the ends come back.

    ``at_the_nearer_end`` leaves out alpha = 0.5. ``outside`` is the share of pixels beyond black
    and white by more than the noise explains; ``reconstruction_error`` the largest error of a
    pixel, in grey levels.
    """
    between, last = slice(1, -1), len(alpha) - 1
    share = reading.at_an_end[:, between].mean(axis=1)
    nearer = reading.at_the_nearer(alpha)[:, (alpha > 0) & (alpha < 1) & (alpha != 0.5)]
    error = walks[:, [0, last]].transpose(0, 1) - pairs.images
    outside = walks[:, between].nan_to_num(nan=torch.inf).abs() > 0.5 + 4 * NOISE
    return {
        "at_an_end": share.mean(),
        "at_an_end_error": _error(share),
        "at_the_nearer_end": nearer.mean(),
        "confidence": reading.confidence[:, between].mean(),
        "outside": float(outside.float().mean()),
        "ends_kept": (reading.classes[:, [0, last]] == reading.ends).mean(),
        "confidence_at_ends": reading.confidence[:, [0, last]].mean(),
        "reconstruction_error": 255 * float(error.abs().max()),
    }


def _error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / len(values) ** 0.5)


def plan(profile: str) -> Sequence[Mapping[str, Any]]:
    """Return the paper's mixtures, each with three sets of pairs."""
    if profile == "smoke":
        return [{"model": model, "n_components": 3, "seed": 0} for model in ("GenMM", "LatMM")]
    return [
        {"model": model, "n_components": k, "seed": seed}
        for model, k in (("GenMM", 7), ("GenMM", 9), ("LatMM", 9))
        for seed in range(N_SETS)
    ]


EXPERIMENT = Experiment(
    name="em-gm/interpolation",
    title="Images between two images, by the generators of mixtures of image flows",
    config=Interpolation,
    run=run,
    defaults={"smoke": {"dataset": "digits", "n_pairs": 50}, "laptop": {}, "paper": {}},
    plan=plan,
)
