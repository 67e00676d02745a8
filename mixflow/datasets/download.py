"""Download a file: further tries after faults that pass, and failures in words."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import sys
import tempfile
import time
import warnings
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

from mixflow.datasets.registry import DatasetFile
from mixflow.files import open_atomically, out_of_space

TRIES = 3  # of one address
WAIT_SECONDS = 2.0  # before the second try; twice as long before each further one
CONNECT_SECONDS, READ_SECONDS = 10, 30
_PASSING_CODES = (408, 429, 500, 502, 503, 504)


class WrongFileError(ValueError):
    """An address serves something else than the file."""


class CutError(WrongFileError):
    """What an address serves ends early."""


def download(item: DatasetFile, target: Path) -> list[str]:
    """Download a file from the first of its addresses that serves the right bytes.

    Returns
    -------
    list of str
        Why each address failed, in words; empty when the file is at `target`.
    """
    failures: list[str] = []
    for url in item.urls:
        reason = _from_one(url, item, target)
        if not reason:
            return []
        failures.append(f"{url} {reason}")
    return failures


def _from_one(url: str, item: DatasetFile, target: Path) -> str:
    """Return why an address failed after all its tries; empty when it did not."""
    reason = ""
    for attempt in range(TRIES):
        if attempt:
            wait = WAIT_SECONDS * 2 ** (attempt - 1)
            print(f"{url} {reason}; the next try is in {wait:g} s", file=sys.stderr)
            time.sleep(wait)
        try:
            _write(url, item, target)
        # Of the network, the disk, the checksum, a bad archive, a member not in it.
        except (OSError, ValueError, zipfile.BadZipFile, KeyError) as error:
            reason = in_words(error, target)
            if not passes(error):
                return reason
        else:
            return ""
    return f"{reason} (tried {TRIES} times)"


def _write(url: str, item: DatasetFile, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    for left in target.parent.glob("tmp????????"):  # pooch's, of a process that was killed
        left.unlink(missing_ok=True)
    with open_atomically(target) as stream:
        _fetch(url, stream)
        size = stream.tell()
        stream.seek(0)
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if digest != item.sha256:
            kind = CutError if size < item.bytes else WrongFileError
            raise kind(f"{size} bytes with sha256 {digest[:12]}..., not {item.sha256[:12]}...")


def _fetch(url: str, stream: BinaryIO) -> None:
    """Download `url` to a stream; of ``archive.zip#member`` only the member is kept."""
    get = pooch().HTTPDownloader(
        progressbar=True, chunk_size=1 << 16, timeout=(CONNECT_SECONDS, READ_SECONDS)
    )
    archive, _, member = url.partition("#")
    if not member:
        get(url, stream, None)
        return
    with tempfile.TemporaryFile() as packed:
        get(archive, packed, None)
        with zipfile.ZipFile(packed) as bundle, bundle.open(member) as source:
            shutil.copyfileobj(source, stream)


def passes(error: Exception) -> bool:
    """Say whether the same address may well answer if it is asked again in a while."""
    from requests import exceptions

    if isinstance(error, exceptions.HTTPError):
        return error.response is not None and error.response.status_code in _PASSING_CODES
    broken = (exceptions.Timeout, exceptions.ChunkedEncodingError, CutError)
    return isinstance(error, broken) or _was_reset(error)


def _was_reset(error: Exception) -> bool:
    """Say whether a connection that was there broke off; one that is refused is another thing."""
    from requests import exceptions
    from urllib3.exceptions import ProtocolError

    return isinstance(error, exceptions.ConnectionError) and any(
        isinstance(cause, ProtocolError) for cause in error.args
    )


def in_words(error: Exception, target: Path) -> str:
    """Return what follows the address in a message: that it does not answer, and so on."""
    from requests import exceptions

    said: list[tuple[Any, str]] = [
        (exceptions.ProxyError, "could not be asked: the proxy does not answer"),
        (exceptions.SSLError, "could not be asked: its certificate is not accepted"),
        (exceptions.Timeout, "did not answer in time"),
        (exceptions.ChunkedEncodingError, "broke off"),
        (exceptions.ConnectionError, "could not be reached (no network?)"),
        (exceptions.RequestException, f"could not be asked ({type(error).__name__})"),
        (WrongFileError, f"serves another file: {error}"),
        (zipfile.BadZipFile, "serves no zip archive"),
        (KeyError, f"serves an archive without that member ({error})"),
    ]
    if out_of_space(error):
        return f"was not saved: no space left for {target.parent}"
    if isinstance(error, exceptions.HTTPError) and error.response is not None:
        return f"answered {error.response.status_code} {error.response.reason}".rstrip()
    if _was_reset(error):
        return "broke off"
    with contextlib.suppress(StopIteration):
        return next(words for kind, words in said if isinstance(error, kind))
    reason = getattr(error, "strerror", None) or error
    return f"was not saved: {target.parent} cannot be written ({reason})"


def pooch() -> ModuleType:
    """Import pooch, late because it takes a while; in a page it would ask for widgets."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="IProgress not found")
        import pooch
    return pooch
