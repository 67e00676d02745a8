"""Fitted models among a run's arrays, so that readers can ask them what the page does not say."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from mixflow.estimators import load


def pack(model: Any) -> np.ndarray:
    """Return a fitted estimator's file as an array of bytes, uint8."""
    with tempfile.TemporaryDirectory() as folder:
        content = model.save(Path(folder) / "model.safetensors").read_bytes()
    return np.frombuffer(content, dtype=np.uint8)


def unpack(content: np.ndarray) -> Any:
    """Return the estimator that ``pack`` wrote; raises as :func:`mixflow.load` does."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        path.write_bytes(content.tobytes())
        return load(path)
