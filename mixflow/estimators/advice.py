"""What a table may have that spoils a density without an error: warned of, with what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from mixflow.basis.spacing import distinct
from mixflow.modes import warn_caller

SAMPLES = 10_000  # rows that are looked at
OFTEN = 10  # times that each value of a discrete column comes, on average
NARROW = 1e-4  # sd of a direction that counts as none, in sds of the columns
WIDER = 5.0  # sd over that of the middle half, in which a few cells far out show
REPEATED = 0.1  # share of rows that came before
FEATURES = 1000  # with more the search for directions takes too long


def warn_of_table(x: np.ndarray, name: Callable[[int], str]) -> None:
    """Warn of cells far out, discrete and collinear columns, and repeated rows of (N, D).

    ``name`` says what to call a column.
    """
    some = x[:: max(1, len(x) // SAMPLES)]
    for advice in (*_outliers(some, x, name), *_discrete(some, name), *_collinear(some, name)):
        warn_caller(advice)


def _outliers(some: np.ndarray, x: np.ndarray, name: Callable[[int], str]) -> Iterator[str]:
    quartiles = np.quantile(some, (0.25, 0.75), axis=0)
    middle = (quartiles[1] - quartiles[0]) / 1.349  # the sd of a normal distribution
    sd = x.std(axis=0)
    ratio = np.divide(sd, middle, out=np.zeros_like(sd), where=middle > 0)
    if ratio.max(initial=0) > WIDER:
        d = int(ratio.argmax())
        far = x[np.abs(x[:, d] - np.median(some[:, d])).argmax(), d]
        yield (
            f"{name(d)} has values far out, such as {far:.6g}: its sd is {ratio[d]:.3g} times that "
            f"of its middle half ({int((ratio > WIDER).sum())} such in all), and what is scaled by "
            "it loses its detail; correct or leave out such rows, code missing values as such, or "
            "take logarithms or ranks (scikit-learn's QuantileTransformer does)"
        )


def _discrete(x: np.ndarray, name: Callable[[int], str]) -> Iterator[str]:
    numbers = np.array([len(distinct(column)[0]) for column in x.T])
    few = np.flatnonzero(numbers * OFTEN <= len(x))
    if len(few):
        yield (
            f"{name(few[0])} has {numbers[few[0]]} distinct values in {len(x)} rows ({len(few)} "
            "such in all): its density is infinite at them; add noise as wide as their distance, "
            "or leave it out"
        )
        return
    # Equal rows have equal sums, and hardly any others have.
    keys = x @ np.random.default_rng(0).normal(size=x.shape[1])
    share = 1 - len(np.unique(keys)) / len(x)
    if share > REPEATED:
        yield (
            f"{share:.0%} of the rows repeat others: a density narrows down on them; leave "
            "repetitions out, or give them as sample_weight"
        )


def _collinear(x: np.ndarray, name: Callable[[int], str]) -> Iterator[str]:
    if not 1 < x.shape[1] <= min(FEATURES, len(x) - 1):
        return
    sd = x.std(axis=0)
    if not (sd > 0).all():
        return
    z = (x - x.mean(axis=0)) / sd
    variance, axes = np.linalg.eigh(z.T @ z / len(z))
    if variance[0] < NARROW**2:
        involved = np.flatnonzero(np.abs(axes[:, 0]) > 0.1 * np.abs(axes[:, 0]).max())
        names = ", ".join(map(name, involved[:5])) + (", ..." if len(involved) > 5 else "")
        yield (
            f"{names} are collinear ({int((variance < NARROW**2).sum())} such directions): a "
            "density has no width there; leave one of them out, or take principal components"
        )
