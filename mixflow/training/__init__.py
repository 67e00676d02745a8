"""How parameters move: the shared loop, and EM and variational inference on top of it."""

from mixflow.training.density import DensityFit, fit_density
from mixflow.training.em import EM
from mixflow.training.em_settings import EMSettings
from mixflow.training.gaussian_em import GaussianFits, gaussian_em
from mixflow.training.gaussian_selection import (
    GaussianSelection,
    Smoothing,
    select_gaussian_mixture,
)
from mixflow.training.groups import Groups
from mixflow.training.loop import Fit, fit
from mixflow.training.objective import LoopSettings, Objective, TrainingDiverged
from mixflow.training.start import start_responsibilities
from mixflow.training.stochastic_em import StochasticEM, StochasticEMSettings
from mixflow.training.vi import VI, VISettings

__all__ = [
    "EM",
    "VI",
    "DensityFit",
    "EMSettings",
    "Fit",
    "GaussianFits",
    "GaussianSelection",
    "Groups",
    "LoopSettings",
    "Objective",
    "Smoothing",
    "StochasticEM",
    "StochasticEMSettings",
    "TrainingDiverged",
    "VISettings",
    "fit",
    "fit_density",
    "gaussian_em",
    "select_gaussian_mixture",
    "start_responsibilities",
]
