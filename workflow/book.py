"""Build the book: what ``make book`` runs once the environment is there.

Snakemake does the work, and its own words go to a log file. Shown are the plan, how far it is,
and at the end where the book is and what it lacks, or why it was not built.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "_build"
LOG, REPORT, INDEX = BUILD / "book.log", BUILD / "book.json", BUILD / "html" / "index.html"
PAGES = ROOT / "book" / "executed"
CPU_SECONDS_A_PAGE = 13  # measured over all pages; an interval, not a promise
MOST_LISTED = 5

_PLANNED = re.compile(r"notebook +(\d+)$")
_DONE = "(Rule: notebook)"
_FAILED = re.compile(r"Error in rule (\w+):")
_LOG_OF_JOB = re.compile(r" +log: (\S+)")


@dataclass
class Progress:
    """What Snakemake has said so far.

    Attributes
    ----------
    planned, made
        Pages to make anew, and those that are.
    failed
        Logs of the jobs that failed.
    """

    planned: int = 0
    made: int = 0
    failed: list[Path] = field(default_factory=list)
    _in_error: bool = False

    def read(self, line: str) -> None:
        """Take note of a line of Snakemake's."""
        if (found := _PLANNED.match(line)) and not self.planned:
            self.planned = int(found[1])
        elif _DONE in line:
            self.made += 1
        elif _FAILED.match(line):
            self._in_error = True
        elif self._in_error and (found := _LOG_OF_JOB.match(line)):
            self.failed.append(ROOT / found[1])
            self._in_error = False


def build(cores: int, offline: bool) -> int:
    """Build the book; return the exit code."""
    began = time.monotonic()
    progress = Progress()
    with _environment(offline) as environment:
        code = _snakemake(
            cores, ["--forcerun", "notebook"] if offline else [], environment, progress
        )
        refused = _lines(environment.get("MIXFLOW_REFUSED"))
    lacks, warnings = _looked_through()
    if code:
        _say(*why_not(progress))
        return 1
    if progress.made:
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        report = {
            "pages": len(list(PAGES.glob("[0-9]*.ipynb"))),
            "made": progress.made,
            "offline": offline,
            "lacks": lacks,
            "warnings": warnings,
            "refused": refused,
            "seconds": round(time.monotonic() - began),
            "cpu_seconds": round(spent.ru_utime + spent.ru_stime),
        }
        REPORT.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    _say(*summary(progress, lacks, time.monotonic() - began))
    return 0


def _snakemake(
    cores: int, options: list[str], environment: Mapping[str, str], progress: Progress
) -> int:
    """Run Snakemake to its end, with a bar of pages."""
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--nolock", *options]
    command += ["--workflow-profile", "workflow/profiles/local"]
    LOG.parent.mkdir(exist_ok=True)
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    rarely = 0.5 if sys.stderr.isatty() else 30.0
    bar = None
    with LOG.open("w", encoding="utf-8") as log:
        for line in process.stdout:
            log.write(line)
            progress.read(line)
            if progress.planned and bar is None:
                _say(*plan(progress.planned, cores))
                bar = tqdm(total=progress.planned, unit="page", mininterval=rarely)
            if bar is not None:
                bar.update(progress.made - bar.n)
    if bar is not None:
        bar.close()
    return process.wait()


@contextlib.contextmanager
def _environment(offline: bool) -> Iterator[dict[str, str]]:
    """Give the environment of the build; offline it has no network, no data and no caches."""
    environment = dict(os.environ)
    if not offline:
        yield environment
        return
    with tempfile.TemporaryDirectory(prefix="mixflow-offline-") as folder:
        environment.pop("MIXFLOW_DATA", None)
        path = [str(ROOT / "workflow" / "offline"), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, path))
        environment["XDG_CACHE_HOME"] = str(Path(folder) / "cache")
        environment["MIXFLOW_REFUSED"] = str(Path(folder) / "refused")
        # Made now: found by a page, matplotlib says in it that this takes a while.
        fonts = [sys.executable, "-c", "import matplotlib.font_manager"]
        subprocess.run(fonts, env=environment, check=True, stderr=subprocess.DEVNULL)
        yield environment


def _looked_through() -> tuple[list[str], list[str]]:
    """Return the cells of all pages that show a note for want of a file, and those that warn."""
    sys.path.insert(0, str(ROOT))
    from mixflow.missing import notes

    lacks, warnings = [], []
    for path in sorted(PAGES.glob("[0-9]*.ipynb")):
        page = json.loads(path.read_bytes())
        lacks += [f"{path.stem}, cell {number}: {note}" for number, note in notes(page)]
        for number, cell in enumerate(page["cells"], 1):
            hidden = "remove-stderr" in cell["metadata"].get("tags", ())
            if not hidden and any(o.get("name") == "stderr" for o in cell.get("outputs", ())):
                warnings.append(f"{path.stem}, cell {number}")
    return lacks, warnings


# What is said ------------------------------------------------------------------------------------


def plan(n_pages: int, cores: int) -> list[str]:
    """Return what is going to be done, and how long it takes."""
    minutes = max(1, round(n_pages * CPU_SECONDS_A_PAGE / min(cores, n_pages) / 60))
    return [
        f"{_pages(n_pages)} to make on {cores} cores: about {minutes} min. Nothing is downloaded: "
        f"they show stored results. Snakemake's log: {_relative(LOG)}"
    ]


def summary(progress: Progress, lacks: list[str], seconds: float) -> list[str]:
    """Return where the book is, what was made, and what it lacks."""
    lines = [f"{_pages(progress.made)} made anew in {_duration(seconds)}."]
    if lacks:
        lines.append(f"{len(lacks)} cells show a note for want of a data file:")
        lines += [f"  {line}" for line in lacks[:MOST_LISTED]]
        if len(lacks) > MOST_LISTED:
            lines.append(f"  and {len(lacks) - MOST_LISTED} more, in {_relative(REPORT)}")
        lines.append("With the files there: rm -r book/executed, then make book.")
    return [*lines, f"The book: {INDEX.as_uri()}"]


def why_not(progress: Progress) -> list[str]:
    """Return why there is no book, the remedy before the reason."""
    failed = [log for log in progress.failed if log.is_file()]
    text = (failed[0] if failed else LOG).read_text(encoding="utf-8", errors="replace")
    others = len(failed) - 1
    return [
        "The book was not built: mend what the last lines name, then `make book` again"
        + (f"; {progress.made} pages that were made stay." if progress.made else "."),
        *(
            [f"{others} more failed: {', '.join(_relative(p) for p in failed[1:])}"]
            if others > 0
            else []
        ),
        f"Log: {_relative(failed[0] if failed else LOG)}",
        *_reason(text),
    ]


def _reason(text: str) -> list[str]:
    """Return the lines of a log that say what went wrong, at most four."""
    lines = [line for line in text.splitlines() if line.strip()]
    for number in range(len(lines) - 1, -1, -1):
        if lines[number].startswith("error: "):  # of our own command line
            return lines[number : number + 4]
    named = [
        line for line in lines if re.search(r"\b(WARNING|ERROR|\w*Error|\w*Exception)\b", line)
    ]
    return named[:4] or lines[-4:]


def _pages(n: int) -> str:
    return f"{n or 'No'} page{'' if n == 1 else 's'}"


def _duration(seconds: float) -> str:
    return (
        f"{int(seconds) // 60}:{int(seconds) % 60:02d} min" if seconds >= 60 else f"{seconds:.0f} s"
    )


def _relative(path: Path) -> str:
    return os.path.relpath(path, ROOT)


def _lines(path: str | None) -> list[str]:
    return Path(path).read_text().splitlines() if path and Path(path).is_file() else []


def _say(*lines: str) -> None:
    print(*lines, sep="\n", flush=True)


def main() -> int:
    """Read the command line and build, unless another process does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--offline", action="store_true", help="all pages, without a network")
    options = parser.parse_args()
    BUILD.mkdir(exist_ok=True)
    with (BUILD / "book.lock").open("w") as lock:
        try:
            # The kernel frees it when this process ends, however it ends.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            _say("Wait and try again: another process is building the book here.")
            return 1
        try:
            return build(options.cores, options.offline)
        except KeyboardInterrupt:
            _say("", "Interrupted; `make book` goes on with the pages that are missing.")
            return 130


if __name__ == "__main__":
    sys.exit(main())
