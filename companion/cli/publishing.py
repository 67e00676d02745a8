"""What ``mixflow publish`` does: a table of what becomes of each run, then the copies."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import pandas as pd
import typer

from companion.cli.values import require, table
from companion.runs.config import ParameterError
from companion.runs.places import PUBLISHED, find_checkout, shown, working_root
from companion.runs.provenance import code_state, knows_commit
from companion.runs.publishing import BEFORE, Candidate, Rules, candidates, publish
from companion.runs.registry import names


def publish_all(
    experiments: Collection[str],
    only: Collection[str],
    results: Path | None,
    *,
    replace: bool,
    dry_run: bool,
) -> bool:
    """Publish what may be, and say what became of each run.

    Returns
    -------
    bool
        Whether none was refused; of a dry run, true.

    Raises
    ------
    ParameterError
        If there is no checkout, an experiment or digest is unknown, or the folder is the
        published one.
    """
    for name in experiments:
        require("experiment", name, names())
    checkout, root = find_checkout(), results or working_root()
    if checkout is None:
        raise ParameterError("go to a checkout of mixflow: runs are published into its book")
    if root.resolve() == (checkout / PUBLISHED).resolve():
        raise ParameterError(f"{shown(root)} holds what is published; name the folder of your runs")
    rules = Rules(checkout / PUBLISHED, lambda c: knows_commit(checkout, c), only, replace)
    found = candidates(root, rules, experiments, only)
    for digest in set(only) - {candidate.path.name for candidate in found}:
        raise ParameterError(f"no run {digest!r} in {shown(root)}; --dry-run lists those there")
    _report(found, root)
    dirty = _dirty(checkout)
    if dirty:
        typer.echo(dirty, err=True)
    if dry_run or dirty:
        return dry_run
    wanted = [candidate for candidate in found if candidate.action not in ("", BEFORE)]
    if found:
        publish(wanted, rules.published)
    if wanted:
        typer.echo(f"published; 'git add {PUBLISHED}' makes it part of the next commit")
    return all(candidate.action for candidate in found)


def _dirty(checkout: Path) -> str:
    """Return why nothing of this checkout can be published now; empty if it can."""
    state = code_state(checkout / "companion")
    if state["commit"] is None:
        return "nothing is published: this checkout has no commit that others could run again"
    if state["dirty"] is not False:
        return "nothing is published: first commit or stash what git status shows as changed"
    return ""


def _report(found: Sequence[Candidate], root: Path) -> None:
    if not found:
        typer.echo(f"no runs in {shown(root)}; make some with 'mixflow run'")
        return
    lines = [
        {
            "run": candidate.path.name,
            "experiment": candidate.experiment,
            "what": candidate.action or f"refused: {candidate.refusal}",
        }
        for candidate in found
    ]
    typer.echo(table(pd.DataFrame(lines)))
    refused = sum(not candidate.action for candidate in found)
    before = sum(candidate.action == BEFORE for candidate in found)
    left = len(found) - refused - before
    typer.echo(f"\n{left} to publish, {refused} refused, {before} published before")
