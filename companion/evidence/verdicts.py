"""The rule of the verdicts: what may be said of our values beside a published number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from companion.evidence.estimates import LEVEL, Difference, holm

Verdict = Literal[
    "reproduced",
    "consistent",
    "better",
    "worse",
    "one seed",
    "holds",
    "does not hold",
    "undecided",
    "smoke only",
    "stale",
    "not run",
]
VERDICTS: tuple[str, ...] = get_args(Verdict)
FAILED = ("worse", "does not hold")


@dataclass(frozen=True)
class Tolerance:
    """How far from the published value is the same to the reader of the table, and why.

    Attributes
    ----------
    absolute, relative
        In the metric's unit, and as a share of the published value; the larger counts.
    reason
        Why so much.
    set_on
        The day it was set, by us.
    """

    reason: str
    absolute: float = 0.0
    relative: float = 0.0
    set_on: str = "2026-11-28"

    def at(self, published: float) -> float:
        """Return the tolerance at a published value, in the metric's unit."""
        return max(self.absolute, self.relative * abs(published))


NO_TOLERANCE = Tolerance("no difference is known to be too small to matter")
# The one place where tolerances are set, by published metric. All by one thought: what would leave
# the table's own conclusion as it is.
TOLERANCES = {
    "test_accuracy": Tolerance(
        "less than half of what K = 20 gains over K = 1 in table II (.0215, .0260 and .0358)",
        absolute=0.01,
    ),
    "nll_nat_per_pixel": Tolerance(
        "less than half of what K = 7 gains over K = 1 in table I (.0350 and .0248 nat/pixel)",
        absolute=0.01,
    ),
    "L": Tolerance(
        "as far apart as algorithms 1 and 2 in table 1 (.07099 and .06866), of which the paper "
        "says that they almost overlap",
        relative=0.034,
    ),
}


@dataclass(frozen=True)
class Judgement:
    """A verdict and the words that justify it.

    Attributes
    ----------
    verdict
        One of ``VERDICTS``.
    rule
        The numbers that decided, in words.
    hint
        What stands in brackets: where the value of one seed lies, ``within`` the tolerance,
        ``higher`` or ``lower``; what a stale verdict was; ``other targets`` where better is not
        claimed.
    """

    verdict: Verdict
    rule: str
    hint: str = ""

    @property
    def word(self) -> str:
        """The verdict as tables show it."""
        return f"{self.verdict} ({self.hint})" if self.hint else self.verdict

    @property
    def as_hint(self) -> str:
        """The verdict as what another one has in its brackets."""
        return f"{self.verdict}, {self.hint}" if self.hint else self.verdict


@dataclass(frozen=True)
class Comparison:
    """A difference from a published value, ready to be judged.

    Attributes
    ----------
    difference
        Ours less the published.
    tolerance
        In the metric's unit.
    sign
        1 where higher is better, -1 where lower is, 0 where neither is.
    comparable
        Whether both measured the same thing; if not, none is better.
    """

    difference: Difference
    tolerance: float
    sign: int
    comparable: bool = True


def judge(comparisons: Sequence[Comparison]) -> list[Judgement]:
    """Judge the numbers of one table; Holm's correction is over these.

    With d the difference, its 95 % interval and the tolerance tol:

    - ``reproduced``: the interval lies within tol;
    - ``better``, ``worse``: p of d = 0, after Holm's correction, is below .05, and d is beyond tol;
    - ``consistent``: neither; more seeds would tell;
    - ``one seed``: there is no interval; in brackets, where the value lies.

    The rule is the same on both sides of the published value, but that nothing is better where
    the two measured other things: it is ``consistent``, with ``other targets`` in brackets.
    """
    corrected = holm([comparison.difference.p for comparison in comparisons])
    return [_judge(one, p) for one, p in zip(comparisons, corrected, strict=True)]


def _judge(one: Comparison, p: float) -> Judgement:
    d, tol = one.difference, one.tolerance
    if not math.isfinite(d.value):
        return Judgement("not run", "a value is not finite: there is no number to judge")
    if math.isnan(p):
        text = f"d = {d.value:+.4g}, tolerance {tol:.3g}; one seed gives no interval"
        return Judgement("one seed", text, _side(d.value, tol))
    text = f"d = {d.value:+.4g}, 95 % interval {d.low:+.4g} to {d.high:+.4g}, tolerance {tol:.3g}"
    if max(abs(d.low), abs(d.high)) <= tol:
        return Judgement("reproduced", text)
    beyond = p <= LEVEL and abs(d.value) > tol
    text += f", p = {p:.2g} after Holm"
    if not beyond:
        return Judgement("consistent", f"{text}: more seeds would tell")
    if not one.sign:
        return Judgement("worse", f"{text}: another value")
    if one.sign * d.value < 0:
        return Judgement("worse", text)
    if not one.comparable:
        return Judgement("consistent", text, "other targets")
    return Judgement("better", text)


def _side(value: float, tolerance: float) -> str:
    if abs(value) <= tolerance:
        return "within"
    return "higher" if value > 0 else "lower"
