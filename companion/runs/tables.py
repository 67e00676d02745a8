"""Published runs of an experiment: one table of runs, one of rows, one archive of arrays.

In the folder of an experiment, ``runs.jsonl`` has a line a run, sorted by digest: its config, its
provenance, the sha256 of the files that it was saved in, its arrays and weights by name. Every line
begins with a checksum of the rest. ``rows.csv`` has the rows of all runs, in the same order; those
of a run, their digest aside, are the bytes of which its line has the sha256. ``arrays.npz`` has
members ``<digest>/<name>``, and ``weights`` a safetensors file for each fitted model.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from itertools import groupby
from pathlib import Path
from typing import Any

from companion.runs import formats
from companion.runs.places import DIGEST
from companion.runs.published_arrays import PublishedArrays
from companion.runs.result import ROW_COLUMNS
from companion.runs.stored import DamagedRunError, Place, Record, parsed_config, parsed_table
from mixflow.files import parse_json

RUNS, ROWS, ARRAYS, WEIGHTS = "runs.jsonl", "rows.csv", "arrays.npz", "weights"
HEAD = (",".join(ROW_COLUMNS) + "\n").encode()
_PREFIX = len(b"0123456789ab,")
_HEAD = b'{"check": "%s", "run": '


@dataclass(frozen=True)
class Table:
    """The published runs of an experiment, as their files are now.

    Attributes
    ----------
    folder
        Where the files lie.
    entries
        Digest -> what ``runs.jsonl`` says of the run, of the lines that are intact.
    rows
        Digest -> lines of ``rows.csv``, without the digest.
    problems
        What is wrong with the files as such, one text each.
    """

    folder: Path
    entries: Mapping[str, dict[str, Any]]
    rows: Mapping[str, bytes]
    problems: tuple[str, ...] = ()

    @cached_property
    def archive(self) -> zipfile.ZipFile:
        """The arrays; in memory, since another process may put a new file in its place."""
        return zipfile.ZipFile(io.BytesIO((self.folder / ARRAYS).read_bytes()))

    def member(self, digest: str, name: str) -> bytes:
        """Return an array of a run, as the content of a ``.npy`` file, after checking its hash.

        Raises
        ------
        DamagedRunError
            If it is missing, cut or altered.
        """
        expected = self.entries[digest]["arrays"][name]
        try:
            content = self.archive.read(f"{digest}/{name}.npy")
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise DamagedRunError(f"{self.folder / ARRAYS}: {name} of {digest}: {error}") from None
        if short_hash(content) != expected:
            raise DamagedRunError(
                f"{self.folder / ARRAYS}: {name} of {digest} is not what {RUNS} lists"
            )
        return content

    def runs(self, experiment: str) -> Iterator[Published]:
        """Yield the runs, sorted by digest."""
        for digest in sorted(self.entries):
            yield self.run(experiment, digest)

    def run(self, experiment: str, digest: str) -> Published:
        """Return one of the runs."""
        return Published(experiment, self.folder / RUNS, digest, self)


@dataclass(frozen=True)
class Published(Place):
    """A run that is published: a line of a table."""

    name: str
    table: Table

    @property
    def digest(self) -> str:
        """The 12 hex digits of the config, which name the run."""
        return self.name

    @property
    def is_unfinished(self) -> bool:
        """Never: it was published whole."""
        return False

    @property
    def entry(self) -> dict[str, Any]:
        """What the line says."""
        return self.table.entries[self.name]

    def signature(self) -> dict[str, Any]:
        """Return file -> sha256 of the directory that was published."""
        signature: dict[str, Any] = self.entry["sha256"]
        return signature

    def record(self) -> Record:
        """Return config, provenance and rows, after checking the rows against the line."""
        content = HEAD + self.table.rows.get(self.name, b"")
        if formats.sha256(content) != self.signature().get(ROWS):
            raise DamagedRunError(
                f"{self}: the rows of it in {ROWS} are not those that were published; restore both "
                "tables by 'git checkout'"
            )
        return Record(dict(self.entry["config"]), dict(self.entry["provenance"]), content)

    def arrays(self) -> PublishedArrays:
        """Return the arrays that were published."""
        member = partial(self.table.member, self.name)
        return PublishedArrays(self.table.folder, self.experiment, self.entry, member)

    def verify(self) -> None:
        """Read everything of the run that is in the checkout.

        Raises
        ------
        DamagedRunError
            If something is not as it was published.
        """
        self.read()
        for name in ("config", "provenance"):
            if (
                formats.sha256(formats.json_bytes(self.entry[name]))
                != self.signature()[f"{name}.json"]
            ):
                raise DamagedRunError(f"{self}: its {name} was changed")
        self.arrays().verify()

    def __str__(self) -> str:
        return f"{self.path}: {self.name}"


# Reading ------------------------------------------------------------------------------------------


def read_table(folder: Path) -> Table | None:
    """Return the published runs of an experiment; None where there are none.

    Raises
    ------
    DamagedRunError
        If one of its tables cannot be read at all.
    """
    try:
        stamps = tuple(_stamp(folder / name) for name in (RUNS, ROWS, ARRAYS))
    except OSError as error:
        raise DamagedRunError(f"{folder}: unreadable ({error.strerror})") from None
    return None if stamps[0] is None else _read(folder, stamps)


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        info = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return info.st_ino, info.st_size, info.st_mtime_ns


@lru_cache(maxsize=64)
def _read(folder: Path, stamps: tuple[object, ...]) -> Table:
    """Read the tables; the stamps are there as keys of the memo."""
    try:
        lines = (folder / RUNS).read_bytes().splitlines()
        rows = _rows((folder / ROWS).read_bytes())
    except (OSError, ValueError) as error:
        raise DamagedRunError(f"{folder}: {error}") from None
    entries, problems = _entries(lines)
    orphans = sorted(rows.keys() - entries.keys())
    problems += [f"{ROWS} has rows of {digest}, which {RUNS} does not list" for digest in orphans]
    return Table(folder, entries, rows, tuple(f"{folder}: {problem}" for problem in problems))


def _entries(lines: Iterable[bytes]) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return the entries of the intact lines, and what is wrong with the others."""
    entries: dict[str, dict[str, Any]] = {}
    problems = []
    for number, line in enumerate(lines, 1):
        try:
            entry = parse_entry(line)
            if entry["digest"] in entries:
                raise ValueError(f"a second line of {entry['digest']}")
        except (ValueError, OverflowError) as error:
            problems.append(f"{RUNS}, line {number}: {error}")
            continue
        entries[entry["digest"]] = entry
    return entries, problems


def parse_entry(line: bytes) -> dict[str, Any]:
    """Return what a line of ``runs.jsonl`` says of a run; ``ValueError`` if it is damaged."""
    body = line[len(_HEAD % b"0123456789abcdef") : -1]
    if line != entry_line_of(body)[:-1]:
        raise ValueError("the line is not what its checksum says (cut, or edited by hand?)")
    entry = parsed_table(parse_json(body), "the run")
    if not DIGEST.fullmatch(str(entry.get("digest"))):
        raise ValueError(f"{entry.get('digest')!r} is no digest")
    parsed_config(entry.get("config"))
    for name in ("provenance", "sha256", "arrays", "weights"):
        parsed_table(entry.get(name), name)
    return entry


def entry_line(entry: Mapping[str, Any]) -> bytes:
    """Return the line of ``runs.jsonl`` that says this of a run."""
    return entry_line_of(json.dumps(entry, sort_keys=True).encode())


def entry_line_of(body: bytes) -> bytes:
    """Return a line, of the JSON of what it says."""
    return (_HEAD % short_hash(body).encode()) + body + b"}\n"


def short_hash(content: bytes) -> str:
    """Return the first 16 hex digits of the sha256: against accidents, of which there are few."""
    return formats.sha256(content)[:16]


def _rows(content: bytes) -> dict[str, bytes]:
    """Return digest -> lines without it; ``ValueError`` if the columns are other ones."""
    head, *lines = content.split(b"\n")
    if head + b"\n" != b"digest," + HEAD:
        raise ValueError(f"{ROWS}: columns are {head[:80]!r}")
    if lines.pop() if lines else True:
        lines.append(b"")  # the last line is cut: it counts as one of no run
    found: dict[str, bytes] = {}
    for prefix, of in groupby(lines, key=lambda line: line[:_PREFIX]):
        digest = prefix[:-1].decode("ascii", "replace")
        block = b"".join(line[_PREFIX:] + b"\n" for line in of)
        found[digest] = found.get(digest, b"") + block
    return found


def rows_table(rows: Mapping[str, bytes]) -> bytes:
    """Return ``rows.csv`` of digest -> lines without the digest."""
    parts = [b"digest," + HEAD]
    for digest in sorted(rows):
        prefix = digest.encode() + b","
        parts += [prefix + line + b"\n" for line in rows[digest].split(b"\n")[:-1]]
    return b"".join(parts)
