"""Proposition 2 of EM-GM: generalised EM never lowers the bound; with minibatches it does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from tqdm import tqdm

from companion.runs.config import Config
from companion.runs.experiment import Experiment, RunContext
from companion.runs.result import Result
from mixflow.datasets import pinwheel
from mixflow.flows import VectorFlow
from mixflow.mixtures import GenMM
from mixflow.training import EM, EMSettings, Groups, start_responsibilities

Way = Literal["line search", "Adam, all samples", "Adam, minibatches"]
WAYS: tuple[Way, ...] = ("line search", "Adam, all samples", "Adam, minibatches")
# A fall of the mean bound below this is rounding in float64.
ROUNDING = 1e-10
MStep = Callable[[], None]


class Convergence(Config):
    """One fit of a mixture of flows in the plane, all in float64."""

    way: Way = Field("line search", description="how the M-step climbs")
    n_components: int = Field(5, ge=1, description="K, and the wings of the pinwheel")
    size: int = Field(200, ge=10, description="samples of a wing")
    n_layers: int = Field(4, ge=1, description="couplings of a flow")
    hidden_features: int = Field(16, ge=1)
    iterations: int = Field(80, ge=2, description="of EM: an E-step and an M-step each")
    steps: int = Field(10, ge=1, description="gradient steps of an M-step")
    learning_rate: float = Field(5e-3, gt=0, description="Adam's")
    batch_size: int = Field(100, ge=1, description="of minibatches")


def run(config: Convergence, context: RunContext) -> Result:
    """Alternate E- and M-steps; look at the bound on all samples after each."""
    torch.manual_seed(config.seed)
    em = _em(config)
    climb = _m_step(em, config)
    bounds, weights = [], []
    for _ in tqdm(range(config.iterations), desc=config.way, disable=not context.progress, delay=5):
        bounds.append(em.e_step(1.0)["lower_bound"])
        weights.append(em.mixture.log_weights.exp().numpy().copy())
        climb()
        bounds.append(_bound(em))
    bounds.append(em.e_step(1.0)["lower_bound"])
    return Result(
        _rows(config, np.array(bounds)),
        {"bound": np.array(bounds), "weights": np.array(weights)},
    )


def _em(config: Convergence) -> EM:
    """Return EM on a pinwheel in float64, at a random start, with exact M-steps at hand."""
    x, _ = pinwheel(config.size, n_wings=config.n_components, random_state=config.seed)
    x = (x - x.mean(0)) / x.std()
    groups = Groups.single(len(x))
    flow = VectorFlow(
        config.n_components, 2, n_layers=config.n_layers, hidden_features=config.hidden_features
    )
    responsibilities = start_responsibilities(
        x, groups, config.n_components, method="random", seed=config.seed
    )
    settings = EMSettings(m_step="dense", batch_size=len(x), restart_dead=False)
    em = EM(GenMM(flow).double(), torch.from_numpy(x), groups, responsibilities, settings)
    em.start()
    return em


def _m_step(em: EM, config: Convergence) -> MStep:
    """Return what climbs Q for so many gradient steps."""
    parameters = list(em.mixture.parameters())
    if config.way == "line search":
        return lambda: _line_search(em, parameters, config.steps)
    adam = torch.optim.Adam(parameters, config.learning_rate)
    generator = torch.Generator().manual_seed(config.seed)

    def climb() -> None:
        for _ in range(config.steps):
            adam.zero_grad()
            minibatch = config.way == "Adam, minibatches"
            (_minibatch_loss(em, config, generator) if minibatch else em.loss(0)).backward()
            adam.step()

    return climb


def _line_search(em: EM, parameters: list[torch.nn.Parameter], steps: int) -> None:
    """Climb Q by L-BFGS; strong Wolfe conditions let no step lower it."""
    search = torch.optim.LBFGS(parameters, max_iter=steps, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        search.zero_grad()
        loss = em.loss(0)
        loss.backward()
        return loss

    before = [parameter.detach().clone() for parameter in parameters]
    start = closure().item()
    search.step(closure)
    with torch.no_grad():
        if not em.loss(0).item() <= start:  # the search gave up: stay, as the proposition allows
            for parameter, old in zip(parameters, before, strict=True):
                parameter.copy_(old)


def _minibatch_loss(em: EM, config: Convergence, generator: torch.Generator) -> torch.Tensor:
    rows = torch.randint(len(em.x), (config.batch_size,), generator=generator)
    each = em.mixture.log_prob_groups(em.x[rows][None])
    return -(em.responsibilities[0, rows].T * each).mean(1).sum() * em.k


@torch.no_grad()
def _bound(em: EM) -> float:
    """Return the mean lower bound of the present parameters and the last responsibilities."""
    log_joint = em.mixture.log_joint(em.x)
    r = em.responsibilities[0]
    return float((r * (log_joint - r.clamp_min(1e-300).log())).sum(1).mean())


def _rows(config: Convergence, bounds: np.ndarray) -> pd.DataFrame:
    rises = np.diff(bounds)
    falls = rises < -ROUNDING
    metrics = {
        "falls": falls.sum(),
        "share_of_falls": falls.mean(),
        "largest_fall": max(-rises.min(), 0.0),
        "first_bound": bounds[0],
        "last_bound": bounds[-1],
        "never_falls": float(not falls.any()),
    }
    same = {
        "dataset": f"pinwheel-{config.n_components}",
        "model": config.way,
        "setting": f"{config.steps} steps",
        "seed": config.seed,
    }
    return pd.DataFrame([{**same, "metric": m, "value": float(v)} for m, v in metrics.items()])


def plan(profile: str) -> Sequence[Mapping[str, Any]]:
    """Return every way, three seeds; one at smoke."""
    seeds = 1 if profile == "smoke" else 3
    return [{"way": way, "seed": seed} for way in WAYS for seed in range(seeds)]


EXPERIMENT = Experiment(
    name="em-gm/convergence",
    title="Proposition 2: the bound of generalised EM never falls; with minibatches it does",
    config=Convergence,
    run=run,
    defaults={"smoke": {"iterations": 15, "size": 60}, "laptop": {}, "paper": {}},
    plan=plan,
)
