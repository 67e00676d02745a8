"""What a page of the book shows of an experiment: results, verdicts, provenance, downloads.

A page says ``page = Page("em-gm/table-2", profile)`` and displays parts of it. With profile
``"stored"`` it shows the runs in the results folder, and where there are none it computes the
smoke profile; with another profile it runs that plan (what is stored is not run again).
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import copy
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import pandas as pd

from companion.book.verdicts import verdict_table
from companion.evidence.questions import load_targets
from companion.runs import registry
from companion.runs.config import PROFILES
from companion.runs.store import Store, rows_of
from companion.runs.stored import StoredRun

if TYPE_CHECKING:
    from IPython.display import HTML, Markdown

# Tables quote stored files, which may hold anything; pandas escapes those that are not styled.
pd.set_option("styler.format.escape", "html")


class Page:
    """The results of one experiment, as a page shows them.

    Parameters
    ----------
    experiment
        Name of the experiment.
    profile
        ``"stored"``, or a profile to run.
    parameters
        Values that differ from the plan's.

    Attributes
    ----------
    runs, rows
        The runs shown and their rows, which carry the config's fields as ``config_*``.
    profile
        The profile that the rows come from.
    """

    def __init__(self, experiment: str, profile: str = "stored", **parameters: Any) -> None:
        self.experiment = registry.find(experiment)
        self.fresh = profile != "stored"
        store = Store()
        if not self.fresh:
            self.runs, self.profile = self._stored(store)
            if not self.runs:
                # In a scratch folder: a page must not change the results that it shows.
                store, profile, self.fresh = Store(_scratch()), "smoke", True
        if self.fresh:
            self.runs, self.profile = self._run(store, profile, parameters), profile
        self.store = store
        self.rows = _rows(self.runs)

    def _stored(self, store: Store) -> tuple[list[StoredRun], str]:
        """Return the stored runs of the plan at the profile that has most of its own.

        At the larger one of two that have as much: a few dear runs hide no complete plan.
        """
        best: tuple[list[StoredRun], str] = ([], "smoke")
        most = 0.0
        for profile in reversed(PROFILES[1:]):
            runs = self._planned(store, profile)
            share = len(runs) / len(self.experiment.configs(profile)) if runs else 0.0
            if share > most:
                best, most = (runs, profile), share
        return best

    def _planned(self, store: Store, profile: str) -> list[StoredRun]:
        """Return the stored runs of a profile's plan."""
        found = []
        for config in self.experiment.configs(profile):
            with contextlib.suppress(FileNotFoundError):
                found.append(store.load(self.experiment.name, config))
        return found

    def _run(self, store: Store, profile: str, parameters: dict[str, Any]) -> list[StoredRun]:
        from companion.runs.runner import awaited

        configs = self.experiment.configs(profile, [parameters])
        return [awaited(self.experiment, config, store, progress=False) for config in configs]

    def of(self, **values: Any) -> Page:
        """Return the page narrowed to the runs whose config has these values."""
        runs = [run for run in self.runs if values.items() <= run.config.items()]
        page, digests = copy.copy(self), {run.digest for run in runs}
        page.runs = runs
        page.rows = self.rows[self.rows["run"].isin(digests)].reset_index(drop=True)
        return page

    def at(self, profile: str) -> Page:
        """Return the page of the stored runs of another profile's plan; there may be none."""
        page = copy.copy(self)
        page.runs, page.profile = self._planned(self.store, profile), profile
        page.rows = _rows(page.runs)
        return page

    # Numbers ---------------------------------------------------------------------------------

    def summary(self, metric: str, by: Sequence[str] = ("model", "setting")) -> pd.DataFrame:
        """Return mean, sd over seeds and number of seeds of a metric, indexed by ``by``."""
        rows = self.rows[self.rows["metric"] == metric]
        return rows.groupby(list(by), sort=False)["value"].agg(["mean", "std", "count"])

    def value(self, metric: str, model: str, setting: str) -> float:
        """Return the mean over seeds of one metric; NaN when it was not run."""
        table = self.summary(metric)
        key = (model, setting)
        return float(table["mean"].get(key, float("nan")))

    # Parts of the page -----------------------------------------------------------------------

    def source(self) -> Markdown:
        """Say which results the page shows."""
        seeds = sorted({run.config["seed"] for run in self.runs})
        n = len(self.runs)
        span = f"seeds {seeds[0]}-{seeds[-1]}" if len(seeds) > 1 else f"seed {seeds[0]}"
        what = f"{n} run{'s' if n > 1 else ''}, {span}"
        if self.fresh:
            text = f"Computed while this page was made, at the **{self.profile}** profile ({what})."
        else:
            text = f"Stored results of the **{self.profile}** profile ({what})."
        if self.profile == "smoke":
            text += (
                " The smoke profile runs on small embedded data in seconds: it shows that the "
                "code works and **reproduces nothing**."
            )
        if note := self.store.unpublished_note([run.digest for run in self.runs]):
            text += f" **{escape(note)}.**"
        return _markdown(f"> {text}")

    def verdicts(self, *items: str, dataset: str | None = None, model: str | None = None) -> HTML:
        """Show the paper's numbers and claims beside ours, for items of the target table."""
        paper = self.experiment.name.split("/")[0]
        targets = [t for t in load_targets() if t.paper == paper and t.item in items]
        targets = [t for t in targets if dataset in (None, t.dataset) and model in (None, t.model)]
        return _html(verdict_table(self.store, targets))

    def command(self) -> Markdown:
        """Show the command that computes these results anew."""
        name, profile = self.experiment.name, self.profile
        return _markdown(f"```bash\nmixflow run {name} --profile {profile} --force\n```")

    def provenance(self) -> HTML:
        """Say where the numbers come from: code, versions, machine, time, data."""
        records = [run.provenance for run in self.runs]
        commits = Counter(_commit(_part(record, "code")) for record in records)
        packages = _part(records[0], "packages")
        seconds = [record.get("seconds") for record in records]
        minutes = sum(s for s in seconds if isinstance(s, int | float)) / 60
        data = {
            name: digest for record in records for name, digest in _part(record, "data").items()
        }
        lines = {
            "code": ", ".join(f"{commit} ({n} runs)" for commit, n in commits.items()),
            "packages": ", ".join(f"{name} {version}" for name, version in packages.items()),
            "machine": _each(_part(record, "device").get("name") for record in records),
            "threads": _each(record.get("torch_threads") for record in records),
            "computing time": f"{minutes:.1f} minutes in all",
            "finished": max(str(record.get("finished", "?")) for record in records),
            "data (sha256)": "; ".join(f"{n} {str(d)[:16]}…" for n, d in sorted(data.items()))
            or "embedded",
        }
        items = (f"<li><b>{name}</b>: {escape(text)}</li>" for name, text in lines.items())
        return _html(f"<ul>{''.join(items)}</ul>")

    def downloads(self) -> HTML:
        """Offer the rows, with every run's config, as a CSV file."""
        content = base64.b64encode(self.rows.to_csv(index=False).encode()).decode()
        name = self.experiment.name.replace("/", "-") + ".csv"
        return _html(
            f'<a download="{name}" href="data:text/csv;base64,{content}">Download the rows</a> '
            f"({len(self.rows)} rows, CSV)"
        )


def _scratch() -> str:
    """Return a folder that goes with this process."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _part(record: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a table of a run's provenance; an empty one where there is none."""
    found = record.get(name)
    return found if isinstance(found, dict) else {}


def _each(values: Iterable[Any]) -> str:
    return ", ".join(sorted({str(value) for value in values}))


def _rows(runs: Sequence[StoredRun]) -> pd.DataFrame:
    """Return the rows in the order of the store, whatever that of the plan."""
    return rows_of(sorted(runs, key=lambda run: run.digest))


def _commit(code: dict[str, Any]) -> str:
    commit = str(code.get("commit") or "")
    return commit[:10] + (" with changes" if code.get("dirty") else "") if commit else "?"


def _markdown(text: str) -> Markdown:
    from IPython.display import Markdown

    return Markdown(text)


def _html(text: str) -> HTML:
    from IPython.display import HTML

    return HTML(text)
