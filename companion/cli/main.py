"""The command line ``mixflow``: list, run, status, verify, publish, notebook, check, data."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from companion.cli import notebook, publish, verify
from companion.cli.data import data_app
from companion.cli.errors import FAILED, PlainErrors
from companion.cli.memory import keep_freed_memory
from companion.cli.options import Parameters, Profile, Results, examples, open_store

# Imports of mixflow are inside the commands: torch and scikit-learn take seconds, and
# `mixflow --help` should not.

app = typer.Typer(
    cls=PlainErrors,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog="Exit codes: 0 ok; 1 a run or check failed; 2 bad usage or parameters; 3 data "
    "missing or corrupt; 130 interrupted.",
)
app.add_typer(data_app, name="data", help="Look at the data sets, check or download their files.")

# Letters of the columns of the status table, which keep it within 160.
STATUS_WIDTHS = {"item": 18, "data": 14, "model": 11, "setting": 28, "paper": 8}
STATUS_WIDTHS |= dict.fromkeys(("as published", "our recipe"), 36)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"mixflow {version('mixflow')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="And exit.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", envvar="MIXFLOW_DEBUG", help="Show tracebacks of errors.")
    ] = False,
) -> None:
    """Recompute the tables and figures of three papers on neural mixture models."""


@app.command("list", epilog=examples("mixflow list", "mixflow list --results /tmp/results"))
def list_experiments(results: Results = None) -> None:
    """List the experiments and what is done.

    Done and planned points are shown for each profile.
    """
    import pandas as pd

    from companion.cli.values import table
    from companion.runs import registry
    from companion.runs.config import PROFILES

    store, lines, done = open_store(results), [], set[str]()
    for name in registry.names():
        found = registry.find(name)
        line = {"experiment": name}
        for profile in PROFILES:
            configs = found.configs(profile)
            digests = {c.digest() for c in configs if store.is_done(name, c)}
            line[profile] = f"{len(digests)}/{len(configs)}" if configs else "-"
            done |= digests
        lines.append({**line, "title": found.title})
    typer.echo(table(pd.DataFrame(lines)))
    typer.echo(f"\ndone/points at each profile; results in {store.where()}")
    if note := store.unpublished_note(done):
        typer.echo(note)


@app.command(
    epilog=examples(
        "mixflow run em-gm/table-2",
        "mixflow run em-gm/table-2 --profile laptop --seeds 0-4",
        "mixflow run em-gm/table-2 -p n_components=1,2 -p dataset=letter --dry-run",
    )
)
def run(
    ctx: typer.Context,
    experiment: Annotated[str, typer.Argument(help="Such as em-gm/table-2; see 'mixflow list'.")],
    profile: Profile = "smoke",
    parameter: Parameters = None,
    seeds: Annotated[
        # Named: typer 0.27 takes the name from the metavar.
        str | None,
        typer.Option("--seeds", metavar="SEEDS", help="Such as 0-4 or 0,2,5; else the plan's."),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option("--only", metavar="DIGEST", help="Only this run, as --dry-run names it."),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    resume: Annotated[bool, typer.Option(help="Continue from checkpoints.")] = True,
    force: Annotated[bool, typer.Option("--force", help="Compute again what is stored.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print errors only.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be run.")] = False,
    results: Results = None,
) -> None:
    """Run an experiment, or a grid of it.

    Every point of the plan is computed and stored, with your parameters put in.

    Runs that are stored or published already are not computed again; interrupted ones continue.
    'mixflow publish' puts finished ones into the book.
    """
    from companion.cli import runs as cli_runs
    from companion.cli.values import overrides
    from companion.runs.config import ParameterError
    from companion.runs.registry import find
    from companion.runs.runner import check_device

    found, store = find(experiment), open_store(results)
    cli_runs.check_writable(store)
    configs = found.configs(profile, overrides(parameter or (), seeds))
    if only is not None:
        configs = [config for config in configs if config.digest() == only]
        if not configs:
            raise ParameterError(f"{experiment} has no run {only!r} here; --dry-run lists them")
    if not configs:
        raise ParameterError(f"{experiment} has no points at the profile {profile!r}")
    if dry_run:
        typer.echo(cli_runs.preview(found, configs, store))
        return
    check_device(device)
    how = cli_runs.How(device, resume, force, quiet, ctx.find_root().params["debug"])
    say = (lambda _: None) if quiet else typer.echo
    runs, failures = cli_runs.run_all(found, configs, store, how, say)
    say("\n" + cli_runs.summary(runs, configs))
    for failure in failures:
        typer.echo(f"failed: {failure}", err=True)
    if failures:
        raise typer.Exit(FAILED)


@app.command(
    epilog=examples(
        "mixflow status",
        "mixflow status --paper em-gm --item table-2",
        "mixflow status --format csv",
    )
)
def status(
    output: Annotated[str, typer.Option("--format", help="table, csv or json.")] = "table",
    paper: Annotated[str | None, typer.Option(help="Only this paper, such as em-gm.")] = None,
    item: Annotated[str | None, typer.Option(help="Only this item, such as table-2.")] = None,
    results: Results = None,
) -> None:
    """Compare our results with the papers.

    Every published number and claim gets a verdict under two protocols: as published, and by
    our recipe. In brackets, how many seeds; what each verdict means is on a page of the
    book, and --format csv has the rule of every line.
    """
    from companion.cli.values import clipped, records, require, table
    from companion.evidence.questions import load_targets
    from companion.evidence.side_by_side import counts, side_by_side
    from companion.evidence.status import status_table

    require("format", output, ("table", "csv", "json"))
    targets = load_targets()
    require("paper", paper, [target.paper for target in targets])
    require("item", item, [target.item for target in targets])
    chosen = [t for t in targets if paper in (None, t.paper) and item in (None, t.item)]
    store = open_store(results)
    frame = status_table(store, chosen)
    if output == "csv":
        typer.echo(frame.to_csv(index=False, lineterminator="\n"), nl=False)
    elif output == "json":
        typer.echo(records(frame))
    else:
        for name in dict.fromkeys(target.paper for target in chosen):
            lines = side_by_side(frame[frame["paper"] == name], spread=False)
            typer.echo(f"{name}\n{table(clipped(lines, STATUS_WIDTHS))}\n")
        for protocol, of in counts(frame).items():
            typer.echo(f"{protocol}: " + ", ".join(f"{n} {verdict}" for verdict, n in of.items()))
        typer.echo("rules, intervals, chances, deviations, rulings, runs: --format csv")
    if note := store.unpublished_note(set(" ".join(frame["runs"]).split())):
        typer.echo(note, err=True)


app.command("publish", epilog=publish.EXAMPLES)(publish.publish)
app.command("verify", epilog=verify.EXAMPLES)(verify.verify)
app.command("notebook", epilog=notebook.EXAMPLES)(notebook.notebook)


@app.command(epilog=examples("mixflow check", "mixflow check results commands"))
def check(
    only: Annotated[
        list[str] | None, typer.Argument(metavar="[CHECK]...", help="Else all checks.")
    ] = None,
    results: Results = None,
) -> None:
    """Check stored results and pages.

    Checks: results, targets, commands, notebooks, figures, executed, built-book.
    """
    from companion.cli.checks import ANYWHERE, CHECKS, run_checks
    from companion.cli.values import require
    from companion.runs.config import ParameterError
    from companion.runs.places import find_checkout

    for name in only or ():
        require("check", name, CHECKS)
    checkout, names = find_checkout(), only or list(CHECKS)
    if checkout is None and not set(names) <= set(ANYWHERE):
        raise ParameterError(
            "go to a checkout of mixflow, whose pages are checked, or ask for what needs none: "
            f"mixflow check {' '.join(ANYWHERE)}"
        )
    problems = run_checks(checkout or Path.cwd(), open_store(results), app, names)
    for name, lines in problems.items():
        typer.echo(f"{name}: {len(lines) or 'no'} problem{'s' if len(lines) > 1 else ''}")
        for line in lines:
            typer.echo(f"  {line}")
    if any(problems.values()):
        raise typer.Exit(FAILED)


def main() -> None:
    """Run the command line and exit with its code."""
    # Before torch is loaded: threads that wait must sleep. Spinning ones make a fit several
    # times slower as soon as another process wants the same cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    keep_freed_memory()
    app(prog_name="mixflow")
