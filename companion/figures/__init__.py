"""Figures of the book: one function, one figure. Readable without colour."""

from companion.figures.animation import training_frames
from companion.figures.classification import (
    accuracy_by_components,
    accuracy_over_epochs,
    by_components,
    curves_by_components,
)
from companion.figures.density import density, plane, side_by_side
from companion.figures.style import use_theme
from companion.figures.table_2 import components_of_classes, left_out, sharing
from companion.figures.vmonf import (
    accuracies_over_epochs,
    contingency,
    data_and_posterior,
    image_grid,
    samples_by_component,
    success_over_seeds,
    training_curves,
)

use_theme()

__all__ = [
    "accuracies_over_epochs",
    "accuracy_by_components",
    "accuracy_over_epochs",
    "by_components",
    "components_of_classes",
    "contingency",
    "curves_by_components",
    "data_and_posterior",
    "density",
    "image_grid",
    "left_out",
    "plane",
    "samples_by_component",
    "sharing",
    "side_by_side",
    "success_over_seeds",
    "training_curves",
    "training_frames",
]
