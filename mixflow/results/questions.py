"""All that is asked of the papers: published numbers and claims, each with what answers it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mixflow.results.answers import answer, em_gm
from mixflow.results.claims import load_claims
from mixflow.results.claims.base import Claim
from mixflow.results.evidence import Answer
from mixflow.results.targets import Target, load_numbers


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
    """

    target: Target
    answer: Answer
    claim: Claim | None = None

    @property
    def family(self) -> tuple[str, str]:
        """The table or figure whose numbers are judged together."""
        return self.target.paper, self.target.item


def load_questions() -> list[Question]:
    """Return every question, paper by paper; numbers first."""
    numbers = [Question(t, answer(t)) for number in load_numbers() for t in _with_rows(number)]
    claims = [Question(claim.target, claim.answer, claim) for claim in load_claims()]
    every = numbers + claims
    papers = list(dict.fromkeys(question.target.paper for question in every))
    return [question for paper in papers for question in every if question.target.paper == paper]


def load_targets() -> list[Target]:
    """Return the published numbers and claims as the status table has them."""
    return [question.target for question in load_questions()]


def _with_rows(number: Target) -> Sequence[Target]:
    """Return a number, and again under another setting where we have a model of its own for it."""
    if (number.paper, number.item, number.setting) == ("em-gm", "table-1", "K=1"):
        return number, replace(number, setting=em_gm.FURTHER_SETTING)
    return (number,)
