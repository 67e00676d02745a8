"""Which stored rows stand for each published number, under each protocol, and what differs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from companion.evidence.answers import em_gm, gmm_basis
from companion.evidence.evidence import Answer
from companion.evidence.targets import Target

_OF_PAPER: Mapping[str, Callable[[Target], Answer]] = {
    "em-gm": em_gm.answer,
    "gmm-basis": gmm_basis.answer,
}


def answer(target: Target) -> Answer:
    """Return what stands for a published number.

    Raises
    ------
    KeyError
        If nobody said; every published number needs an entry for both protocols.
    """
    if target.paper not in _OF_PAPER:
        raise KeyError(f"{target.id}: no answer is given for the paper {target.paper!r}")
    return _OF_PAPER[target.paper](target)
