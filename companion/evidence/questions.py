"""All that is asked of the papers: published numbers and claims, each with what answers it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from companion.evidence.answers import answer, em_gm
from companion.evidence.claims import load_claims
from companion.evidence.claims.base import Claim
from companion.evidence.evidence import Answer
from companion.evidence.targets import Target, load_numbers


@dataclass(frozen=True)
class Question:
    """A published number or a claim, and what answers it.

    Attributes
    ----------
    target
        What was published.
    answer
        The rows that stand for it.
    claim
        The test, of a claim.
    of
        The number that this one repeats for another model of ours; None of others.
    """

    target: Target
    answer: Answer
    claim: Claim | None = None
    of: Target | None = None

    @property
    def stands_by(self) -> str:
        """The id of the target that it is shown with: its own, or that of what it repeats."""
        return (self.of or self.target).id

    @property
    def family(self) -> tuple[str, str]:
        """The table or figure whose numbers are judged together."""
        return self.target.paper, self.target.item


def load_questions() -> list[Question]:
    """Return every question, paper by paper; numbers first."""
    numbers = [question for number in load_numbers() for question in _asked(number)]
    claims = [Question(claim.target, claim.answer, claim) for claim in load_claims()]
    every = numbers + claims
    papers = list(dict.fromkeys(question.target.paper for question in every))
    return [question for paper in papers for question in every if question.target.paper == paper]


def load_targets() -> list[Target]:
    """Return the published numbers and the claims."""
    return [question.target for question in load_questions() if question.of is None]


def _asked(number: Target) -> Sequence[Question]:
    """Return a number, and again under another setting where we have a model of its own for it."""
    asked = [Question(number, answer(number))]
    if (number.item, number.setting) == ("table-1", "K=1"):
        again = replace(number, setting=em_gm.FURTHER_SETTING)
        asked.append(Question(again, answer(again), of=number))
    return asked
