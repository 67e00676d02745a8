"""Build the book: what ``make book`` runs once the environment is there.

Snakemake does the work, and its own words go to a log file. Shown are the plan, how far it is,
and at the end where the book is and what it lacks, or why it was not built.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from companion.book.executed import BOOK  # noqa: E402
from companion.book.missing import notes  # noqa: E402
from companion.runs.locks import BusyError, held  # noqa: E402
from mixflow.files import write_atomically  # noqa: E402

BUILD = ROOT / "_build"
LOG, REPORT, INDEX = BUILD / "book.log", BUILD / "book.json", BUILD / "html" / "index.html"
# CPU seconds: of a page on average, and of the rest. Measured on two cores that share a processor.
A_PAGE, THE_REST = 15, 25
MOST_LISTED = 5

_PLANNED = re.compile(r"notebook +(\d+)$")
_FAILED = re.compile(r"Command .*> (\S+) 2>&1' (?:returned|died)")
_TROUBLE = re.compile(r"\b(WARNING|ERROR|\w*Error|\w*Exception)\b")


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

    def read(self, line: str) -> None:
        """Take note of a line of Snakemake's."""
        if (found := _PLANNED.match(line)) and not self.planned:
            self.planned = int(found[1])
        elif line.startswith("Finished jobid") and "(Rule: notebook)" in line:
            self.made += 1
        elif found := _FAILED.match(line):
            self.failed.append(ROOT / found[1])


def build(cores: int, offline: bool) -> int:
    """Build the book; return the exit code."""
    began, progress = time.monotonic(), Progress()
    with _environment(offline) as environment:
        options = ["--forcerun", "notebook"] if offline else []
        code = _snakemake(cores, options, environment, progress)
        refused = _lines(environment.get("MIXFLOW_REFUSED"))
    if code:
        _say(why_not(progress))
        return 1
    lacks, warnings = looked_through(ROOT / BOOK)
    seconds = time.monotonic() - began
    if progress.made:
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        report = {
            "pages": len(_pages_in(ROOT / BOOK)),
            "made": progress.made,
            "offline": offline,
            "lacks": lacks,
            "warnings": warnings,
            "refused": refused,
            "seconds": round(seconds),
            "cpu_seconds": round(spent.ru_utime + spent.ru_stime),
        }
        write_atomically(REPORT, (json.dumps(report, indent=1) + "\n").encode())
    _say(summary(progress.made, lacks, seconds))
    return 0


def _snakemake(
    cores: int, options: Iterable[str], environment: Mapping[str, str], progress: Progress
) -> int:
    """Run Snakemake to its end, with a bar of pages; return its exit code."""
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--nolock", *options]
    command += ["--workflow-profile", "workflow/profiles/local"]
    with (
        LOG.open("w", encoding="utf-8") as log,
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        lines = _kept(process.stdout or (), log)
        for line in lines:
            progress.read(line)
            if progress.planned:
                _say(plan(progress.planned, cores))
                break
        rarely = 0.5 if sys.stderr.isatty() else 20.0
        nothing = not progress.planned
        with tqdm(total=progress.planned, unit="page", mininterval=rarely, disable=nothing) as bar:
            for line in lines:
                progress.read(line)
                bar.update(progress.made - bar.n)
    return process.returncode


def _kept(lines: Iterable[str], log: TextIO) -> Iterator[str]:
    """Yield lines that are written into a log as they come."""
    for line in lines:
        log.write(line)
        yield line


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
        environment["XDG_CACHE_HOME"] = str(Path(folder, "cache"))
        environment["MIXFLOW_REFUSED"] = str(Path(folder, "refused"))
        # A page that had to look for fonts would say that it takes a while.
        look_for_fonts = [sys.executable, "-c", "import matplotlib.font_manager"]
        subprocess.run(look_for_fonts, env=environment, check=True)
        yield environment


def looked_through(pages: Path) -> tuple[list[str], list[str]]:
    """Return the cells that show a note for want of a file, and those that show warnings."""
    lacks, warnings = [], []
    for path in _pages_in(pages):
        page = json.loads(path.read_bytes())
        lacks += [f"{path.stem}, cell {number}: {note}" for number, note in notes(page)]
        for number, cell in enumerate(page["cells"], 1):
            hidden = "remove-stderr" in cell["metadata"].get("tags", ())
            if not hidden and any(o.get("name") == "stderr" for o in cell.get("outputs", ())):
                warnings.append(f"{path.stem}, cell {number}")
    return lacks, warnings


def _pages_in(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("*.ipynb") if not p.stem.endswith(".partial"))


def _lines(path: str | None) -> list[str]:
    return Path(path).read_text().splitlines() if path and Path(path).is_file() else []


# What is said -------------------------------------------------------------------------------------


def plan(n_pages: int, cores: int) -> list[str]:
    """Return what is going to be done, and how long it takes."""
    seconds = n_pages * A_PAGE / min(cores, n_pages) + THE_REST
    return [
        f"{_count(n_pages)} to make, {cores} at a time: about {_duration(seconds)}.",
        "Nothing is downloaded: pages show stored results.",
        f"Snakemake's own words: {_relative(LOG)}",
    ]


def summary(made: int, lacks: list[str], seconds: float) -> list[str]:
    """Return where the book is, what was made, and what it lacks."""
    lines = [f"{_count(made)} made anew in {_duration(seconds)}."]
    if lacks:
        lines.append(f"{len(lacks)} cell{'s show' if len(lacks) > 1 else ' shows'} a note instead:")
        lines += [f"  {line}" for line in lacks[:MOST_LISTED]]
        if len(lacks) > MOST_LISTED:
            lines.append(f"  and {len(lacks) - MOST_LISTED} more")
        lines.append(f"Once the files are there: rm -r {BOOK}, then make book.")
    return [*lines, f"The book: {INDEX.as_uri()}"]


def why_not(progress: Progress) -> list[str]:
    """Return why there is no book: what to do, then the reason, of the first that failed."""
    logs = [log for log in progress.failed if log.is_file()] or [LOG]
    stay = f" Made anew and kept: {_count(progress.made)}." if progress.made else ""
    lines = [f"The book was not built.{stay} Mend what the last lines name, then make book again."]
    if len(logs) > 1:
        lines.append(f"{len(logs)} failed; the others: {', '.join(map(_relative, logs[1:]))}")
    text = logs[0].read_text(encoding="utf-8", errors="replace")
    return [*lines, f"The log: {_relative(logs[0])}", *reason(text)]


def reason(text: str) -> list[str]:
    """Return the lines of a log that say what went wrong, at most four."""
    lines = [line for line in text.splitlines() if line.strip()]
    ours = [n for n, line in enumerate(lines) if line.startswith("error: ")]
    if ours:
        return lines[ours[-1] : ours[-1] + 4]
    return [line for line in lines if _TROUBLE.search(line)][:4] or lines[-4:]


def _count(pages: int) -> str:
    return f"{pages or 'No'} page{'' if pages == 1 else 's'}"


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.0f} s"


def _relative(path: Path) -> str:
    return os.path.relpath(path, ROOT)


def _say(lines: Iterable[str]) -> None:
    print(*lines, sep="\n", flush=True)


def main() -> int:
    """Read the command line and build, unless another process does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--offline", action="store_true", help="every page, without a network")
    options = parser.parse_args()
    try:
        with held(BUILD / "book.lock", "building the book here"):
            return build(options.cores, options.offline)
    except BusyError as error:
        _say([str(error)])
        return 1
    except KeyboardInterrupt:
        _say(["", "Interrupted; make book goes on with the pages that are missing."])
        return 130


if __name__ == "__main__":
    sys.exit(main())
