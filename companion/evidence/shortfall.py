"""What a verdict against a paper is: a finding, or our own shortfall; and what would settle it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from companion.evidence.evidence import Deviation

SEEDS_NEEDED = 3


@dataclass(frozen=True)
class Ruling:
    """Whose fault a failed verdict is.

    Attributes
    ----------
    kind
        ``finding``: at the published setting, with the seeds and the power to tell; else
        ``shortfall``.
    reason
        What makes it one.
    settles
        What would settle the matter; empty for a finding.
    """

    kind: Literal["finding", "shortfall"]
    reason: str
    settles: str = ""


def rule(deviations: Sequence[Deviation], n_seeds: int, can_tell: bool = True) -> Ruling:
    """Return which of the two a *worse* or *does not hold* is.

    Parameters
    ----------
    deviations
        In what our runs differ; those that the paper leaves open do not count against us.
    n_seeds
        Of our runs.
    can_tell
        Whether the test could have come out the other way with so many values.
    """
    ours = [one.text for one in deviations if one.kind != "open"]
    reasons = list(ours)
    needed = ["a run as published in this: " + "; ".join(ours)] if ours else []
    if n_seeds < SEEDS_NEEDED:
        reasons.append(f"{n_seeds} seed{'s' if n_seeds != 1 else ''}")
        needed.append(f"{SEEDS_NEEDED} seeds or more")
    if not can_tell:
        reasons.append("too few values for the test to pass")
        needed.append("more values")
    if reasons:
        return Ruling("shortfall", "; ".join(reasons), "; and ".join(needed))
    return Ruling("finding", f"at the published setting, {n_seeds} seeds")
