"""The rule of the verdicts: our values beside a published number or claim."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from mixflow.results.targets import Target

Verdict = Literal["better", "reproduced", "short", "smoke only", "not run"]
VERDICTS: tuple[str, ...] = get_args(Verdict)
SEEDS_FOR_SPREAD = 3  # with fewer, a spread says too little to call a difference real


@dataclass(frozen=True)
class Tolerance:
    """How far from the published value still counts as the same.

    Attributes
    ----------
    absolute
        In the metric's unit.
    relative
        As a share of the published value; the larger of the two counts.
    """

    absolute: float = 0.0
    relative: float = 0.0

    def at(self, published: float) -> float:
        """Return the tolerance at a published value, in the metric's unit."""
        return max(self.absolute, self.relative * abs(published))


# The one place where tolerances are set, by published metric.
TOLERANCES = {
    "test_accuracy": Tolerance(absolute=0.005),
    "nll_nat_per_pixel": Tolerance(absolute=0.005),
    "L": Tolerance(relative=0.07),
}
DEFAULT_TOLERANCE = Tolerance(relative=0.05)


@dataclass(frozen=True)
class Judgement:
    """A verdict and the words that justify it."""

    verdict: Verdict
    rule: str


def judge(target: Target, per_seed: Sequence[float] | np.ndarray) -> Judgement:
    """Compare our values, one per seed, with a published number or claim.

    With m our mean, s its standard error (sample sd over root n; unknown for one seed) and
    tol the metric's tolerance:

    - ``better``: m is beyond the published value, on its better side, by more than 2 s with
      at least 3 seeds, or by more than tol with fewer;
    - ``reproduced``: m is on the better side, or within max(tol, 2 s) of the value;
    - ``short``: anything else, and any value that is not finite.

    A claim is ``reproduced`` when the value is 1 in every seed, else ``short``.

    Raises
    ------
    ValueError
        If there is no value.
    """
    values = np.asarray(per_seed, dtype=np.float64)
    if values.size == 0:
        raise ValueError(f"{target.id}: no value to judge")
    if not np.isfinite(values).all():
        return Judgement("short", f"{int((~np.isfinite(values)).sum())} value(s) not finite")
    if target.value is None:
        return _judge_claim(values)
    return _judge_number(target, target.value, values)


def _judge_claim(values: np.ndarray) -> Judgement:
    held = int((values == 1).sum())
    verdict: Verdict = "reproduced" if held == values.size else "short"
    return Judgement(verdict, f"claim holds in {held} of {values.size} seed(s); all needed")


def _judge_number(target: Target, published: float, values: np.ndarray) -> Judgement:
    n = values.size
    tolerance = TOLERANCES.get(target.metric, DEFAULT_TOLERANCE).at(published)
    two_s = 2 * float(values.std(ddof=1)) / math.sqrt(n) if n > 1 else math.nan
    difference = round(float(values.mean()) - published, 12)  # 0.951 - 0.946 is 0.005 here
    sign = {"higher": 1, "lower": -1, None: 0}[target.better]
    gain = sign * difference  # positive: on the better side
    seeds = f"{n} seed{'s' if n > 1 else ''}"
    if gain > (two_s if n >= SEEDS_FOR_SPREAD else tolerance):
        margin = f"2 s = {two_s:.3g}" if n >= SEEDS_FOR_SPREAD else f"tol = {tolerance:.3g}"
        return Judgement("better", f"better by {gain:.3g} > {margin} ({seeds})")
    if gain > 0:
        return Judgement("reproduced", f"on the better side by {gain:.3g} ({seeds})")
    allowed = float(np.nanmax([tolerance, two_s]))
    verdict: Verdict = "reproduced" if abs(difference) <= allowed else "short"
    relation = "<=" if verdict == "reproduced" else ">"
    spread = "2 s unknown" if n == 1 else f"2 s = {two_s:.3g}"
    reason = f"|difference| {abs(difference):.3g} {relation} max(tol = {tolerance:.3g}, {spread})"
    return Judgement(verdict, f"{reason} ({seeds})")
