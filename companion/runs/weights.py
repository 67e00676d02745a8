"""Fitted models among a run's arrays, so that readers can ask them what the page does not say."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as read_tensors
from safetensors.torch import save as write_tensors

from mixflow.estimators import load


def pack(model: Any) -> np.ndarray:
    """Return a fitted estimator's file as an array of bytes, uint8; equal models, equal bytes."""
    with tempfile.TemporaryDirectory() as folder:
        content = model.save(Path(folder) / "model.safetensors").read_bytes()
    # A safetensors file is the header's length in 8 bytes, the header as JSON, and the tensors;
    # the writer puts the header's metadata in random order.
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8:end]), sort_keys=True).encode()
    header += b" " * (-len(header) % 8)
    ordered = len(header).to_bytes(8, "little") + header + content[end:]
    return np.frombuffer(ordered, dtype=np.uint8)


def unpack(content: np.ndarray) -> Any:
    """Return the estimator that ``pack`` wrote; raises as :func:`mixflow.load` does."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        path.write_bytes(content.tobytes())
        return load(path)


def pack_weights(state: Mapping[str, torch.Tensor]) -> np.ndarray:
    """Return a module's state as an array of bytes, uint8, floats rounded to 16 bits.

    Raises
    ------
    ValueError
        If a number is NaN, or too large for 16 bits (65504).
    """
    rounded = {n: t.cpu().half() if t.is_floating_point() else t.cpu() for n, t in state.items()}
    bad = [n for n, t in rounded.items() if t.is_floating_point() and not t.isfinite().all()]
    if bad:
        raise ValueError(f"weights are NaN or beyond 65504, too large for 16 bits: {bad}")
    # Equal states, equal bytes: the writer sorts tensors by type and name.
    content = write_tensors({n: rounded[n].contiguous() for n in sorted(rounded)})
    return np.frombuffer(content, dtype=np.uint8)


def unpack_weights(content: np.ndarray) -> dict[str, torch.Tensor]:
    """Return the state that ``pack_weights`` wrote, floats as float32.

    Raises
    ------
    ValueError
        If the bytes are damaged.
    """
    try:
        state = read_tensors(content.tobytes())
    except SafetensorError as error:
        raise ValueError(f"the stored weights are damaged ({error}); run again") from None
    return {n: t.float() if t.is_floating_point() else t for n, t in state.items()}
