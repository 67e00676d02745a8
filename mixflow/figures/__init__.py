"""Figures of the book: one function, one figure. Readable without colour."""

from mixflow.figures.classification import (
    accuracy_by_components,
    accuracy_over_epochs,
    by_components,
    curves_by_components,
)
from mixflow.figures.density import density, plane, side_by_side

__all__ = [
    "accuracy_by_components",
    "accuracy_over_epochs",
    "by_components",
    "curves_by_components",
    "density",
    "plane",
    "side_by_side",
]
