"""Our rows beside a published number: the difference, and how sure it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from companion.evidence.catalogue import Catalogue
from companion.evidence.estimates import (
    Estimate,
    Part,
    between_splits,
    binomial_error,
    difference,
    estimate,
)
from companion.evidence.evidence import Evidence, Row, by_split
from companion.evidence.targets import Target
from companion.evidence.verdicts import NO_TOLERANCE, TOLERANCES, Comparison

SIGNS = {"higher": 1, "lower": -1, None: 0}
# Papers whose numbers are of random targets that nobody published: ours are others.
OTHER_TARGETS = ("gmm-basis",)


@dataclass(frozen=True)
class Compared:
    """Our estimate of a published number, the comparison, and what its error is made of."""

    ours: Estimate
    comparison: Comparison
    note: str


def compare(target: Target, evidence: Evidence, catalogue: Catalogue) -> Compared:
    """Return our mean beside the published value, with all that is known of both errors.

    Raises
    ------
    ValueError
        If the target has no value, or the evidence no row.
    """
    if target.value is None:
        raise ValueError(f"{target.id} is a claim; there is no number to compare")
    between = _between_splits(evidence, catalogue) if evidence.source.random_split else None
    ours = estimate(by_split(evidence.rows), between)
    error, of = published_error(target, evidence, catalogue)
    tolerance = TOLERANCES.get(target.metric, NO_TOLERANCE)
    comparison = Comparison(
        difference(ours, target.value, error),
        tolerance.at(target.value),
        SIGNS[target.better],
        target.paper not in OTHER_TARGETS,
    )
    note = [f"the tolerance: {tolerance.reason}", of, _of_splits(ours, between, evidence)]
    return Compared(ours, comparison, "; ".join(filter(None, note)))


def published_error(
    target: Target, evidence: Evidence, catalogue: Catalogue
) -> tuple[float | None, str]:
    """Return the standard error of a published value, and in words where it is from.

    An accuracy has the binomial error of its test samples. A mean of L has the standard deviation
    over targets, which is estimated from ours, over the root of their number.
    """
    if target.value is None or target.n is None:
        return None, "the published value's own error is not known"
    if target.metric == "test_accuracy":
        error = binomial_error(target.value, target.n)
        return error, f"published error {error:.2g}, binomial of {target.n} test samples"
    sd = _sd_over_targets(evidence, catalogue)
    if sd is None:
        return None, "the published value's own error is not known"
    error = sd / math.sqrt(target.n)
    return error, f"published error {error:.2g}, our sd over targets / root {target.n}"


def _sd_over_targets(evidence: Evidence, catalogue: Catalogue) -> float | None:
    """Return the root mean square, over runs, of the standard deviation of L over targets."""
    errors = catalogue.rows(replace(evidence.source, metrics=("L_standard_error",)))
    squares = [row.value**2 * float(row.run.config["n_targets"]) for row in errors]
    return math.sqrt(sum(squares) / len(squares)) if squares else None


def _between_splits(evidence: Evidence, catalogue: Catalogue) -> Part | None:
    """Return the variance of splits, pooled over the K that were run on several."""
    source = evidence.source
    free = {name: values for name, values in source.config.items() if name != "n_components"}
    parts = _parts(catalogue.rows(replace(source, config=free)))
    df = sum(part.df for part in parts)
    return Part(sum(part.variance * part.df for part in parts) / df, df) if parts else None


def _parts(rows: Sequence[Row]) -> list[Part]:
    sizes = {row.k for row in rows}
    found = (between_splits(by_split([row for row in rows if row.k == k])) for k in sizes)
    return [part for part in found if part is not None]


def _of_splits(ours: Estimate, between: Part | None, evidence: Evidence) -> str:
    if not evidence.source.random_split:
        return ""
    seeds = {len(values) for values in by_split(evidence.rows).values()}
    span = f"{min(seeds)} to {max(seeds)}" if len(seeds) > 1 else f"{max(seeds)}"
    text = f"{ours.n_splits} split{'s' if ours.n_splits > 1 else ''} with {span} seeds each"
    if between is None:
        return f"{text}; nothing is known of how splits differ"
    source = "these" if ours.n_splits > 1 else "the K that have several"
    sd = math.sqrt(between.variance)
    return f"{text}; sd between splits {sd:.2g}, of {source} ({between.df + 1:g} splits)"
