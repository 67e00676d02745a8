"""The row of EM-GM's figures 4 and 5: every measure of generated images, over trials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from companion.em_gm.images.feature_network import Extracted
from mixflow.metrics import (
    density_and_coverage,
    frechet_distance,
    inception_score,
    maximum_mean_discrepancy,
    nearest_neighbor_accuracy,
    precision_and_recall,
)

# Metric of a row -> what it is, in the order of the figures; arrows say what is better.
METRICS: Mapping[str, str] = {
    "IS": "inception score, higher is better",
    "FID root": "root of the Frechet distance, the paper's FID; lower is better",
    "FID": "Frechet distance, lower is better",
    "MMD": "maximum mean discrepancy, lower is better",
    "1NN": "leave-one-out accuracy of 1-nearest-neighbour, 0.5 is best",
    "1NN real": "the same, real images alone",
    "1NN generated": "the same, generated images alone",
    "precision": "share of generated images amid real ones, higher is better",
    "recall": "share of real images amid generated ones, higher is better",
    "density": "how densely real images lie around generated ones, 1 is what real ones give",
    "coverage": "share of real images with a generated one near, higher is better",
}
N_SAMPLES, N_TRIALS = 1000, 5  # of the paper


def sample_quality(
    real: Extracted,
    generated: Extracted,
    *,
    n_samples: int = N_SAMPLES,
    n_trials: int = N_TRIALS,
    seed: int = 0,
) -> pd.DataFrame:
    """Measure generated against real images in trials that share no image.

    Parameters
    ----------
    real
        Of :meth:`feature_network.FeatureNetwork.extract`, for at least `n_samples` x `n_trials`
        images. Take images that the network was not trained on: its features of those are closer
        to ideal than any new image's.
    generated
        The same for the model's samples, at least as many.
    n_samples, n_trials
        Images of each kind in a trial, and trials: 1000 and 5 in the paper.
    seed
        Draws which images go into which trial.

    Returns
    -------
    pandas.DataFrame
        Columns trial, metric (those of ``METRICS``), value.

    Raises
    ------
    ValueError
        Too few images, fewer than 6 samples (density looks at 5 neighbours) or than 1 trial.

    Notes
    -----
    FID and IS depend on the number of samples: compare rows of equal `n_samples`, with
    :func:`real_floor` of the same.
    """
    _check_enough(len(real), "real", n_samples, n_trials)
    _check_enough(len(generated), "generated", n_samples, n_trials)
    rng = np.random.default_rng(seed)
    trials = zip(
        _trials(rng, len(real), n_samples, n_trials),
        _trials(rng, len(generated), n_samples, n_trials),
        strict=True,
    )
    return pd.DataFrame(
        [
            {"trial": trial, "metric": metric, "value": value}
            for trial, (rows, drawn) in enumerate(trials)
            for metric, value in _measures(real[rows], generated[drawn]).items()
        ]
    )


def real_floor(
    real: Extracted,
    *,
    n_samples: int = N_SAMPLES,
    n_trials: int = N_TRIALS,
    seed: int = 0,
) -> pd.DataFrame:
    """Measure real against other real images: what a perfect model would get.

    Parameters
    ----------
    real
        For at least 2 x `n_samples` x `n_trials` images.
    n_samples, n_trials, seed
        As for :func:`sample_quality`.

    Returns
    -------
    pandas.DataFrame
        As of :func:`sample_quality`.

    Raises
    ------
    ValueError
        Too few images.
    """
    _check_enough(len(real), "real", 2 * n_samples, n_trials)
    order = np.random.default_rng(seed).permutation(len(real))
    first, second = order[: len(real) // 2], order[len(real) // 2 :]
    return sample_quality(
        real[first], real[second], n_samples=n_samples, n_trials=n_trials, seed=seed
    )


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Return mean, low and high over trials: one line a metric, in the order of ``METRICS``."""
    values = rows.groupby("metric")["value"]
    table = pd.DataFrame({"mean": values.mean(), "low": values.min(), "high": values.max()})
    return table.reindex([metric for metric in METRICS if metric in table.index])


def _measures(real: Extracted, generated: Extracted) -> dict[str, float]:
    x, y = real.features, generated.features
    neighbors = nearest_neighbor_accuracy(x, y)
    fidelity, quality = precision_and_recall(x, y), density_and_coverage(x, y)
    return {
        "IS": inception_score(generated.probabilities),
        "FID root": frechet_distance(x, y, root=True),
        "FID": frechet_distance(x, y),
        "MMD": maximum_mean_discrepancy(x, y),
        "1NN": neighbors.overall,
        "1NN real": neighbors.real,
        "1NN generated": neighbors.generated,
        "precision": fidelity.precision,
        "recall": fidelity.recall,
        "density": quality.density,
        "coverage": quality.coverage,
    }


def _trials(
    rng: np.random.Generator, n: int, n_samples: int, n_trials: int
) -> Iterator[NDArray[np.int64]]:
    """Yield disjoint random rows, (n_samples,) for each trial."""
    chosen = rng.permutation(n)[: n_samples * n_trials]
    yield from chosen.reshape(n_trials, n_samples)


def _check_enough(n: int, kind: str, n_samples: int, n_trials: int) -> None:
    if n_samples < 6 or n_trials < 1:
        raise ValueError(
            f"n_samples must be 6 or more and n_trials 1 or more, got {n_samples} and {n_trials}"
        )
    if n < n_samples * n_trials:
        raise ValueError(
            f"{n_trials} trials of {n_samples} {kind} images each need {n_samples * n_trials}, "
            f"got {n}; give more or ask for fewer"
        )
