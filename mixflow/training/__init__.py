"""How parameters move: the shared loop, and EM on top of it."""

from mixflow.training.em import EM, EMSettings
from mixflow.training.groups import Groups
from mixflow.training.loop import Fit, fit
from mixflow.training.objective import LoopSettings, Objective, TrainingDiverged
from mixflow.training.start import start_responsibilities

__all__ = [
    "EM",
    "EMSettings",
    "Fit",
    "Groups",
    "LoopSettings",
    "Objective",
    "TrainingDiverged",
    "fit",
    "start_responsibilities",
]
