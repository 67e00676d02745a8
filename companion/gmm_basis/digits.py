"""GMM-basis figures 8 to 10: digits generated from densities of an autoencoder's codes."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
from pydantic import Field
from tqdm import tqdm

from companion.gmm_basis.common import SEEDS, Ledger
from companion.gmm_basis.digit_codes import draw_digits, train_autoencoder
from companion.gmm_basis.digit_densities import (
    CEILING,
    PAPER,
    Sampler,
    Sizes,
    distances_to,
    margins,
    methods,
    mixed,
)
from companion.gmm_basis.digit_measures import Judge, by_digit
from companion.gmm_basis.digit_reader import N_CLASSES, Reader
from companion.runs.config import Config
from companion.runs.experiment import Experiment, RunContext
from companion.runs.result import Result

LATENT_SIZES = (8, 16, 32)
TEST, REBUILT = "test images", "reconstructions"
# What is kept for the figures: digits of each class, points of a curve, pairs that are mixed.
SHOWN, CURVE, CURVES_OF = 6, 120, (3, 8)
SHOWN_PAIRS = ((3, 8), (4, 9), (1, 7), (0, 6))
SHARES = tuple(range(0, 101, 10))  # % of the dimensions that come from the second digit


class DigitGeneration(Config):
    """One autoencoder, and all densities on its codes."""

    dataset: Literal["mnist", "digits"] = Field("mnist", description="digits at smoke only")
    latent_size: int = Field(16, ge=2, le=128, description="d, length of a code")
    alpha: float = Field(5.0, ge=0, description="of eq. 10; the error is a sum over pixels")
    n_train: int = Field(20_000, ge=100, le=60_000, description="images of the autoencoder")
    n_other: int = Field(
        10_000, ge=100, le=30_000, description="images of the discriminator, and of the judge"
    )
    epochs: int = Field(15, ge=1, description="of the autoencoder")
    discriminator_width: int = Field(16, ge=2, description="channels of its first layer")
    discriminator_steps: int = Field(800, ge=1)
    judge_width: int = Field(24, ge=2, description="channels of its first layer")
    judge_steps: int = Field(1500, ge=1)
    n_components: int = Field(200, ge=10, description="n, Gaussians of the basis")
    n_mixture: int = Field(10, ge=1, description="components of EM- and SW-GMM, and clusters")
    sliced_steps: int = Field(400, ge=1, description="gradient steps of SW-GMM")
    n_generated: int = Field(500, ge=6, description="digits generated and compared, of each class")
    n_near: int = Field(100, ge=6, description="of these, compared by nearest neighbours")
    n_mixed: int = Field(60, ge=6, description="mixes of each pair of digits")
    keep: bool = Field(False, description="store images and curves for the figures")


def run(config: DigitGeneration, context: RunContext) -> Result:
    """Train the networks, learn the codes of every digit by every method, and measure."""
    study = _Study(config, context)
    study.look_at_the_model()
    study.follow_the_codes()
    study.generate(context.progress)
    study.mix()
    ledger = study.ledger
    return Result(ledger.rows(), ledger.arrays if config.keep else {}, ledger.costs)


class _Study:
    """Networks and codes of one run, and what is measured on them."""

    def __init__(self, config: DigitGeneration, context: RunContext) -> None:
        self.config, self.ledger = config, Ledger(config.seed, config.dataset)
        self.setting = f"latent size {config.latent_size}"
        digits = draw_digits(
            config.dataset, config.seed, n_train=config.n_train, n_other=config.n_other
        )
        with self._clock("judge"):
            reader = Reader(config.judge_width, config.judge_steps, seed=config.seed)
            reader.fit(digits.x_judge, digits.y_judge, device=context.device)
        with self._clock("discriminator"):
            # Another seed than the judge's, beside other images: their errors should differ.
            discriminator = Reader(
                config.discriminator_width, config.discriminator_steps, seed=config.seed + 1
            ).fit(digits.x_discriminator, digits.y_discriminator, device=context.device)
        with self._clock("autoencoder"):
            self.model = train_autoencoder(
                digits,
                discriminator,
                latent_size=config.latent_size,
                alpha=config.alpha,
                epochs=config.epochs,
                seed=config.seed,
                device=context.device,
                checkpoint=context.checkpoint,
                progress=context.progress,
            )
        codes = self.model.encode(digits.x)
        self.codes = [codes[digits.y == c] for c in range(N_CLASSES)]
        self.x_test = by_digit(digits.x_test, digits.y_test, config.n_generated)
        self.test_codes = _each(self.model.encode, self.x_test)
        self.rebuilt = self._decode(self.test_codes)
        features = [_each(reader.features, x) for x in (self.x_test, self.rebuilt)]
        self.judge = Judge(reader, features[0], features[1], config.n_near)

    @contextmanager
    def _clock(self, name: str) -> Iterator[None]:
        """Add the seconds of one core that the block takes to the costs."""
        start = time.process_time()
        yield
        self.ledger.costs[f"cpu seconds, {name}"] = time.process_time() - start

    def _decode(self, codes: np.ndarray) -> np.ndarray:
        return _each(self.model.decode, codes)

    def _keep(self, name: str, images: np.ndarray) -> None:
        """Keep the first images of each class or pair as uint8, (P, m, H, W)."""
        self.ledger.arrays[name] = np.round(images[:, :SHOWN, 0] * 255).astype(np.uint8)

    # Figure 8 --------------------------------------------------------------------------------

    def look_at_the_model(self) -> None:
        """Measure the test images themselves and their reconstructions."""
        error = np.square(self.rebuilt - self.x_test).sum((2, 3, 4)).mean()
        for name, images in ((TEST, self.x_test), (REBUILT, self.rebuilt)):
            self.ledger.add(name, self.setting, **self.judge.measure(images))
            self._keep(f"images, {name}", images)
        self.ledger.add(REBUILT, self.setting, squared_error=error)

    def follow_the_codes(self) -> None:
        """Compare the basis densities with codes that they were not learned from."""
        learned = [margins(codes, self.config.n_components) for codes in self.codes]
        apart = np.stack(
            [distances_to(m, t) for m, t in zip(learned, self.test_codes, strict=True)]
        )
        self.ledger.add(
            PAPER, self.setting,
            distance_to_test_codes=apart.mean(), largest_distance_to_test_codes=apart.max(),
        )  # fmt: skip
        for c in CURVES_OF:
            both = np.concatenate([self.codes[c], self.test_codes[c]])
            x = np.linspace(both.min(axis=0), both.max(axis=0), CURVE)
            self.ledger.arrays[f"curve x, {c}"] = x.T.astype(np.float32)
            density = np.exp(learned[c].score_features(x))
            self.ledger.arrays[f"curve density, {c}"] = density.T.astype(np.float32)
            self.ledger.arrays[f"test codes, {c}"] = self.test_codes[c].T.astype(np.float32)

    # Figure 9 --------------------------------------------------------------------------------

    def generate(self, progress: bool) -> None:
        """Learn the codes of each digit by every method, and measure what they generate."""
        config, table = self.config, methods(self._sizes())
        for name, method in tqdm(table.items(), desc="methods", delay=5, disable=not progress):
            with self._clock(name):
                samplers = [method(codes, config.seed) for codes in self.codes]
            images = self._decode(self._draw(samplers, config.n_generated))
            self.ledger.add(name, self.setting, **self.judge.measure(images))
            self._keep(f"images, {name}", images)

    def _sizes(self) -> Sizes:
        config = self.config
        return Sizes(config.n_components, config.n_mixture, config.sliced_steps)

    def _draw(self, samplers: Sequence[Sampler], n: int) -> np.ndarray:
        """Return n codes of each digit, (10, n, d), in random order: mixtures give them grouped."""
        order = np.random.default_rng(self.config.seed).permutation(n)
        return np.stack([sample(n)[order] for sample in samplers])

    # Figure 10 -------------------------------------------------------------------------------

    def mix(self) -> None:
        """Mix samples of two digits dimension by dimension, beside controls."""
        pairs = np.array(list(itertools.combinations(range(N_CLASSES), 2)))
        shown = [tuple(pair) in SHOWN_PAIRS for pair in pairs.tolist()]
        seed = self.config.seed
        for name in (PAPER, CEILING):
            method = methods(self._sizes())[name]
            samplers = [method(codes, seed + 1) for codes in self.codes]
            one, other = _pairs(self._draw(samplers, 9 * self.config.n_mixed), pairs)
            half = one.shape[1] // 2
            kinds = {
                "mixed": mixed(one, other, seed),
                "unmixed": np.concatenate([one[:, :half], other[:, half:]], axis=1),
                "midpoints": (one + other) / 2,
            }
            for kind, codes in kinds.items():
                read = self.judge.read_pairs(self._decode(codes), pairs)
                self.ledger.add(f"{name}, {kind}", self.setting, **read)
            for share in SHARES:
                part = mixed(one[shown], other[shown], seed, share / 100)
                self._keep(f"mixed {share} %, {name}", self._decode(part))


def _pairs(samples: np.ndarray, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Deal samples (10, 9 m, d) to the pairs (45, 2), each once: twice (45, m, d)."""
    parts = [iter(np.split(part, N_CLASSES - 1)) for part in samples]
    dealt = np.array([[next(parts[c]) for c in pair] for pair in pairs])
    return dealt[:, 0], dealt[:, 1]


def _each(function: Any, x: np.ndarray) -> np.ndarray:
    """Apply a function of (N, ...) to an array (P, m, ...)."""
    out = np.asarray(function(x.reshape(-1, *x.shape[2:])))
    return out.reshape(*x.shape[:2], *out.shape[1:])


_SMOKE: dict[str, Any] = {
    "dataset": "digits",
    "n_train": 600,
    "n_other": 290,
    "epochs": 80,
    "discriminator_steps": 500,
    "judge_width": 16,
    "judge_steps": 500,
    "n_mixture": 3,
    "sliced_steps": 40,
    "n_generated": 50,
    "n_near": 50,
    "n_mixed": 12,
}


def plan(profile: str) -> Sequence[Mapping[str, Any]]:
    """Return every latent size and seed; images are kept of the first seed."""
    if profile == "smoke":
        return [{"latent_size": 8, "seed": 0, "keep": True}]
    return [
        {"latent_size": size, "seed": seed, **({"keep": True} if seed == SEEDS[0] else {})}
        for size in LATENT_SIZES
        for seed in SEEDS
    ]


EXPERIMENT = Experiment(
    name="gmm-basis/digits",
    title="Digits from densities of an autoencoder's codes, by 12 methods and controls",
    config=DigitGeneration,
    run=run,
    defaults={"smoke": _SMOKE, "laptop": {}, "paper": {"n_train": 60_000, "n_other": 30_000}},
    plan=plan,
)
