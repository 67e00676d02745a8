"""Arrays of a published run, read one by one; weights from the checkout or the data folder."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from companion.runs import formats, registry
from companion.runs.stored import DamagedRunError


class PublishedArrays(Mapping[str, np.ndarray]):
    """Name -> array of those that are published.

    Parameters
    ----------
    folder, experiment
        Where the experiment's tables lie, and its name.
    entry
        What ``runs.jsonl`` says of the run.
    member
        Name -> content of a ``.npy`` file, of the arrays that are in the archive.

    Raises
    ------
    DamagedRunError
        If an array is not as it was published.
    DatasetError
        If the run has it, but it is not in the checkout; the message has the remedy.
    """

    def __init__(
        self,
        folder: Path,
        experiment: str,
        entry: Mapping[str, Any],
        member: Callable[[str], bytes],
    ) -> None:
        self._folder, self._experiment, self._entry, self._member = (
            folder,
            experiment,
            entry,
            member,
        )
        self._digest: str = entry["digest"]
        self._weights: Mapping[str, Mapping[str, Any]] = entry["weights"]
        archived = (name for name, of in entry["arrays"].items() if of is not None)
        self._names = sorted({*self._weights, *archived})
        self._read: dict[str, np.ndarray] = {}

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
        if name not in self._entry["arrays"]:
            raise KeyError(name)
        if name not in self._names:
            from mixflow.datasets import DatasetError

            raise DatasetError(
                f"run {self._digest} of {self._experiment} was published without its array "
                f"{name!r}; '{self._command()}' makes it anew"
            )
        try:
            return formats.parse_npy(self._member(name))
        except ValueError as error:
            raise DamagedRunError(f"{name} of {self._digest}: {error}") from error

    def _weights_file(self, name: str) -> bytes:
        """Return the safetensors file of a fitted model: the checkout's, else the data folder's."""
        path, listed = self._own_file(), self._weights[name]
        if not path.is_file():
            path = self._elsewhere(listed)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DamagedRunError(f"{path}: {error.strerror}") from error
        if formats.sha256(content) != listed["sha256"]:
            raise DamagedRunError(f"{path} is not the file that was published (cut or altered?)")
        return content

    def _own_file(self) -> Path:
        return self._folder / "weights" / f"{self._digest}.safetensors"

    def _elsewhere(self, listed: Mapping[str, Any]) -> Path:
        """Return the file where data sets lie; raises ``DatasetError`` where it is not there."""
        from mixflow.datasets import Dataset, DatasetFile, locate_file

        file = f"weights/{self._experiment}/{self._digest}.safetensors"
        item = DatasetFile(file, bytes=listed["bytes"], sha256=listed["sha256"])
        return locate_file(
            Dataset(
                name=f"weights of {self._experiment}",
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
        return command_of(self._experiment, self._entry["config"], self._digest)


def command_of(name: str, config: Mapping[str, Any], digest: str) -> str:
    """Return the command that computes a run anew, be it a point of a plan or not."""
    profile, experiment = config["profile"], registry.find(name)
    if digest in {planned.digest() for planned in experiment.configs(profile)}:
        which = f"--only {digest}"
    else:
        texts = {n: v if isinstance(v, str) else json.dumps(v) for n, v in config.items()}
        fields = [n for n in texts if n not in ("profile", "seed")]
        values = (shlex.quote(f"{field}={texts[field]}") for field in fields)
        which = " ".join([*(f"-p {value}" for value in values), f"--seeds {config['seed']}"])
    return f"mixflow run {name} --profile {profile} {which} --force"
