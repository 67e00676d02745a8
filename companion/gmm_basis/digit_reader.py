"""The classifier of digits: frozen, it is the discriminator of an autoencoder, or the judge."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

BATCH, RATE, DROPOUT = 64, 2e-3, 0.3
SHIFT = 1  # pixels, at most, by which the images of a batch move
N_CLASSES = 10


class Reader:
    """A small convolutional classifier that also gives logits to climb and features to compare.

    Parameters
    ----------
    width
        Channels of the first convolution; features are four times as many.
    n_steps
        Steps of Adam, with a batch of 64 in each.
    seed
        Seeds weights, batches and shifts.
    """

    def __init__(self, width: int, n_steps: int, *, seed: int) -> None:
        self.width, self.n_steps, self.seed = width, n_steps, seed

    def fit(self, x: np.ndarray, y: np.ndarray, *, device: str = "cpu") -> Reader:
        """Learn from images (N, 1, H, W) in [0, 1] and their digits (N,)."""
        self.device = device
        images, digits = self._tensor(x), torch.as_tensor(y, device=device)
        with torch.random.fork_rng([]):
            torch.manual_seed(self.seed)
            self.network = _network(self.width, x.shape[-1]).to(device)
            self._train(images, digits)
        self.network.eval().requires_grad_(False)
        return self

    def _train(self, images: Tensor, digits: Tensor) -> None:
        adam = torch.optim.Adam(self.network.parameters(), RATE, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(adam, RATE, total_steps=self.n_steps)
        size = min(BATCH, len(images))
        for _ in range(self.n_steps):
            rows = torch.randint(len(images), (size,)).to(images.device)
            loss = F.cross_entropy(self.network(_shifted(images[rows])), digits[rows])
            adam.zero_grad()
            loss.backward()
            adam.step()
            schedule.step()

    def logits(self, x: Tensor) -> Tensor:
        """Return logits, with a gradient: (N, 1, H, W) -> (N, 10)."""
        out: Tensor = self.network(x)
        return out

    def features(self, x: np.ndarray) -> np.ndarray:
        """Return what the last layer sees: (N, 1, H, W) -> (N, F)."""
        hidden = self.network[:-1]
        parts = [hidden(part) for part in self._tensor(x).split(500)]
        out: np.ndarray = torch.cat(parts).double().cpu().numpy()
        return out

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Return the probability of every digit, from features: (N, F) -> (N, 10)."""
        out: np.ndarray = self.network[-1](self._tensor(features)).double().softmax(1).cpu().numpy()
        return out

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the most probable digit: (N, 1, H, W) -> (N,)."""
        return self.probabilities(self.features(x)).argmax(1)

    def _tensor(self, x: np.ndarray) -> Tensor:
        return torch.as_tensor(x, dtype=torch.float32, device=self.device)


def _network(width: int, side: int) -> nn.Sequential:
    size = 2 * width * (side // 4) ** 2
    return nn.Sequential(
        nn.Conv2d(1, width, 4, 2, 1), nn.ReLU(),
        nn.Conv2d(width, 2 * width, 4, 2, 1), nn.ReLU(),
        nn.Flatten(), nn.Dropout(DROPOUT),
        nn.Linear(size, 4 * width), nn.ReLU(), nn.Dropout(DROPOUT),
        nn.Linear(4 * width, N_CLASSES),
    )  # fmt: skip


def _shifted(x: Tensor) -> Tensor:
    """Move all images of a batch by the same random number of pixels."""
    row, column = torch.randint(2 * SHIFT + 1, (2,)).tolist()
    height, width = x.shape[2:]
    return F.pad(x, (SHIFT,) * 4)[:, :, row : row + height, column : column + width]
