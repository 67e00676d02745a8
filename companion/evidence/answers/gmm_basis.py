"""What stands for the numbers of GMM-basis: L in tables 1 to 3."""

from __future__ import annotations

from companion.evidence.evidence import Answer, Deviation, Protocol, Rows, open_, recipe
from companion.evidence.targets import Target

OUR_TARGETS = open_("random targets drawn by us; the paper says neither weights, means nor widths")
MORE_TARGETS = open_("200 targets a seed; the paper 20 or 30 in all")
OWN_WIDTH = recipe("algorithm 1 learns with sigma = 0.5 r; as printed with the table's")
NOTHING_TO_CHOOSE = "algorithm 2 is one pass over the data: there is nothing to choose"


def rows(target: Target, model: str, *deviations: Deviation) -> Rows:
    """Return the rows of a model of ours beside a cell."""
    return Rows(
        f"gmm-basis/{target.item}",
        ("L",),
        where={
            "dataset": (target.dataset,),
            "model": (model,),
            "setting": (target.setting,),
        },
        deviations=(OUR_TARGETS, MORE_TARGETS, *deviations),
    )


def answer(target: Target) -> Answer:
    """Return what stands for a number of GMM-basis.

    Raises
    ------
    KeyError
        If no answer is given for its model.
    """
    if target.model == "algorithm-1":
        return Answer(
            as_published=(rows(target, "algorithm-1, as printed"),),
            our_recipe=(rows(target, "algorithm-1", OWN_WIDTH),),
        )
    if target.model == "algorithm-2":
        absent: dict[Protocol, str] = {"our_recipe": NOTHING_TO_CHOOSE}
        return Answer(as_published=(rows(target, "algorithm-2"),), absent=absent)
    raise KeyError(f"{target.id}: no answer is given for {target.model!r}")
