"""Checkpoints: one safetensors file, written whole or not at all, checked when read."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn


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
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {n: t.detach().cpu().contiguous().clone() for n, t in checkpoint.tensors.items()}
    record = json.dumps(checkpoint.record, default=float)
    metadata = {"record": record, "sha256": digest(tensors, record)}
    temporary = path.with_suffix(f".{os.getpid()}.partial")
    try:
        save_file(tensors, temporary, metadata=metadata)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def load_checkpoint(path: Path) -> Checkpoint | None:
    """Read a checkpoint; None when there is none, or, with a warning, when it is damaged."""
    for partial in path.parent.glob(f"{path.stem}.*.partial"):
        partial.unlink(missing_ok=True)  # of a process killed while it wrote
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        record = json.loads(metadata["record"])
        if metadata["sha256"] != digest(tensors, metadata["record"]):
            raise ValueError("checksum does not match")
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        warnings.warn(
            f"ignoring the damaged checkpoint {path} ({error}); the fit starts anew", stacklevel=2
        )
        return None
    return Checkpoint(tensors, record)


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


def digest(tensors: dict[str, Tensor], text: str = "") -> str:
    """Return the SHA-256 of named tensors (names, dtypes, shapes, values) and a text."""
    sha = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        values = tensor.detach().cpu().contiguous().reshape(-1)
        sha.update(values.view(torch.uint8).numpy().data)
    return sha.hexdigest()


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
