"""Images of digits of which few have labels, and the network that the labels alone teach."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mixflow.datasets import load_digit_images, load_mnist
from mixflow.estimators.networks import posterior_cnn
from mixflow.training.vi import shifted

# Published values of a pixel: 0 ... LEVELS - 1.
LEVELS = {"mnist": 256, "digits": 17}
CLASSIFIER_BATCH, CLASSIFIER_RATE, CLASSIFIER_DROPOUT = 64, 2e-3, 0.3


@dataclass(frozen=True)
class DigitImages:
    """Images (N, 1, H, W) in [0, 1), their digits (N,), and what a model may know of them.

    Attributes
    ----------
    labels
        Digit of the labelled images, which come first, -1 for the others, (N,).
    x_other, y_other
        Further training images that no model sees: they teach the judge of samples.
    """

    x: np.ndarray
    y: np.ndarray
    labels: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    x_other: np.ndarray
    y_other: np.ndarray

    @property
    def known(self) -> np.ndarray:
        """Which images have a label, (N,)."""
        return self.labels >= 0


def draw(
    dataset: str, seed: int, *, n_train: int, n_labelled_per_class: int, n_other: int, pool: int
) -> DigitImages:
    """Draw the training images and those with labels; the test images are always all.

    Parameters
    ----------
    dataset
        "mnist" or "digits".
    seed
        Draws images, labels, and the noise that makes pixels continuous.
    n_train, n_labelled_per_class, n_other
        How many images a model sees, for how many of each digit it is told which, and how
        many further ones the judge sees.
    pool
        Side of the square of pixels that becomes one, by its mean.

    Raises
    ------
    ValueError
        If there are not so many images.
    """
    split = load_mnist() if dataset == "mnist" else load_digit_images()
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(split.x_train))
    if n_train + n_other > len(order) or 10 * n_labelled_per_class > n_train:
        raise ValueError(
            f"{dataset} has {len(order)} training images: {n_train} + {n_other} of them, with "
            f"{n_labelled_per_class} labels for each of 10 digits, is too many"
        )
    seen, other = order[:n_train], order[n_train : n_train + n_other]
    digits = split.y_train[seen]
    known = np.concatenate([np.flatnonzero(digits == c)[:n_labelled_per_class] for c in range(10)])
    rest = np.setdiff1d(np.arange(n_train), known)
    seen = seen[np.concatenate([known, rest]).astype(int)]
    y = split.y_train[seen]

    def continuous(images: np.ndarray) -> np.ndarray:
        x = (images + rng.random(images.shape)) / LEVELS[dataset]
        n, channels, height, width = x.shape
        blocks = x.reshape(n, channels, height // pool, pool, width // pool, pool)
        pooled: np.ndarray = blocks.mean((3, 5))
        return pooled

    return DigitImages(
        x=continuous(split.x_train[seen]),
        y=y,
        labels=np.where(np.arange(n_train) < len(known), y, -1),
        x_test=continuous(split.x_test),
        y_test=split.y_test,
        x_other=continuous(split.x_train[other]),
        y_other=split.y_train[other],
    )


class Classifier:
    """The posterior network of a VMoNF, taught by labels alone.

    Parameters
    ----------
    n_features
        Width, as ``posterior_features`` of :class:`mixflow.VMoNF`.
    n_steps
        Steps of Adam, with a batch of 64 in each.
    shift
        Pixels, at most, by which images move at random.
    noise
        Sd of Gaussian noise on standardised pixels.
    seed
        Seeds weights, batches and shifts.
    """

    def __init__(
        self, n_features: int, n_steps: int, *, shift: int, noise: float, seed: int
    ) -> None:
        self.n_features, self.n_steps = n_features, n_steps
        self.shift, self.noise, self.seed = shift, noise, seed

    def fit(self, x: np.ndarray, y: np.ndarray, *, device: str = "cpu") -> Classifier:
        """Learn from images (N, C, H, W) and their digits (N,)."""
        self.location, self.scale, self.device = x.mean(), x.std(), device
        images, digits = self._tensor(x), torch.as_tensor(y, device=device)
        with torch.random.fork_rng([]):
            torch.manual_seed(self.seed)
            self.network = posterior_cnn(
                x.shape[1:], 10, hidden_features=self.n_features, dropout=CLASSIFIER_DROPOUT
            ).to(device)
            self._train(images, digits)
        self.network.eval().requires_grad_(False)
        return self

    def _train(self, images: Tensor, digits: Tensor) -> None:
        adam = torch.optim.Adam(self.network.parameters(), CLASSIFIER_RATE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            adam, CLASSIFIER_RATE, total_steps=self.n_steps
        )
        for _ in range(self.n_steps):
            rows = torch.randint(len(images), (min(CLASSIFIER_BATCH, len(images)),))
            batch = shifted(images[rows], self.shift)
            batch = batch + self.noise * torch.randn(batch.shape).to(batch)
            loss = F.cross_entropy(self.network(batch), digits[rows])
            adam.zero_grad()
            loss.backward()
            adam.step()
            schedule.step()

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """Return the probability of every digit: (N, C, H, W) -> (N, 10)."""
        parts = self._tensor(x).split(1000)
        logits = torch.cat([self.network(part) for part in parts]).double()
        out: np.ndarray = logits.softmax(1).cpu().numpy()
        return out

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the most probable digit, (N,)."""
        return self.predict_proba(x).argmax(1)

    def parameters(self) -> int:
        """Return how many numbers were learned."""
        return sum(p.numel() for p in self.network.parameters())

    def _tensor(self, x: np.ndarray) -> Tensor:
        return torch.as_tensor((x - self.location) / self.scale, dtype=torch.float32).to(
            self.device
        )
