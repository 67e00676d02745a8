"""Arrays of a published run, read one by one; weights from the checkout or the data folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mixflow.results import files
from mixflow.results.runs import DamagedRunError

if TYPE_CHECKING:
    from mixflow.results.tables import Published


class PublishedArrays(Mapping[str, np.ndarray]):
    """Name -> array of those that are published.

    Raises
    ------
    DamagedRunError
        If an array is not as it was published.
    DatasetError
        If the run has it, but it is not in the checkout; the message has the remedy.
    """

    def __init__(self, run: Published) -> None:
        self._run = run
        self._read: dict[str, np.ndarray] = {}
        self._weights: Mapping[str, Mapping[str, Any]] = run.entry["weights"]
        listed = run.entry["arrays"]
        self._names = sorted({*self._weights, *(n for n, of in listed.items() if of is not None)})

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._read:
            self._read[name] = self._found(name)
        return self._read[name]

    def verify(self) -> None:
        """Read what is in the checkout, and forget it."""
        for name in self:
            if name not in self._weights or self._own_file().is_file():
                self._found(name)

    def _found(self, name: str) -> np.ndarray:
        if name in self._weights:
            return np.frombuffer(self._weights_file(name), dtype=np.uint8)
        if name not in self._run.entry["arrays"]:
            raise KeyError(name)
        if name not in self._names:
            from mixflow.datasets import DatasetError

            raise DatasetError(
                f"run {self._run.digest} of {self._run.experiment} was published without its array "
                f"{name!r}; '{self._command()}' makes it anew"
            )
        try:
            return files.parse_npy(self._run.table.member(self._run.digest, name))
        except ValueError as error:
            raise DamagedRunError(f"{name} of {self._run.digest}: {error}") from error

    def _weights_file(self, name: str) -> bytes:
        """Return the safetensors file of a fitted model: the checkout's, else the data folder's."""
        path, listed = self._own_file(), self._weights[name]
        if not path.is_file():
            path = self._elsewhere(listed)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DamagedRunError(f"{path}: {error.strerror}") from error
        if files.sha256(content) != listed["sha256"]:
            raise DamagedRunError(f"{path} is not the file that was published (cut or altered?)")
        return content

    def _own_file(self) -> Path:
        return self._run.table.folder / "weights" / f"{self._run.digest}.safetensors"

    def _elsewhere(self, listed: Mapping[str, Any]) -> Path:
        """Return the file where data sets lie; raises ``DatasetError`` where it is not there."""
        from mixflow.datasets import Dataset, DatasetFile, locate_file

        file = f"weights/{self._run.experiment}/{self._run.digest}.safetensors"
        item = DatasetFile(file, bytes=listed["bytes"], sha256=listed["sha256"])
        return locate_file(
            Dataset(
                name=f"weights of {self._run.experiment}",
                kind="files",
                description="a fitted model of a published run",
                licence="that of mixflow",
                citation="",
                where=self._command(),
                files=(item,),
            ),
            item,
        )

    def _command(self) -> str:
        run = self._run
        profile = run.entry["config"]["profile"]
        return f"mixflow run {run.experiment} --profile {profile} --only {run.digest} --force"
