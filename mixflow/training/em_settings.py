"""The settings of expectation-maximization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mixflow.training.schedules import Temperature

MStep = Literal["auto", "sparse", "dense"]


@dataclass(frozen=True)
class EMSettings:
    """What is particular to EM.

    Attributes
    ----------
    em_every
        Epochs between E-steps.
    temperature
        T of the posterior: a number (1 is Bayes' rule), a pair (start, end), or
        "per_dimension", as published.
    m_step
        ``"dense"``: every component sees every sample, weighted by its responsibility.
        ``"sparse"``: every flow draws samples in proportion to the responsibilities of the
        components that go through it; the cost of an epoch does not grow with the number of
        flows. ``"auto"``: dense while a group fits into one batch, which makes the M-step
        exact, or where a group has one flow; else sparse.
    batch_size
        Samples of each group in one step, all components together.
    noise
        Sd of Gaussian noise on x, drawn anew in every M-step pass.
    e_step_noise
        Sd of the noise on x in E-steps and validation, one draw for all components. None for
        noise that only keeps flows from overfitting; that of the M-step for noise that makes
        discrete values, such as grey levels, continuous.
    min_mass
        A component whose summed responsibilities fall below this many samples is dead.
    restart_dead
        Restart a dead component as a half of its group's largest one; otherwise only warn.
    compile
        Compile the M-step's densities with ``torch.compile``.
    """

    em_every: int = 5
    temperature: Temperature = 1.0
    m_step: MStep = "auto"
    batch_size: int = 256
    noise: float = 0.0
    e_step_noise: float = 0.0
    min_mass: float = 1.0
    restart_dead: bool = True
    compile: bool = False
