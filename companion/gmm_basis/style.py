"""GMM-basis figures 11 to 13: style transfer with Gram matrices sampled from basis densities.

One run draws Gram matrices at each share of style 2 and optimises an image to each; finished
images are kept in the checkpoint, so that a cut run continues with the next.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from companion.gmm_basis.common import Ledger
from companion.gmm_basis.gram import (
    Triangles,
    draw_target,
    random_crops,
    triangles,
)
from companion.gmm_basis.pictures import load_picture
from companion.gmm_basis.style_config import STYLES, Style
from companion.gmm_basis.style_measures import StyleLedger, encode, example_grams
from companion.gmm_basis.stylise import style_unit, stylise
from companion.gmm_basis.vgg import VGG19, load_weights
from companion.runs.experiment import Experiment, RunContext
from companion.runs.result import Result
from mixflow.training.checkpoints import Checkpoint, load_checkpoint, save_checkpoint

SHARES = tuple(round(0.1 * level, 1) for level in range(9))
N_TEST = 40  # further crops of each style, for what a real crop looks like


@dataclass(frozen=True)
class Crops:
    """Gram matrices of crops of both styles, as rows.

    Attributes
    ----------
    train, test
        Of style 1 and 2, each (n, D): what densities learn from, and others.
    layout
        Of the rows.
    """

    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    layout: Triangles

    @property
    def centres(self) -> tuple[Tensor, Tensor]:
        """Mean Gram matrices of the two styles, (D,)."""
        return self.train[0].mean(0), self.train[1].mean(0)


def run(config: Style, context: RunContext) -> Result:
    """Draw Gram matrices, optimise images, and measure both."""
    torch.manual_seed(config.seed)
    network = build(config, config.layers).to(context.device)
    crops = draw_crops(config, network)
    targets = draw_targets(config, crops)
    images, costs = _images(config, context, crops, targets)
    with torch.no_grad():
        found = torch.cat([crops.layout.of_crops(network, image[None]) for image in images])
    ledger = StyleLedger(Ledger(config.seed, config.styles), config.target, config.size)
    ledger.crops(crops.test, crops.centres, crops.layout)
    ledger.images(labels(config), targets, found, crops.train, crops.layout)
    if config.n_variations > 1:
        ledger.spreads(config.shares, targets, found, crops.test, crops.centres, crops.layout)
    if config.target == "basis":
        ledger.trends(config.shares)
    arrays = {name: encode(image) for name, image in zip(keys(config), images, strict=True)}
    if config.examples:
        arrays |= {name: encode(image) for name, image in example_pictures(config).items()}
        arrays |= example_grams(crops.train, targets[0], crops.layout)
    return Result(ledger.rows(), arrays, costs)


def build(config: Style, layers: Sequence[str]) -> VGG19:
    """Return the network with the weights of a config."""
    weights = load_weights(config.weights, config.seed)
    return VGG19(weights, layers, pooling=config.pooling, padding=config.padding)


def draw_crops(config: Style, network: VGG19) -> Crops:
    """Cut random crops out of both pictures and take their Gram matrices."""
    layout, train, test = triangles(network), [], []
    for number in (0, 1):
        squares = _squares(config, number).to(network.mean.device)
        rows = layout.of_crops(network, squares)
        train.append(rows[: config.n_crops])
        test.append(rows[config.n_crops :])
    return Crops((train[0], train[1]), (test[0], test[1]), layout)


def _squares(config: Style, number: int) -> Tensor:
    """Cut the crops of one style, (n, 3, size, size)."""
    name = STYLES[config.styles][number]
    picture = as_tensor(load_picture(name, short_side=config.picture_size))
    rng = np.random.default_rng([config.seed, number])
    return random_crops(picture, config.n_crops + N_TEST, config.crop_size, rng)


def draw_targets(config: Style, crops: Crops) -> Tensor:
    """Draw the Gram matrices of all images, (shares x variations, D)."""
    rows = []
    for number, share in enumerate(config.shares):
        rows.append(
            draw_target(
                config.target,
                crops.train,
                share,
                crops.layout,
                n_components=config.n_components,
                sigma=config.sigma,
                seed=1000 * config.seed + number,
                n_samples=config.n_variations,
            )
        )
    return torch.cat(rows)


def labels(config: Style) -> list[tuple[float, int]]:
    """Return share and variation of every image, in order."""
    return list(itertools.product(config.shares, range(config.n_variations)))


def keys(config: Style) -> list[str]:
    """Return the names of the arrays that hold the images."""
    return [image_key(share, variation) for share, variation in labels(config)]


def image_key(share: float, variation: int = 0) -> str:
    """Return the name of the array that holds an image, as WebP."""
    return f"image, share={share:g}, variation={variation}"


def as_tensor(pixels: np.ndarray) -> Tensor:
    """Return pixels (H, W, 3) uint8 as a tensor (3, H, W) in [0, 1]."""
    return torch.from_numpy(pixels).permute(2, 0, 1).float() / 255


# Images ---------------------------------------------------------------------------------------


def _images(
    config: Style, context: RunContext, crops: Crops, targets: Tensor
) -> tuple[list[Tensor], dict[str, float]]:
    """Optimise all images, or take those that the checkpoint has; and say what they cost."""
    path = context.checkpoint / "images.safetensors"
    found = load_checkpoint(path) if context.resume else None
    state = found or Checkpoint({}, {"seconds": []})
    steps = range(len(targets) * config.steps)
    with tqdm(steps, desc="evaluations", disable=not context.progress) as bar:
        bar.update(len(state.tensors) * config.steps)
        optimiser = _Optimiser(config, context, crops)
        for number in range(len(state.tensors), len(targets)):
            start = time.perf_counter()
            image = optimiser(targets[number], number, bar)
            state.tensors[f"{number:04d}"] = image
            state.record["seconds"].append(time.perf_counter() - start)
            save_checkpoint(path, state)
    costs = {"seconds per image": float(np.mean(state.record["seconds"]))}
    return [state.tensors[name] for name in sorted(state.tensors)], costs


class _Optimiser:
    """Optimise one image after another to their targets."""

    def __init__(self, config: Style, context: RunContext, crops: Crops) -> None:
        self.config, self.crops = config, crops
        layers = list(config.layers)
        if config.content_weight and config.content_layer not in layers:
            layers.append(config.content_layer)
        self.network = build(config, layers).to(context.device)
        self.unit = style_unit(torch.cat(crops.train), crops.layout)
        self.content = None
        if config.content != "none":
            pixels = load_picture(config.content, short_side=config.size, square=True)
            self.content = as_tensor(pixels).to(context.device)

    def __call__(self, target: Tensor, number: int, bar: Any) -> Tensor:
        config = self.config

        def progress(step: int, loss: float) -> None:
            bar.update()
            bar.set_postfix(image=number + 1, loss=f"{loss:.2e}")

        return stylise(
            self.network,
            self.crops.layout.matrices(target),
            self.unit,
            self._start(number),
            steps=config.steps,
            content_layer=config.content_layer if config.content_weight else None,
            content_weight=config.content_weight,
            content=self.content,
            callback=progress,
        ).image

    def _start(self, number: int) -> Tensor:
        if self.config.start == "content" and self.content is not None:
            return self.content
        generator = torch.Generator().manual_seed(1000 * self.config.seed + number)
        size = self.config.size
        noise = 0.5 + 0.05 * torch.randn(3, size, size, generator=generator)
        return noise.to(self.network.mean.device)


def example_pictures(config: Style) -> dict[str, Tensor]:
    """Return both styles, four crops of each side by side, and the content, by array's name."""
    out = {}
    for number, name in enumerate(STYLES[config.styles]):
        picture = load_picture(name, short_side=config.size)
        out[f"style {number + 1}"] = as_tensor(picture)
        out[f"crops of style {number + 1}"] = torch.cat(list(_squares(config, number)[:4]), dim=2)
    if config.content != "none":
        pixels = load_picture(config.content, short_side=config.size, square=True)
        out["content"] = as_tensor(pixels)
    return out


# Plan -----------------------------------------------------------------------------------------


def plan(profile: str) -> Sequence[Mapping[str, Any]]:
    """Return one image of each style, the series, its controls, and ten variations."""
    return list(_points(profile))


def _points(profile: str) -> Iterator[Mapping[str, Any]]:
    if profile == "smoke":
        yield {"shares": (0.0, 0.4, 0.8), "n_variations": 2, "examples": True, "seed": 0}
        return
    large = (
        {"size": 512} if profile == "paper" else {"size": 256, "picture_size": 256, "steps": 100}
    )
    yield {"target": "basis", "shares": (0.0, 1.0), "examples": True, **large, "seed": 0}
    for seed in range(3):
        yield {"target": "basis", "shares": SHARES, "seed": seed}
    for target in ("basis, PSD", "basis, rotated", "basis, blended", "mean", "crop"):
        yield {"target": target, "shares": SHARES, "seed": 0}
    for target in ("basis", "basis, blended"):
        yield {"target": target, "shares": (0.4,), "n_variations": 10, "seed": 0}


_PAPER = {
    "weights": "vgg19",
    "layers": ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"),
    "content_layer": "conv4_2",
    "size": 512,
    "picture_size": 640,
    "crop_size": 320,
    "n_crops": 200,
    "steps": 500,
}
_SMOKE = {
    "styles": "photos",
    "weights": "random",
    "layers": ("conv1_1", "conv2_1"),
    "content_layer": "conv1_2",
    "size": 32,
    "picture_size": 52,
    "crop_size": 32,
    "n_crops": 20,
    "steps": 12,
}

EXPERIMENT = Experiment(
    name="gmm-basis/style",
    title="Style transfer with Gram matrices sampled from one basis density per entry",
    config=Style,
    run=run,
    defaults={"smoke": _SMOKE, "laptop": {}, "paper": _PAPER},
    plan=plan,
)
