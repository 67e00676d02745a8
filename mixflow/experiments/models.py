"""Fitted models among a run's arrays, so that readers can ask them what the page does not say."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

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
