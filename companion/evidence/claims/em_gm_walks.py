"""Claims of EM-GM on figure 7: images between two images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from companion.evidence.answers import em_gm
from companion.evidence.claims import statistics
from companion.evidence.claims.base import Claim, columns, values
from companion.evidence.claims.em_gm_images import FEWER_IMAGES
from companion.evidence.claims.statistics import Test
from companion.evidence.evidence import Answer, Row, Rows, open_

STAY = 0.8  # of the images between two
ENDS, DRAWN, SHARED = "generator of the nearer end", "generator drawn from pi", "one flow"


def stays(rows: Sequence[Row], setting: str, model: str) -> Test:
    """Test whether images between two stay in the classes of these, more than mixed pixels do."""
    walked = values(rows, model=model, setting=setting)
    pixels = values(rows, model="pixels")
    table = columns([walked, pixels])
    return statistics.above(
        np.stack([table[:, 0] - STAY, table[:, 0] - table[:, 1]], 1).reshape(len(table), 2)
    )


def strays(rows: Sequence[Row]) -> Test:
    """Test whether drawn generators leave the classes of the ends more often."""
    parts = [values(rows, model="GenMM", setting=f"K=7, {rule}") for rule in (ENDS, DRAWN)]
    table = columns(parts)
    return statistics.above(table[:, 0] - table[:, 1])


def _walk(item: str, k: int, model: str, says: str, test: Callable[..., Test], text: str) -> Claim:
    deviations = (
        *em_gm.of_images("laptop", 1 if model == "LatMM" else k),
        FEWER_IMAGES,
        open_("one mixture of seed 0; seeds draw 100 pairs of held-out images each"),
    )
    ours = Rows(
        "em-gm/interpolation",
        ("at_an_end",),
        where={"dataset": ("mnist",)},
        config={"model": (model,), "n_components": (k,)},
        deviations=deviations,
    )
    return Claim(
        paper="em-gm",
        item=item,
        dataset="mnist",
        model=model,
        name=f"K={k}",
        says=says,
        text=text,
        test=test,
        answer=Answer(our_recipe=(ours,), absent={"as_published": em_gm.NO_PUBLISHED_IMAGES}),
        ours="" if test is strays else ".8, set 2026-11-21",
    )


_STAY_TEXT = (
    "of the images between two of different classes more than .8 are read as one of these, and "
    "more than of the same pairs' pixels mixed (one-sided t tests over sets of pairs)"
)
_STRAY_TEXT = (
    "with a generator drawn from pi fewer images between two are read as one of their classes "
    "than with that of the nearer end (one-sided t test over sets of pairs)"
)
CLAIMS = [
    _walk(
        "figure-7a", 7, "GenMM", "interpolations stay in the class of their end points",
        partial(stays, setting=f"K=7, {ENDS}", model="GenMM"), _STAY_TEXT,
    ),
    _walk("figure-7b", 7, "GenMM", "unexpected digits appear", strays, _STRAY_TEXT),
    _walk(
        "figure-7c", 9, "GenMM", "as 7a, with K = 9",
        partial(stays, setting=f"K=9, {ENDS}", model="GenMM"), _STAY_TEXT,
    ),
    _walk(
        "figure-7d-f", 9, "LatMM", "LatMM's interpolations, three examples",
        partial(stays, setting=f"K=9, {SHARED}", model="LatMM"), _STAY_TEXT,
    ),
]  # fmt: skip
