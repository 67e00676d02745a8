"""How parameters move: the shared loop, and EM and variational inference on top of it."""

from mixflow.training.em import EM
from mixflow.training.em_settings import EMSettings
from mixflow.training.groups import Groups
from mixflow.training.loop import Fit, fit
from mixflow.training.objective import LoopSettings, Objective, TrainingDiverged
from mixflow.training.start import start_responsibilities
from mixflow.training.stochastic_em import StochasticEM, StochasticEMSettings
from mixflow.training.vi import VI, VISettings

__all__ = [
    "EM",
    "VI",
    "EMSettings",
    "Fit",
    "Groups",
    "LoopSettings",
    "Objective",
    "StochasticEM",
    "StochasticEMSettings",
    "TrainingDiverged",
    "VISettings",
    "fit",
    "start_responsibilities",
]
