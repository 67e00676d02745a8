"""What data there is: names, files, checksums, licences and where each comes from.

The records themselves are in `mixflow.datasets.catalogue`; here is their shape and the
look-up by name. Nothing in this module touches the disk or the network.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["files", "embedded", "generated"]


class DatasetError(ValueError):
    """A data file is missing, corrupt or not what its format promises."""


@dataclass(frozen=True)
class DatasetFile:
    """One data file, as its checksum fixes it.

    Parameters
    ----------
    path
        Place below the data folder, with forward slashes: ``"letter/letter-recognition.data"``.
    bytes
        Size in bytes.
    sha256
        Checksum of the file as stored (of the compressed bytes, for a compressed file).
    urls
        Where it can be downloaded, in the order to try. ``archive.zip#member`` means the
        file ``member`` inside that archive. Empty: it has to be made or copied by hand.
    rebuildable
        Whether it can be made anew from official files with other bytes as the result.
        Such a file is also accepted with the checksum in its sidecar ``<file>.sha256``.
    """

    path: str
    bytes: int
    sha256: str
    urls: tuple[str, ...] = ()
    rebuildable: bool = False

    @property
    def name(self) -> str:
        """File name without its folder."""
        return self.path.rsplit("/", maxsplit=1)[-1]


@dataclass(frozen=True)
class Dataset:
    """One data set: what it holds, whose it is, and the files it needs.

    Parameters
    ----------
    name
        The name to load it by.
    kind
        ``"files"``: read from files with checksums; ``"embedded"``: shipped with a
        dependency; ``"generated"``: drawn from a seed.
    description
        One line: what it holds and how much of it.
    licence
        Terms of use.
    citation
        Whom to cite, with DOI or link.
    where
        Where it comes from, or how to make it when it cannot be downloaded.
    files
        The files; empty unless ``kind`` is ``"files"``.
    shape
        Shape of a sample as published: (D,) or (C, H, W).
    n_train, n_test
        Samples of the two parts that `mixflow.datasets.load_split` gives; 0 where it gives none.
    """

    name: str
    kind: Kind
    description: str
    licence: str
    citation: str
    where: str
    files: tuple[DatasetFile, ...] = ()
    shape: tuple[int, ...] = ()
    n_train: int = 0
    n_test: int = 0

    def file(self, name: str) -> DatasetFile:
        """Return a file of this data set by its path or its bare name.

        Raises
        ------
        ValueError
            No file is called so; the message lists those there are.
        """
        for item in self.files:
            if name in (item.path, item.name):
                return item
        raise ValueError(
            unknown_name(f"file of data set {self.name!r}", name, [f.name for f in self.files])
        )


REGISTRY: dict[str, Dataset] = {}
"""All data sets by name, those with files first; the catalogue fills it."""


def unknown_name(what: str, name: object, options: Iterable[str]) -> str:
    """Return the message for an unknown name, with the closest known one if there is any.

    Examples
    --------
    >>> unknown_name("data set", "mnits", ["letter", "mnist"])
    "unknown data set 'mnits'; did you mean 'mnist'? Known: letter, mnist."
    """
    known = list(options)
    close = difflib.get_close_matches(str(name).lower(), known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    return f"unknown {what} {name!r}{hint} Known: {', '.join(known) or 'none'}."


def names(kind: Kind | None = None) -> list[str]:
    """Return the names of all data sets, or of those of one kind, in catalogue order."""
    return [name for name, dataset in REGISTRY.items() if kind in (None, dataset.kind)]


def get(name: str) -> Dataset:
    """Return the record of a data set.

    Raises
    ------
    ValueError
        No data set is called so; the message names the closest one.
    """
    if name not in REGISTRY:
        raise ValueError(unknown_name("data set", name, REGISTRY))
    return REGISTRY[name]
