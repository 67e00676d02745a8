"""What is measured of mixtures of images: likelihoods, noise and copies, and samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from companion.em_gm.images import features, models
from companion.em_gm.images.data import NOISE, ImageSet, nll_per_pixel, to_grey
from companion.em_gm.images.feature_network import Extracted, FeatureNetwork, as_images
from companion.em_gm.images.models import Flow
from companion.em_gm.images.quality import real_floor, sample_quality
from companion.runs.experiment import RunContext
from mixflow.mixtures import GenMM
from mixflow.mixtures.base import Mixture

# K of the copies of one model whose "gain" by noise of their own is measured.
COPIES = (3, 5, 7, 9)
KEPT = 100  # samples that are kept


class Sizes(Protocol):
    """What measuring needs of a config."""

    seed: int
    n_noisy: int
    n_held_out: int
    trials: int
    n_generated: int


@dataclass(frozen=True)
class Judge:
    """A feature network, and the features of images that neither it nor its training saw.

    Attributes
    ----------
    network
        Of :mod:`companion.em_gm.images.features`.
    real
        Of the official test split.
    """

    network: FeatureNetwork
    real: Extracted

    @classmethod
    def of(cls, config: Flow, context: RunContext) -> Judge:
        """Return the judge of a data set; its network is trained and stored if it is not there."""
        network = features.required(context, config.dataset)
        test = features.test_images(config.dataset)
        return cls(network, network.extract(test))


class Measures:
    """Tidy rows of one mixture."""

    def __init__(self, dataset: str, model: str, n_components: int, seed: int) -> None:
        self.k = n_components
        self.same = {
            "dataset": dataset,
            "model": model,
            "setting": f"K={n_components}",
            "seed": seed,
        }
        self.lines: list[dict[str, object]] = []

    def add(self, **metrics: float) -> None:
        """Add measured numbers."""
        self.lines += [
            {**self.same, "metric": name, "value": float(v)} for name, v in metrics.items()
        ]

    def rows(self) -> pd.DataFrame:
        """Return everything that was added."""
        return pd.DataFrame(self.lines)

    # Densities -------------------------------------------------------------------------------

    def likelihoods(self, mixture: Mixture, images: ImageSet, sizes: Sizes) -> None:
        """Measure NLL in nat/pixel: all training images, held-out ones, and noise of two kinds."""
        seed = sizes.seed
        train = nll_per_pixel(mixture, images.train, seed=seed)
        held_out = nll_per_pixel(
            mixture, _drawn(images.held_out, sizes.n_held_out, seed), seed=seed
        )
        self.add(nll_train=train.mean(), nll_held_out=held_out.mean())
        self.add(nll_held_out_error=held_out.std() / len(held_out) ** 0.5)
        few = _drawn(images.train, sizes.n_noisy, seed)
        shared = nll_per_pixel(mixture, few, seed=seed)
        if self.k > 1:
            self._gain("own_noise", shared, nll_per_pixel(mixture, few, own_noise=True, seed=seed))
        elif isinstance(mixture, GenMM):
            for k, values in _copies(mixture, few, seed).items():
                self._gain(f"copies_{k}", shared, values)
        self._posteriors(mixture, few)

    def _gain(self, name: str, shared: np.ndarray, own: np.ndarray) -> None:
        """Add how much lower the second NLL is, image by image, and its standard error."""
        gain = shared - own
        self.add(**{f"gain_{name}": gain.mean(), f"gain_{name}_error": _error(gain)})

    @torch.no_grad()
    def _posteriors(self, mixture: Mixture, few: Tensor) -> None:
        noisy = few + NOISE * torch.randn(few.shape, generator=_generator(0)).to(few)
        posterior = mixture.posterior(noisy)
        weights = mixture.log_weights.exp()
        entropy = -(weights * mixture.log_weights).sum()
        self.add(
            largest_responsibility=float(posterior.amax(1).mean()),
            largest_responsibility_per_dimension=float(
                mixture.posterior(noisy, mixture.n_features).amax(1).mean()
            ),
            effective_components=float(entropy.exp()),
            smallest_weight=float(weights.min()),
        )

    # Samples ---------------------------------------------------------------------------------

    def samples(self, mixture: Mixture, images: ImageSet, judge: Judge, sizes: Sizes) -> np.ndarray:
        """Measure samples in trials; return some of them, uint8 (KEPT, 1, H, W)."""
        n = sizes.trials * sizes.n_generated
        with torch.random.fork_rng([]):
            torch.manual_seed(sizes.seed)
            drawn = torch.cat([mixture.sample(sizes.n_generated)[0] for _ in range(sizes.trials)])
        drawn = drawn[torch.randperm(n, generator=_generator(sizes.seed))].cpu()
        self.add(samples_outside=float((drawn.abs() > 0.5 + 4 * NOISE).float().mean()))
        generated = judge.network.extract(as_images(drawn.nan_to_num()))
        how = {"n_samples": sizes.n_generated, "n_trials": sizes.trials, "seed": sizes.seed}
        self._trials(sample_quality(judge.real, generated, **how))
        if len(judge.real) >= 2 * n and self.k == 1:
            self._trials(real_floor(judge.real, **how), model="real images")
        return to_grey(drawn[:KEPT])

    def _trials(self, table: pd.DataFrame, **other: str) -> None:
        for metric, values in table.groupby("metric", sort=False)["value"]:
            numbers = {"": values.mean(), " low": values.min(), " high": values.max()}
            self.lines += [
                {**self.same, **other, "metric": f"{metric}{end}", "value": float(value)}
                for end, value in numbers.items()
            ]


def _copies(mixture: GenMM, few: Tensor, seed: int) -> dict[int, np.ndarray]:
    """Return the NLL of K copies of one flow with noise of their own, (N,), by K."""
    return {
        k: nll_per_pixel(models.copies(mixture, k), few, own_noise=True, seed=seed) for k in COPIES
    }


def _drawn(images: Tensor, n: int, seed: int) -> Tensor:
    """Return n images drawn at random: the first ones of these sets are easier than the rest."""
    return images[torch.randperm(len(images), generator=_generator(seed))[:n]]


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / len(values) ** 0.5)


def cost_of_pass(config: Flow, image_shape: tuple[int, ...]) -> dict[str, float]:
    """Return the FLOPs of one image (C, H, W) through one flow, forward and backward."""
    mixture = models.new_flow(config, image_shape)
    x = torch.zeros(1, 2, *image_shape)
    with FlopCounterMode(display=False) as forward:
        loss = mixture.log_prob_each(x).sum()
    with FlopCounterMode(display=False) as backward:
        loss.backward()
    return {
        "FLOPs of an image, forward": forward.get_total_flops() / 2,
        "FLOPs of an image, backward": backward.get_total_flops() / 2,
    }
