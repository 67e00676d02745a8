"""How parameters move: the shared loop, and EM on top of it."""

from mixflow.training.em import EM, EMSettings
from mixflow.training.groups import Groups
from mixflow.training.loop import Fit, LoopSettings, TrainingDiverged, fit
from mixflow.training.start import start_responsibilities

__all__ = [
    "EM",
    "EMSettings",
    "Fit",
    "Groups",
    "LoopSettings",
    "TrainingDiverged",
    "fit",
    "start_responsibilities",
]
