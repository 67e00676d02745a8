"""Checkpoints: one safetensors file, written whole or not at all, checked when read."""

from __future__ import annotations

import hashlib
import json
import shutil
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from mixflow.files import sweep, write_atomically

# Of a checkpoint: raised when what is in it, or what it means, changes.
FORMAT = 2


@dataclass
class Checkpoint:
    """Tensors by name and a JSON-able record: all that a fit needs to go on."""

    tensors: dict[str, Tensor]
    record: dict[str, Any] = field(default_factory=dict)

    def part(self, prefix: str) -> dict[str, Tensor]:
        """Return the tensors under ``prefix/``, names without it."""
        start = prefix + "/"
        return {n[len(start) :]: t for n, t in self.tensors.items() if n.startswith(start)}


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint atomically: a reader sees the old file or the new one.

    Raises
    ------
    OSError
        If the disk is full or the folder cannot be written; the old file stays.
    """
    content = file_bytes(checkpoint.tensors, "record", json.dumps(checkpoint.record, default=float))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
    except OSError as error:
        raise OSError(error.errno, _remedy(path, len(content), error)) from error


def load_checkpoint(path: Path) -> Checkpoint | None:
    """Read a checkpoint; None when there is none, or, with a warning, when it is damaged."""
    sweep(path.parent, path.name)
    if not path.exists():
        return None
    try:
        tensors, text = read_file(path, "record")
        record = json.loads(text)
        if not isinstance(record, dict):
            raise ValueError("its record is no object")
    except (OSError, ValueError, RecursionError) as error:
        warnings.warn(
            f"ignoring the damaged checkpoint {path} ({error}); the fit starts anew", stacklevel=2
        )
        return None
    return Checkpoint(tensors, record)


def _remedy(path: Path, size: int, error: OSError) -> str:
    """Return what to do about a checkpoint that could not be written."""
    folder = next(p for p in path.absolute().parents if p.is_dir())
    free = shutil.disk_usage(folder).free
    then = (
        "goes on from the last good checkpoint" if path.is_file() else "starts anew: none is there"
    )
    return (
        f"make room in {path.parent}, or let checkpoints go elsewhere: the checkpoint could not be "
        f"written ({error.strerror or error}); it needs {size / 1e6:.2f} MB, and {free / 1e6:.2f} "
        f"MB are free. The same call then {then}"
    )


# Files of tensors ----------------------------------------------------------------------------


def file_bytes(tensors: dict[str, Tensor], name: str, text: str) -> bytes:
    """Return a safetensors file whose header holds a text, and a checksum of both."""
    copies = {n: t.detach().cpu().contiguous().clone() for n, t in tensors.items()}
    content: bytes = save(copies, {name: text, "sha256": digest(copies, text)})
    return content


def read_file(path: Path, name: str) -> tuple[dict[str, Tensor], str]:
    """Return what ``parse_bytes`` gives of a file.

    The tensors are in memory: what becomes of the file later does not change them.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is damaged, or of another kind.
    """
    return parse_bytes(path.read_bytes(), name)


def parse_bytes(content: bytes, name: str) -> tuple[dict[str, Tensor], str]:
    """Return the tensors and the text of what ``file_bytes`` gave.

    Raises
    ------
    ValueError
        If it is damaged, or of another kind.
    """
    try:
        # Empty ones come on torch's default device.
        tensors = {
            n: t if t.numel() else torch.empty(t.shape, dtype=t.dtype, device="cpu")
            for n, t in load(content).items()
        }
        # A safetensors file is the header's length in 8 bytes, the header as JSON, and the tensors.
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        text, checksum = header["__metadata__"][name], header["__metadata__"]["sha256"]
        if checksum != digest(tensors, text):
            raise ValueError("checksum does not match")
    except (SafetensorError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(str(error)) from None
    return tensors, text


def digest(tensors: dict[str, Tensor], text: str = "") -> str:
    """Return the SHA-256 of named tensors (names, dtypes, shapes, values) and a text."""
    sha = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        values = tensor.detach().cpu().contiguous().reshape(-1)
        sha.update(values.view(torch.uint8).numpy().data)
    return sha.hexdigest()


# What is in a checkpoint ---------------------------------------------------------------------


def layout(tensors: dict[str, Tensor]) -> dict[str, list[Any]]:
    """Return dtypes and shapes by name, for JSON."""
    return {name: [str(t.dtype), list(t.shape)] for name, t in sorted(tensors.items())}


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the optimiser's state as ``index/name`` -> tensor."""
    state = optimizer.state_dict()["state"]
    return {f"{i}/{name}": value for i, slot in state.items() for name, value in slot.items()}


def load_optimizer_tensors(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what ``optimizer_tensors`` gave."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        index, key = name.split("/")
        state.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def architecture(module: nn.Module) -> dict[str, tuple[str, dict[str, object]]]:
    """Return what a state must fit: every submodule's class, attributes and shapes by name."""
    out: dict[str, tuple[str, dict[str, object]]] = {}
    for name, part in module.named_modules():
        plain: dict[str, object] = {
            n: v for n, v in vars(part).items() if isinstance(v, int | float | str | tuple)
        }
        own = [*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)]
        shapes = {n: (tuple(t.shape), str(t.dtype)) for n, t in own}
        del plain["training"]
        out[name] = type(part).__name__, {**plain, **shapes}
    return out
