"""``mixflow verify``."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from companion.cli.errors import FAILED
from companion.cli.options import Results, examples, open_store

EXAMPLES = examples(
    "mixflow verify -n 3 --minutes 0.2",
    "mixflow verify gmm-basis/table-1 --seed 1",
)


def verify(
    experiment: Annotated[
        list[str] | None,
        typer.Argument(metavar="[EXPERIMENT]...", help="Such as em-gm/table-2; else all."),
    ] = None,
    n: Annotated[int, typer.Option("-n", min=1, help="How many runs.")] = 10,
    minutes: Annotated[
        float, typer.Option(min=0, help="Leave out runs that took longer, in minutes.")
    ] = 2,
    seed: Annotated[int, typer.Option(min=0, help="Of the draw of the runs.")] = 0,
    tolerance: Annotated[
        float, typer.Option(min=0, help="Largest relative difference of a value.")
    ] = 0.02,
    results: Results = None,
) -> None:
    """Compute stored runs again, drawn at random, and compare every row.

    Smoke runs, rows of a training that has changed, and what was interrupted are left out.
    Exit code 1 if a run differs.
    """
    from companion.cli.values import duration
    from companion.evidence.verification import chosen
    from companion.evidence.verification import verify as computed_again
    from companion.runs.registry import find, names

    store = open_store(results)
    wanted = [find(name).name for name in experiment or names()]
    runs = chosen(store, wanted, n, 60 * minutes, seed)
    took = sum(run.provenance["seconds"] for run in runs)
    typer.echo(f"{len(runs)} runs, which took {duration(took)} when they were made")
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as scratch:
        for number, run in enumerate(runs, 1):
            outcome = computed_again(run, store, Path(scratch))
            verdict = outcome.verdict(tolerance)
            found[verdict] += 1
            worst = f", {outcome.worst:.2g} off in {outcome.where}" if outcome.worst else ""
            missing = f", {outcome.missing} rows in one alone" if outcome.missing else ""
            typer.echo(
                f"[{number}/{len(runs)}] {run.experiment} {run.digest}: {verdict} "
                f"({outcome.n_equal} of {outcome.n_rows} rows equal{worst}{missing})"
            )
    typer.echo(", ".join(f"{count} {verdict}" for verdict, count in found.items()) or "none")
    if found["differs"]:
        raise typer.Exit(FAILED)
