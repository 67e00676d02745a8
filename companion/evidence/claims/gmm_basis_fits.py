"""Claims of GMM-basis on densities: what figures 1 to 6 show, and which width is best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from companion.evidence.answers.gmm_basis import NOTHING_TO_CHOOSE, OUR_TARGETS, OWN_WIDTH
from companion.evidence.claims import statistics
from companion.evidence.claims.base import Claim, Rule, columns, paired, values
from companion.evidence.claims.statistics import SEED, Test
from companion.evidence.evidence import Answer, Deviation, Row, Rows

FOLLOWS = 0.2  # a fit follows its target when L is below this
OVERLAP = 0.5  # fits almost overlap when their L1 distance is below this share of their error
NEAR_UNIFORM = 0.05  # the start is close to uniform when L is below this
_SET = "set 2026-11-20"
_MIXED = "8 random Normal/T/Uniform"


# Figures 1 to 6 -----------------------------------------------------------------------------------


def crosses_twice(rows: Sequence[Row]) -> Test:
    """Test whether regions are crossed twice more often at sigma = r than at 3 r."""
    return paired(rows, {"setting": "sigma=1r"}, {"setting": "sigma=3r"})


def is_nearer(rows: Sequence[Row]) -> Test:
    """Test whether the fit at sigma = 3 r is nearer to the target and crosses it less often."""
    parts = [
        paired(rows, {"metric": m, "setting": "sigma=1r"}, {"metric": m, "setting": "sigma=3r"})
        for m in ("L1", "regions_crossed_twice")
    ]
    return statistics.all_of(parts)


def starts_uniform(rows: Sequence[Row]) -> Test:
    """Test whether the start is nearer to uniform than the limit; it is not random.

    Weights drawn at random, uniformly from all that sum to 1, are how near the start comes by
    luck: L of n weights is the mean of |w - 1/n| over cells.
    """
    worst = columns([values(rows, setting=f"sigma={t}r") for t in (1, 2, 3)]).max(1, initial=0.0)
    if not worst.size:
        return statistics.UNTOLD
    rng = np.random.default_rng(SEED)
    by_luck = np.abs(rng.dirichlet(np.ones(200), size=statistics.DRAWS) - 1 / 200).sum(1)
    chance = float((by_luck < NEAR_UNIFORM).mean())
    right = float(worst.max()) < NEAR_UNIFORM
    return Test(
        statistic=float(worst.max()),
        threshold=NEAR_UNIFORM,
        n=len(worst),
        p=chance if right else 1.0,
        against=1.0 if right else chance,
        chance=chance,
        null="200 weights drawn uniformly from all that sum to 1",
    )


def overlap_and_follow(rows: Sequence[Row]) -> Test:
    """Test whether both fits follow target 1 and are nearer to each other than to it."""
    of = {row.metric: values(rows, metric=row.metric) for row in rows}
    names = ("L_algorithm_1", "L_algorithm_2", "L1_between_the_algorithms", "L1_to_the_target")
    table = columns([of.get(name, {}) for name in names])
    parts = [FOLLOWS - table[:, 0], FOLLOWS - table[:, 1], OVERLAP * table[:, 3] - table[:, 2]]
    return statistics.above(np.stack(parts, 1))


def follows_with_sags(rows: Sequence[Row]) -> Test:
    """Test whether algorithm 2 follows target 2 and has crests or sags that it has not."""
    names = ("L_algorithm_2", "unwanted_crests_and_sags")
    table = columns([values(rows, metric=name) for name in names])
    return statistics.above(np.stack([FOLLOWS - table[:, 0], table[:, 1]], 1))


def _picture(
    number: int,
    name: str,
    says: str,
    text: str,
    test: Rule,
    metrics: tuple[str, ...],
    where: Mapping[str, tuple[str, ...]],
    ours: str = "",
    recipe_of_ours: bool = False,
) -> Claim:
    deviations: tuple[Deviation, ...] = (OUR_TARGETS, *((OWN_WIDTH,) if recipe_of_ours else ()))
    rows = (Rows("gmm-basis/figures-1-7", metrics, where=where, deviations=deviations),)
    answer = Answer(as_published=rows, absent={"our_recipe": NOTHING_TO_CHOOSE})
    if recipe_of_ours:
        why = "no fit by algorithm 1 as printed is stored"
        answer = Answer(our_recipe=rows, absent={"as_published": why})
    return Claim(
        paper="gmm-basis",
        item=f"figure-{number}",
        name=name,
        says=says,
        text=text,
        test=test,
        answer=answer,
        ours=ours,
    )


_TARGET = "target {}: 8 random {}"
_PICTURES = [
    _picture(
        1, "crossed twice in a region", "the fit crosses its target twice inside a region, at "
        "sigma = r", "regions that the fit crosses twice are more frequent at sigma = r than at "
        "sigma = 3 r, target by target (one-sided paired t test over seeds)",
        crosses_twice, ("regions_crossed_twice",), {"model": ("algorithm-2",)},
    ),
    _picture(
        2, "smoother and closer", "the same with sigma = 3 r: smoother, closer",
        "at sigma = 3 r the L1 distance from the target is smaller than at sigma = r, and regions "
        "crossed twice are fewer (one-sided paired t tests over seeds)",
        is_nearer, ("L1", "regions_crossed_twice"), {"model": ("algorithm-2",)},
    ),
    _picture(
        4, "the start is close to uniform", "the initial GMM is close to uniform",
        "L between the start and the uniform density is below .05 at sigma = r, 2 r and 3 r; "
        "nothing in it is random",
        starts_uniform, ("L_to_uniform",), {"model": ("start",)}, f".05, {_SET}",
    ),
    _picture(
        5, "the algorithms almost overlap", "target 1: the two algorithms almost overlap and "
        "follow the target", "on target 1 L of both is below .2, and their L1 distance from each "
        "other is below half of that from the target (one-sided t tests over seeds)",
        overlap_and_follow,
        ("L_algorithm_1", "L_algorithm_2", "L1_between_the_algorithms", "L1_to_the_target"),
        {"setting": (_TARGET.format(1, "Gaussians"),)}, f".2 and a half, {_SET}", True,
    ),
    _picture(
        6, "followed, with sags and crests", "target 2: edges and deep cuts are followed, with "
        "unwanted sags and crests", "on target 2 L of algorithm 2 is below .2, and it has crests "
        "or sags where the target has none (one-sided t tests over seeds)",
        follows_with_sags, ("L_algorithm_2", "unwanted_crests_and_sags"),
        {"setting": (_TARGET.format(2, "Normal/T/Uniform"),)}, f".2, {_SET}",
    ),
]  # fmt: skip


# Table 2: which width is best ---------------------------------------------------------------------


def two_is_best(rows: Sequence[Row]) -> Test:
    """Test whether L at sigma = 2 r is below those at r and 3 r."""
    table = columns([values(rows, setting=f"sigma={t}r n=200 N=5000") for t in (1, 2, 3)])
    return statistics.above(np.stack([table[:, 0] - table[:, 1], table[:, 2] - table[:, 1]], 1))


def _width(number: int) -> Claim:
    def rows(model: str, *deviations: Deviation) -> tuple[Rows, ...]:
        where = {"model": (model,), "dataset": (_MIXED,)}
        return (
            Rows("gmm-basis/table-2", ("L",), where=where, deviations=(OUR_TARGETS, *deviations)),
        )

    printed = Answer(
        as_published=rows("algorithm-1, as printed"), our_recipe=rows("algorithm-1", OWN_WIDTH)
    )
    one_pass = Answer(as_published=rows("algorithm-2"), absent={"our_recipe": NOTHING_TO_CHOOSE})
    return Claim(
        paper="gmm-basis",
        item="table-2",
        dataset=_MIXED,
        model=f"algorithm-{number}",
        name="2r works best",
        says="sigma = 2 r works best on mixed targets",
        text="L at sigma = 2 r is below L at sigma = r and at sigma = 3 r (one-sided paired t "
        "tests over seeds of 200 targets each)",
        test=two_is_best,
        answer=printed if number == 1 else one_pass,
    )


CLAIMS = [*(_width(number) for number in (1, 2)), *_PICTURES]
