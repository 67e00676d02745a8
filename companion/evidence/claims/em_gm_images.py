"""Claims of EM-GM on images: figures 3 to 6."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from companion.evidence.answers import em_gm
from companion.evidence.claims import statistics, trends
from companion.evidence.claims.base import Claim, columns, levels, values
from companion.evidence.claims.statistics import Test
from companion.evidence.evidence import Answer, Deviation, Row, Rows, less
from companion.evidence.verdicts import TOLERANCES

MODELS = ("GenMM", "LatMM")
SETS = {"mnist": "figure-4", "fashion-mnist": "figure-5"}
IN_TABLE, IN_FIGURES = (1, 3, 5, 7), (1, 3, 5, 7, 9)
# Measure of samples -> whether better is higher.
QUALITY = {"IS": True, "FID root": False, "MMD": False, "1NN": False}
SURE, MOST = 0.9, 0.5  # a sample looks like a class if the network is this sure; so many must
ABOUT = 1.1  # LatMM is about as good if its Fréchet distance is at most this times GenMM's
FEWER_IMAGES = less("10,000 training images; the paper 60,000")
_FIGURES = "em-gm/figures-3-6"


def _ours(
    metrics: Sequence[str],
    dataset: str,
    model: str,
    experiment: str = em_gm.TABLE_1,
    extra: tuple[Deviation, ...] = (),
) -> Answer:
    """Return rows of a model at the published size, else at the laptop's.

    LatMM's are those of the single flow as well, which is what it is at K = 1.
    """
    single = {"dataset": (dataset,), "model": ("GenMM",), "setting": ("K=1",)}
    choices = tuple(
        Rows(
            experiment,
            tuple(metrics),
            profile,
            where={"dataset": (dataset,), "model": (model,)},
            also=single if model == "LatMM" else {},
            deviations=(*em_gm.of_images(profile, 1 if model == "LatMM" else 0), *extra),
        )
        for profile in em_gm.SIZES
    )
    return Answer(our_recipe=choices, absent={"as_published": em_gm.NO_PUBLISHED_IMAGES})


def _both(answer: Answer) -> Answer:
    """Return the same rows of either model."""
    choices = (replace(c, where={**c.where, "model": MODELS}, also={}) for c in answer.our_recipe)
    return replace(answer, our_recipe=tuple(choices))


# Figure 3 -----------------------------------------------------------------------------------------


def falls_with_epoch(rows: Sequence[Row], model: str) -> Test:
    """Test whether every curve of a model falls: rank correlations, epochs shuffled."""
    correlation, points = (
        {(r.seed, r.k): r.value for r in rows if r.metric == metric and _of(r, model)}
        for metric in ("curve_rank_correlation", "curve_points")
    )
    both = sorted(correlation.keys() & points)
    return trends.falling([(correlation[key], int(points[key])) for key in both])


def _of(row: Row, model: str) -> bool:
    return row.model == model or (row.k == 1 and row.model == "GenMM")


def falls_with_k(rows: Sequence[Row], model: str) -> Test:
    """Test whether NLL falls over the K of figure 3; flat where it moves by no tolerance."""
    blocks = levels(rows, ["nll_train"], IN_TABLE, model)
    small = TOLERANCES["nll_nat_per_pixel"].absolute
    flat = bool(blocks) and all(np.ptp(block) <= small for block in blocks)
    return trends.trend(blocks, [False], flat)


def _figure_3(dataset: str, model: str) -> list[Claim]:
    same = {"paper": "em-gm", "item": "figure-3", "dataset": dataset, "model": model}
    return [
        Claim(
            **same,
            name="NLL falls with the epoch",
            says="NLL falls with training epochs",
            text="NLL of the training images falls from E-step to E-step: for every K and seed "
            "the rank correlation with the epoch is as low as by chance in 5 % of orders",
            test=partial(falls_with_epoch, model=model),
            answer=_ours(("curve_rank_correlation", "curve_points"), dataset, model, _FIGURES),
        ),
        Claim(
            **same,
            name="NLL falls with K",
            says="NLL falls with K",
            text="NLL of the training images falls with K = 1, 3, 5, 7, by Page's test over seeds, "
            "the K of a seed shuffled; it does not where it rises by the same test, or moves by at "
            "most .01 nat/pixel",
            test=partial(falls_with_k, model=model),
            answer=_ours(("nll_train",), dataset, model),
            ours="flat is at most .01 nat/pixel, set 2026-11-28",
        ),
    ]


# Figures 4 and 5 ----------------------------------------------------------------------------------


def better_with_k(rows: Sequence[Row], model: str) -> Test:
    """Test whether all four measures improve with K; flat where one never leaves its own noise."""
    blocks = levels(rows, list(QUALITY), IN_FIGURES, model)
    flat = [_within_range(rows, metric, model) for metric in QUALITY]
    return trends.trend(blocks, list(QUALITY.values()), any(flat))


def _within_range(rows: Sequence[Row], metric: str, model: str) -> bool:
    """Say whether every K's mean lies in the range of K = 1's trials, in every seed."""
    ends = [metric, f"{metric} low", f"{metric} high"]
    blocks = [block for block in levels(rows, ends, IN_FIGURES, model) if block.shape[1] > 1]
    return bool(blocks) and all(
        bool(((mean >= low[0]) & (mean <= high[0])).all()) for mean, low, high in blocks
    )


def saturates(rows: Sequence[Row], model: str) -> Test:
    """Test whether every measure's gain from K = 5 to 7 is smaller than that from 1 to 3."""
    seeds = [b for b in levels(rows, list(QUALITY), IN_TABLE, model) if b.shape[1] == len(IN_TABLE)]
    signs = np.where(list(QUALITY.values()), 1.0, -1.0)
    gains = [signs[:, None] * np.diff(block, axis=1) for block in seeds]
    return statistics.above(np.array([gain[:, 0] - gain[:, 2] for gain in gains]))


def falls_at_nine(rows: Sequence[Row]) -> Test:
    """Test whether IS at K = 9 is below that at K = 7."""
    table = columns([values(rows, setting=f"K={k}", metric="IS", model="GenMM") for k in (7, 9)])
    return statistics.above(table[:, 0] - table[:, 1])


def _figure_4(dataset: str, model: str) -> list[Claim]:
    same = {"paper": "em-gm", "item": SETS[dataset], "dataset": dataset, "model": model}
    every = [f"{m}{end}" for m in QUALITY for end in ("", " low", " high")]
    answer = _ours(every, dataset, model, extra=(FEWER_IMAGES,))
    return [
        Claim(
            **same,
            name="samples improve with K",
            says="IS rises with K; FID, MMD and 1NN fall",
            text="with K = 1, 3, 5, 7, 9 IS rises and root FID, MMD and 1NN fall, each by Page's "
            "test over seeds, the K of a seed shuffled; not so where one of them goes the other "
            "way, or stays within the range of the five trials at K = 1",
            test=partial(better_with_k, model=model),
            answer=answer,
        ),
        Claim(
            **same,
            name="the gain saturates",
            says="the measures saturate",
            text="for each of the four measures the gain from K = 5 to 7 is smaller than that from "
            "K = 1 to 3 (one-sided t test over seeds)",
            test=partial(saturates, model=model),
            answer=answer,
        ),
    ]


_FALLS_AT_NINE = Claim(
    paper="em-gm",
    item="figure-4",
    dataset="mnist",
    model="GenMM",
    name="IS falls at K=9",
    says="GenMM's IS falls at K = 9",
    text="IS at K = 9 is below that at K = 7 (one-sided t test over seeds)",
    test=falls_at_nine,
    answer=_ours(("IS",), "mnist", "GenMM", extra=(FEWER_IMAGES,)),
)


# Figure 6 -----------------------------------------------------------------------------------------


def look_like_a_class(rows: Sequence[Row], model: str) -> Test:
    """Test whether most samples at the largest K are read with confidence."""
    n, sure = (
        {(r.seed, r.k): r.value for r in rows if r.metric == metric and r.model == model}
        for metric in ("samples_read", "samples_read_surely")
    )
    largest = {seed: max(k for s, k in n if s == seed) for seed, _ in n}
    counts = [(sure[key], n[key]) for key in sorted(largest.items()) if key in sure]
    test = statistics.share_above(
        round(sum(s for s, _ in counts)), round(sum(c for _, c in counts)), MOST
    )
    return replace(test, null=f"each sample with probability {MOST:g}")


def about_as_good(rows: Sequence[Row]) -> Test:
    """Test whether LatMM's Fréchet distance is about GenMM's, over all K > 1 and seeds."""
    of = {
        model: {(r.seed, r.k): r.value for r in rows if r.model == model and r.k > 1}
        for model in MODELS
    }
    both = sorted(of["LatMM"].keys() & of["GenMM"].keys())
    ratios = [math.log(of["LatMM"][key] / of["GenMM"][key]) for key in both]
    test = statistics.above([math.log(ABOUT) - ratio for ratio in ratios])
    mean = math.exp(float(np.mean(ratios))) if ratios else math.nan
    return replace(test, statistic=mean, threshold=ABOUT, null="a ratio of the threshold")


def _figure_6(dataset: str) -> list[Claim]:
    same = {"paper": "em-gm", "item": "figure-6", "dataset": dataset}
    what = "digits" if dataset == "mnist" else "garments"
    read = ("samples_read", "samples_read_surely")
    claims = [
        Claim(
            **same,
            model=model,
            name=f"samples look like {what}",
            says=f"samples look like {what}",
            text="of the kept samples at the largest K more than half are read as one class with a "
            "probability of .9 by the feature network (exact binomial test over samples)",
            test=partial(look_like_a_class, model=model),
            answer=_ours(read, dataset, model, _FIGURES, (FEWER_IMAGES,)),
            ours="half, and .9, set 2026-11-21",
        )
        for model in MODELS
    ]
    about = Claim(
        **same,
        model="LatMM",
        name="about as good as GenMM",
        says="samples of LatMM are about as good as GenMM's",
        text="LatMM's Fréchet distance is below 1.1 times GenMM's, on average over K = 3, 5, 7, 9 "
        "and seeds (one-sided t test of the log ratio over both)",
        test=about_as_good,
        answer=_both(_ours(("FID",), dataset, "LatMM", extra=(FEWER_IMAGES,))),
        ours="1.1, set 2026-11-21",
    )
    return [*claims, about]


CLAIMS = [
    *(claim for dataset in SETS for model in MODELS for claim in _figure_3(dataset, model)),
    *(claim for dataset in SETS for model in MODELS for claim in _figure_4(dataset, model)),
    _FALLS_AT_NINE,
    *(claim for dataset in SETS for claim in _figure_6(dataset)),
]
