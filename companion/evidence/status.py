"""The status of every question: our rows found, put beside the published, and judged."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from companion.evidence.catalogue import Catalogue
from companion.evidence.claims.base import Claim
from companion.evidence.claims.statistics import Test
from companion.evidence.comparisons import Compared, compare
from companion.evidence.evidence import PROTOCOLS, Evidence, Protocol
from companion.evidence.questions import Question, load_questions
from companion.evidence.shortfall import Ruling, rule
from companion.evidence.targets import Target
from companion.evidence.verdicts import FAILED, Judgement, judge
from companion.runs.store import Store

STATUS_COLUMNS = (
    *("paper", "item", "dataset", "model", "setting", "metric", "protocol", "published", "ours"),
    *("spread", "seeds", "splits", "difference", "low", "high", "tolerance", "p", "chance"),
    *("profile", "verdict", "hint", "rule", "kind", "reason", "settles", "deviations"),
    *("dirty_runs", "runs"),
)
KEYS = ("paper", "item", "dataset", "model", "setting", "metric")


@dataclass(frozen=True)
class Line:
    """One question under one protocol.

    Attributes
    ----------
    question, protocol
        What is asked.
    evidence
        Our rows; None where there are none.
    compared, test
        What they say: of a number, or of a claim.
    judgement
        The verdict.
    ruling
        Of a verdict against the paper: finding or shortfall.
    """

    question: Question
    protocol: Protocol
    evidence: Evidence | None
    compared: Compared | None
    test: Test | None
    judgement: Judgement
    ruling: Ruling | None = None


def status_table(
    store: Store | Catalogue,
    targets: Iterable[Target] | None = None,
    questions: Sequence[Question] | None = None,
) -> pd.DataFrame:
    """Return two lines per target, one a protocol, with ours beside the published and a verdict.

    Only runs that are points of their experiment's plan (with any seed) count: a run with some
    parameter tried out is no evidence. Of the choices that an answer gives, the first that has
    rows counts; ``smoke`` never makes a verdict. Numbers of one table are judged together, whatever
    part of it is asked for.

    Parameters
    ----------
    store
        Where the runs are, or their rows.
    targets
        The targets to show, in the order of the questions; by default all of these.
    questions
        What is asked; by default of the three papers.

    Returns
    -------
    DataFrame
        With the columns of ``STATUS_COLUMNS``. ``ours`` is a mean, or a claim's statistic, and
        ``published`` a claim's threshold; ``spread`` the sample standard deviation over ``seeds``;
        ``low`` and ``high`` end the 95 % interval of ``difference``; ``p`` is of the difference,
        or of a claim's test, and ``chance`` that of a claim to hold by luck.
    """
    every = list(load_questions() if questions is None else questions)
    ids = None if targets is None else {target.id for target in targets}
    wanted = [q for q in every if ids is None or q.stands_by in ids]
    families = {question.family for question in wanted}
    asked = [question for question in every if question.family in families]
    catalogue = store if isinstance(store, Catalogue) else Catalogue.of(store)
    lines = {
        (line.question.target.id, line.protocol): _as_row(line)
        for protocol in PROTOCOLS
        for line in judged(catalogue, asked, protocol)
    }
    rows = [lines[q.target.id, protocol] for q in wanted for protocol in PROTOCOLS]
    return pd.DataFrame(rows, columns=list(STATUS_COLUMNS))


def judged(catalogue: Catalogue, questions: Sequence[Question], protocol: Protocol) -> list[Line]:
    """Judge questions under one protocol, the numbers of each table together."""
    lines = [_line(catalogue, question, protocol) for question in questions]
    for family in {question.family for question in questions}:
        members = [
            n
            for n, line in enumerate(lines)
            if line.question.family == family and line.compared is not None
        ]
        compared = [lines[n].compared for n in members]
        found = judge([one.comparison for one in compared if one is not None])
        for n, judgement in zip(members, found, strict=True):
            note = lines[n].judgement.rule  # what the error is made of
            lines[n] = replace(
                lines[n], judgement=replace(judgement, rule=f"{judgement.rule}; {note}")
            )
    return [_settled(line) for line in lines]


def _line(catalogue: Catalogue, question: Question, protocol: Protocol) -> Line:
    """Return a line whose judgement is final but of numbers, which wait for their table."""
    choices = question.answer.under(protocol)
    evidence = catalogue.find(choices)
    compared, test = None, None
    if evidence is None:
        text = question.answer.absent.get(protocol, "no run of the plan answers this")
        judgement = Judgement("not run", text)
    elif evidence.smoke:
        judgement = Judgement("smoke only", "only smoke runs: they are evidence of nothing")
    elif question.claim is not None:
        test = question.claim.test(evidence.rows)
        judgement = _of_test(question.claim, test, evidence)
    else:
        compared = compare(question.target, evidence, catalogue)
        judgement = Judgement("not run", compared.note)
    return Line(question, protocol, evidence, compared, test, judgement)


def _of_test(claim: Claim, test: Test, evidence: Evidence) -> Judgement:
    seeds = n_seeds(claim, evidence)
    if not test.n:
        return Judgement("not run", "the runs there are have not all that the test compares")
    text = (
        f"statistic {test.statistic:.4g} (threshold {test.threshold:.4g}), n = {test.n}, "
        f"p = {test.p:.2g} for and {test.against:.2g} against"
        f"{', flat' if test.flat else ''}; holds by luck with a chance of at most "
        f"{test.chance:.2g} ({test.null})"
    )
    hint = "one seed" if seeds == 1 else ""
    if test.holds is None:
        return Judgement("undecided", text, hint)
    return Judgement("holds" if test.holds else "does not hold", text, hint)


def n_seeds(claim: Claim | None, evidence: Evidence) -> int:
    """Return the seeds behind a verdict: of the claim's model where the rows are of several."""
    own = {row.seed for row in evidence.rows if claim is not None and row.model == claim.model}
    return len(own or {row.seed for row in evidence.rows})


def _settled(line: Line) -> Line:
    """Mark what is stale, and say of a verdict against the paper whose fault it is."""
    evidence = line.evidence
    if evidence is None or evidence.smoke:
        return line
    if evidence.n_dirty:
        text = f"{line.judgement.rule}; {evidence.n_dirty} run(s) of code that was not committed"
        line = replace(line, judgement=replace(line.judgement, rule=text))
    verdict = line.judgement.verdict
    if evidence.stale:
        stale = len({row.run.digest for row in evidence.rows if row.stale})
        text = f"{stale} of {len(evidence.runs)} runs are not what today's code computes"
        word = Judgement("stale", f"{text}; else: {line.judgement.rule}", line.judgement.as_hint)
        return replace(line, judgement=word)
    if verdict not in FAILED:
        return line
    can_tell = line.test is None or not math.isnan(line.test.threshold)
    seeds = n_seeds(line.question.claim, evidence)
    return replace(line, ruling=rule(evidence.source.deviations, seeds, can_tell))


# Lines as rows ------------------------------------------------------------------------------------


def _as_row(line: Line) -> dict[str, Any]:
    target, evidence = line.question.target, line.evidence
    ruling = line.ruling or Ruling("shortfall", "")
    return {
        **{name: getattr(target, name) for name in KEYS},
        "protocol": line.protocol,
        "published": math.nan if target.value is None else target.value,
        **_numbers(line),
        "profile": "smoke" if evidence and evidence.smoke else _profile(evidence),
        "verdict": line.judgement.verdict,
        "hint": line.judgement.hint,
        "rule": line.judgement.rule,
        "kind": line.ruling.kind if line.ruling else "",
        "reason": ruling.reason,
        "settles": ruling.settles,
        "deviations": "; ".join(d.text for d in evidence.source.deviations) if evidence else "",
        "dirty_runs": evidence.n_dirty if evidence else 0,
        "runs": " ".join(evidence.runs) if evidence else "",
    }


def _profile(evidence: Evidence | None) -> str:
    return evidence.source.profile if evidence else ""


def _numbers(line: Line) -> Mapping[str, Any]:
    nothing = dict.fromkeys(("ours", "spread", "difference", "low", "high", "tolerance"), math.nan)
    nothing |= dict.fromkeys(("p", "chance"), math.nan)
    if line.compared is not None:
        ours, comparison = line.compared.ours, line.compared.comparison
        d = comparison.difference
        return nothing | {
            **{"ours": ours.mean, "spread": ours.sd, "seeds": ours.n_seeds},
            **{"splits": ours.n_splits, "difference": d.value, "low": d.low, "high": d.high},
            **{"tolerance": comparison.tolerance, "p": d.p},
        }
    if line.test is not None and line.evidence is not None:
        return nothing | {
            **{"ours": line.test.statistic, "published": line.test.threshold, "p": line.test.p},
            **{"chance": line.test.chance, "seeds": n_seeds(line.question.claim, line.evidence)},
            "splits": 1,
        }
    return nothing | {"seeds": 0, "splits": 0}
