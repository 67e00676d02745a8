"""Neural mixture models: mixtures of flows with scikit-learn's conventions.

The names below are loaded when first used, so that ``import mixflow`` costs nothing.
"""

from __future__ import annotations

import importlib
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mixflow.estimators import (
        BasisDensity,
        GenMM,
        LatMM,
        MixtureClassifier,
        RotatedBasisDensity,
        VMoNF,
        load,
    )

__all__ = [
    "BasisDensity",
    "GenMM",
    "LatMM",
    "MixtureClassifier",
    "RotatedBasisDensity",
    "VMoNF",
    "__version__",
    "load",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return version("mixflow")
    if name in __all__:
        return getattr(importlib.import_module("mixflow.estimators"), name)
    raise AttributeError(f"module 'mixflow' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
