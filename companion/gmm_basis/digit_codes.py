"""Digits, and the autoencoder whose codes are learned."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from companion.gmm_basis.digit_reader import Reader
from mixflow.datasets import load_digit_images, load_mnist
from mixflow.training import LoopSettings, Objective, fit
from mixflow.training.checkpoints import digest

LARGEST = {"mnist": 255, "digits": 16}  # value of a pixel full of ink
CHANNELS, HIDDEN = (16, 32), 128
LEARNING_RATE, BATCH = 2e-3, 128


@dataclass(frozen=True)
class Digits:
    """Images (N, 1, H, W) in [0, 1] with their digits (N,), by who may look at them.

    Attributes
    ----------
    x, y
        The autoencoder's, whose codes the densities are learned from.
    x_discriminator, y_discriminator, x_judge, y_judge
        The discriminator's and the judge's: none belongs to both.
    x_test, y_test
        What generated digits are compared with.
    """

    x: np.ndarray
    y: np.ndarray
    x_discriminator: np.ndarray
    y_discriminator: np.ndarray
    x_judge: np.ndarray
    y_judge: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def draw_digits(dataset: str, seed: int, *, n_train: int, n_other: int) -> Digits:
    """Divide the training images at random; the test images are all.

    Parameters
    ----------
    dataset
        "mnist" or "digits".
    seed
        Of the division.
    n_train
        Images of the autoencoder.
    n_other
        Images of the discriminator, and as many of the judge. Where the images do not suffice
        for all three, these are among the autoencoder's; never are they the same.

    Raises
    ------
    ValueError
        If there are not so many images.
    """
    split = load_mnist() if dataset == "mnist" else load_digit_images()
    order = np.random.default_rng(seed).permutation(len(split.x_train))
    if max(n_train, 2 * n_other) > len(order):
        raise ValueError(
            f"{dataset} has {len(order)} training images: n_train={n_train} and twice "
            f"n_other={n_other} must each be at most that"
        )
    parts = order[:n_train], order[-2 * n_other : -n_other], order[-n_other:]
    pairs = [(split.x_train[rows], split.y_train[rows]) for rows in parts]
    arrays = [a for x, y in (*pairs, (split.x_test, split.y_test)) for a in (_unit(x, dataset), y)]
    return Digits(*arrays)


def _unit(x: np.ndarray, dataset: str) -> np.ndarray:
    return (x / LARGEST[dataset]).astype(np.float32)


class Autoencoder(nn.Module):
    """Map images to codes and back, by two convolutions and two dense layers each way.

    Parameters
    ----------
    side
        Height and width of the images, a multiple of 4.
    latent_size
        d, the length of a code.
    """

    def __init__(self, side: int, latent_size: int) -> None:
        super().__init__()
        first, second = CHANNELS
        shape = (second, side // 4, side // 4)
        size = int(np.prod(shape))
        self.encoder = nn.Sequential(
            nn.Conv2d(1, first, 4, 2, 1), nn.ReLU(),
            nn.Conv2d(first, second, 4, 2, 1), nn.ReLU(), nn.Flatten(),
            nn.Linear(size, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, latent_size),
        )  # fmt: skip
        self.decoder = nn.Sequential(
            nn.Linear(latent_size, HIDDEN), nn.ReLU(),
            nn.Linear(HIDDEN, size), nn.ReLU(), nn.Unflatten(1, shape),
            nn.ConvTranspose2d(second, first, 4, 2, 1), nn.ReLU(),
            nn.ConvTranspose2d(first, 1, 4, 2, 1), nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Return reconstructions (N, 1, H, W)."""
        out: Tensor = self.decoder(self.encoder(x))
        return out

    @torch.no_grad()
    def encode(self, x: np.ndarray) -> np.ndarray:
        """Return codes in float64: (N, 1, H, W) -> (N, d)."""
        return self._through(self.encoder, x).astype(np.float64)

    @torch.no_grad()
    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Return images in [0, 1]: (N, d) -> (N, 1, H, W)."""
        return self._through(self.decoder, codes)

    def _through(self, network: nn.Module, values: np.ndarray) -> np.ndarray:
        device = next(self.parameters()).device
        rows = torch.as_tensor(values, dtype=torch.float32, device=device).split(500)
        return torch.cat([network(part) for part in rows]).cpu().numpy()


class Reconstruction(Objective):
    r"""Squared error of the image, plus alpha times a frozen classifier's cross-entropy (eq. 10).

    .. math:: \|x - \hat x\|^2 - \alpha \log p(y \mid \hat x)

    The squared error is the sum over pixels: against their mean, alpha is larger by their number.

    Parameters
    ----------
    module
        The autoencoder.
    x, y
        Images (N, 1, H, W) and their digits (N,), on the module's device.
    discriminator
        The classifier, trained beforehand.
    alpha
        Its weight; 0 leaves it out.
    """

    def __init__(
        self, module: Autoencoder, x: Tensor, y: Tensor, discriminator: Reader, alpha: float
    ) -> None:
        self.module, self.x, self.y = module, x, y
        self.discriminator, self.alpha = discriminator, alpha
        self.steps_per_epoch = max(1, round(len(x) / BATCH))

    def plan(self) -> None:
        """Draw the epoch's batches: every image once."""
        order = torch.randperm(len(self.x), generator=self.generator, device=self.x.device)
        self.batches = order.tensor_split(self.steps_per_epoch)

    def loss(self, step: int) -> Tensor:
        """Return the mean over the batch."""
        rows = self.batches[step]
        x = self.x[rows]
        guess = self.module(x)
        loss = (guess - x).square().flatten(1).sum(1).mean()
        if self.alpha:
            logits = self.discriminator.logits(guess)
            loss = loss + self.alpha * F.cross_entropy(logits, self.y[rows])
        return loss

    def identity(self) -> dict[str, Any]:
        """Return alpha, and digests of images, digits and the discriminator."""
        network = self.discriminator.network.state_dict()
        return {"alpha": self.alpha, "data": digest({"x": self.x, "y": self.y, **network})}


def train_autoencoder(
    digits: Digits,
    discriminator: Reader,
    *,
    latent_size: int,
    alpha: float,
    epochs: int,
    seed: int,
    device: str = "cpu",
    checkpoint: Path | None = None,
    progress: bool = False,
) -> Autoencoder:
    """Return a trained autoencoder, frozen; goes on from a checkpoint where there is one.

    Parameters
    ----------
    digits, discriminator
        Images, and the classifier that the loss asks.
    latent_size, alpha, epochs
        d; weight of the classifier; passes over the images.
    seed, device, checkpoint, progress
        Seed of the start and the batches; torch device; folder; show a bar.

    Raises
    ------
    KeyboardInterrupt
        If the training was interrupted, so that no half-trained model is used.
    """
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        model = Autoencoder(digits.x.shape[-1], latent_size).to(device)
    x, y = (torch.as_tensor(a, device=device) for a in (digits.x, digits.y))
    settings = LoopSettings(
        max_epochs=epochs,
        seed=seed,
        learning_rate=LEARNING_RATE,
        checkpoint=checkpoint,
        progress=progress,
    )
    done = fit(Reconstruction(model, x, y, discriminator, alpha), settings)
    if done.interrupted:
        raise KeyboardInterrupt
    return model.eval().requires_grad_(False)
