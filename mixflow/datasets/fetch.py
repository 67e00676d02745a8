"""Find data files, download those that are missing, and check every one by its SHA-256.

The order of look-up is the folder named by the environment variable ``MIXFLOW_DATA``,
then the user's cache, then a download into that cache. The first copy that exists
counts: a corrupt file in ``MIXFLOW_DATA`` is an error and is not passed over, because
whoever put it there wants to know. A corrupt file in the cache is downloaded again.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from mixflow.datasets import registry
from mixflow.datasets.download import download, pooch
from mixflow.datasets.registry import Dataset, DatasetError, DatasetFile

DATA_VARIABLE = "MIXFLOW_DATA"


@dataclass(frozen=True)
class FileStatus:
    """What is known of one data file on this machine.

    Parameters
    ----------
    file
        Path below the data folder, as registered.
    path
        Where it lies, or where it is to be put if it is missing.
    status
        ``"ok"``, ``"missing"`` or ``"corrupt"``.
    expected
        The registered SHA-256.
    found
        The SHA-256 of what lies at `path`; ``"missing"`` if nothing does;
        ``"unreadable: <reason>"`` if it cannot be read.
    """

    file: str
    path: Path
    status: Literal["ok", "missing", "corrupt"]
    expected: str
    found: str


def data_folder() -> Path | None:
    """Return the folder named by ``MIXFLOW_DATA``, absolute, or None if it is not set."""
    value = os.environ.get(DATA_VARIABLE, "").strip()
    return Path(value).expanduser().absolute() if value else None


def cache_folder() -> Path:
    """Return the user's cache folder for mixflow; it need not exist."""
    return Path(pooch().os_cache("mixflow"))


def locate(name: str, file: str, *, download: bool = True) -> Path:
    """Return the path of a data file whose checksum has been verified.

    Parameters
    ----------
    name
        Data set, such as ``"mnist"``.
    file
        Path or bare name of the file, such as ``"train-labels-idx1-ubyte.gz"``.
    download
        Whether to download a file that is in neither folder.

    Raises
    ------
    ValueError
        Unknown data set or file.
    DatasetError
        The file is missing or corrupt and could not be downloaded. The message gives
        the file, both checksums, the URLs and where to put a good copy.
    """
    dataset = registry.get(name)
    return locate_file(dataset, dataset.file(file), download=download)


def locate_file(dataset: Dataset, item: DatasetFile, *, download: bool = True) -> Path:
    """Return the path of a file of any data set, registered or not; as ``locate`` does."""
    state = _state(item)
    if state.status == "ok":
        return state.path
    in_cache = state.path.is_relative_to(cache_folder())
    if not download or not item.urls or not (state.status == "missing" or in_cache):
        raise DatasetError(_message(dataset, item, state))
    return _download(dataset, item, state)


def fetch(name: str) -> list[Path]:
    """Make sure that all files of a data set are here, downloading those that are missing.

    Returns
    -------
    list of pathlib.Path
        The verified files, in the registered order; empty for data without files.

    Raises
    ------
    ValueError
        Unknown data set.
    DatasetError
        A file is corrupt or could not be downloaded.
    """
    return [locate(name, item.path) for item in registry.get(name).files]


def verify(name: str) -> list[FileStatus]:
    """Check the files of a data set; downloads nothing and reports bad files, not raises.

    Returns
    -------
    list of FileStatus
        One record a file, in the registered order; empty for data without files.

    Raises
    ------
    ValueError
        Unknown data set; for a known one nothing is raised.
    """
    return [_state(item) for item in registry.get(name).files]


def sidecar(path: Path) -> Path:
    """Return the file that holds the checksum of a file made on this machine."""
    return path.with_name(path.name + ".sha256")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, computed once for each version of it.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    info = path.stat()
    return _sha256(path, info.st_mtime_ns, info.st_size)


@lru_cache(maxsize=256)
def _sha256(path: Path, mtime_ns: int, size: int) -> str:
    """Return the SHA-256 of a file; time and size are there as keys of the memo."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _state(item: DatasetFile) -> FileStatus:
    """Return the status of the first copy there is, in the order of look-up."""
    places = _places(item)
    for path in places:
        # lexists: a dangling link is a mistake to report, not an absent file.
        if os.path.lexists(path):
            return _check(item, path)
    return FileStatus(item.path, places[0], "missing", item.sha256, "missing")


def _places(item: DatasetFile) -> list[Path]:
    """Return where a file may lie, in the order of look-up."""
    return [folder / item.path for folder in (data_folder(), cache_folder()) if folder]


def _check(item: DatasetFile, path: Path) -> FileStatus:
    """Return the status of a copy that exists."""
    expected = item.sha256
    try:
        found = sha256(path)
        if found != expected and item.rebuildable and sidecar(path).is_file():
            expected = sidecar(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError as error:
        found = f"unreadable: {error.strerror or error}"
    return FileStatus(item.path, path, "ok" if found == expected else "corrupt", expected, found)


def _download(dataset: Dataset, item: DatasetFile, state: FileStatus) -> Path:
    """Download a file into the cache."""
    target = cache_folder() / item.path
    if failures := download(item, target):
        raise DatasetError(_message(dataset, item, state, failures))
    return target


def _message(
    dataset: Dataset, item: DatasetFile, state: FileStatus, failures: list[str] | None = None
) -> str:
    """Return the message for a file that is missing or corrupt: what, where, what to do."""
    name = dataset.name
    places = _places(item) if state.status == "missing" else [state.path]
    if state.status == "corrupt":
        advice = "Replace it by a good copy, or delete it to look elsewhere."
    elif item.urls:
        advice = (
            f"Put a copy where it is looked for, or run `mixflow data fetch {name}` when online."
        )
    else:
        advice = "It cannot be downloaded as it is: make it as the source says, or copy it there."
    lines = [
        f"data set {name!r}: the file {item.path} is {state.status}.",
        f"{advice} The environment variable {DATA_VARIABLE} names the folder to look in first.",
        *(f"  looked at: {place}" for place in places),
        f"  expected:  sha256 {state.expected} ({item.bytes} bytes)",
        f"  found:     {state.found}",
        f"  source:    {dataset.where}",
    ]
    if failures is None:
        return "\n".join([*lines, *(f"  url:       {url}" for url in item.urls)])
    return "\n".join([*lines, *(f"  download failed: {failure}" for failure in failures)])
