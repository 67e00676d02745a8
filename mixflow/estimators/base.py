"""What the estimators of mixtures of flows share: parameters, the bank, the loop."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils._param_validation import Interval, StrOptions
from torch import nn

from mixflow.estimators.inputs import ScaledInput, random_state_of
from mixflow.estimators.persistence import Savable
from mixflow.flows import Bijection, Chain, Glow, GlowLevel, Shared, VectorFlow
from mixflow.flows.layers import Scale
from mixflow.flows.vector import Mixing
from mixflow.mixtures import GenMM as GenMMCore
from mixflow.modes import own_modes
from mixflow.training import LoopSettings, Objective, fit
from mixflow.training.objective import OptimizerName
from mixflow.training.schedules import Schedule

Callback = Callable[[Any, int], dict[str, float]]

# From this many samples on, early_stopping="auto" sets a validation share aside.
AUTO_STOPPING_SAMPLES = 2000


class FlowEstimator(Savable, ScaledInput):
    """Build the bank and run the loop; see the subclasses."""

    n_components: int
    n_layers: int
    hidden_features: int
    hidden_layers: int
    n_levels: int
    positional_bias: bool
    tone_curve: bool
    # A parameter of those whose responsibilities come from E-steps, in full precision: a VMoNF
    # learns its own while it trains.
    mixed_precision: bool = False
    mixing: Mixing
    scale: Scale
    dropout: float
    shared_layers: int
    reg_covar: float
    max_epochs: int
    batch_size: int
    optimizer: OptimizerName
    learning_rate: float
    schedule: Schedule
    warmup: int
    min_learning_rate: float
    betas: Sequence[float]
    weight_decay: float
    clip_norm: float | None
    clip_value: float | None
    early_stopping: bool | str
    validation_fraction: float
    patience: int
    dtype: str
    random_state: int | np.random.RandomState | None
    checkpoint: str | Path | None
    callback: Callback | None
    verbose: int

    mixture_: GenMMCore

    _parameter_constraints: dict[str, list[Any]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "image_shape": [None, "array-like"],
        "n_layers": [Interval(Integral, 0, None, closed="left")],
        "hidden_features": [Interval(Integral, 1, None, closed="left")],
        "hidden_layers": [Interval(Integral, 1, None, closed="left")],
        "n_levels": [Interval(Integral, 1, None, closed="left")],
        "positional_bias": ["boolean"],
        "tone_curve": ["boolean"],
        "mixing": [StrOptions({"rotation", "lu", "reverse"})],
        "scale": [StrOptions({"tanh", "sigmoid", "exp"})],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "shared_layers": [Interval(Integral, 0, None, closed="left")],
        "noise": [Interval(Real, 0, None, closed="left")],
        "reg_covar": [Interval(Real, 0, None, closed="neither")],
        "standardize": ["boolean"],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "optimizer": [StrOptions({"adamw", "muon"})],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "schedule": [StrOptions({"cosine", "noam", "constant"})],
        "warmup": [Interval(Integral, 0, None, closed="left")],
        "min_learning_rate": [Interval(Real, 0, None, closed="left")],
        "betas": [tuple, list],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "clip_norm": [None, Interval(Real, 0, None, closed="neither")],
        "clip_value": [None, Interval(Real, 0, None, closed="neither")],
        "early_stopping": ["boolean", StrOptions({"auto"})],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "device": [str],
        "dtype": [StrOptions({"float32", "float64"})],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "checkpoint": [None, str, Path],
        "callback": [None, callable],
    }

    # Fit -------------------------------------------------------------------------------------

    def _build(self, n_components: int, generator: torch.Generator) -> GenMMCore:
        """Return an untrained bank of ``n_components`` flows in the training dtype."""
        flow = self._bank(n_components, generator, n_trunks=1)
        return GenMMCore(flow).to(self._torch_device(), self._torch_dtype())

    def _bank(self, n_flows: int, generator: torch.Generator, *, n_trunks: int) -> Bijection:
        """Return a bank of flows, behind trunks that equally many share if there are any."""
        if not self.shared_layers:
            return self._flow(n_flows, self.n_layers, generator)
        trunk = Shared(self._trunk(n_trunks, generator), n_flows)
        return Chain([trunk, self._flow(n_flows, self.n_layers, generator)])

    def _trunk(self, n_trunks: int, generator: torch.Generator) -> Bijection:
        if self.image_shape is None:
            return self._flow(n_trunks, self.shared_layers, generator)
        return GlowLevel(
            n_trunks,
            self._event_shape(),
            n_steps=self.shared_layers,
            hidden_features=self.hidden_features,
            scale=self.scale,
            mixed_precision=self.mixed_precision,
            positional_bias=self.positional_bias,
            tone_curve=self.tone_curve,
            generator=generator,
        )

    def _flow(self, n_components: int, n_layers: int, generator: torch.Generator) -> Bijection:
        if self.image_shape is None:
            return VectorFlow(
                n_components,
                self.n_features_in_,
                n_layers=n_layers,
                hidden_features=self.hidden_features,
                hidden_layers=self.hidden_layers,
                mixing=self.mixing,
                scale=self.scale,
                dropout=self.dropout,
                reg_covar=self.reg_covar,
                generator=generator,
            )
        return Glow(
            n_components,
            self._event_shape(),
            n_levels=self.n_levels,
            n_steps=n_layers,
            hidden_features=self.hidden_features,
            scale=self.scale,
            mixed_precision=self.mixed_precision,
            positional_bias=self.positional_bias,
            tone_curve=self.tone_curve and not self.shared_layers,  # else the trunk has it
            generator=generator,
        )

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """Leave the estimator as it was when what is inside, a fit, fails."""
        before = dict(vars(self))
        try:
            with own_modes(grad=True):
                yield
        except BaseException:
            self.__dict__ = before
            raise

    def _torch_dtype(self) -> torch.dtype:
        return {"float32": torch.float32, "float64": torch.float64}[self.dtype]

    def _run(self, objective: Objective, seed: int, *, validate_every: int | None) -> None:
        """Climb the objective; sets ``history_`` and its kin. None: no validation share."""
        callback = self.callback
        on_epoch = None if callback is None else (lambda epoch: callback(self, epoch))
        result = fit(objective, self._loop_settings(seed, validate_every), on_epoch)
        self.history_, self.best_epoch_ = result.history, result.best_epoch
        self.interrupted_, self.n_iter_ = result.interrupted, len(result.history.get("epoch", ()))
        if result.interrupted:
            warnings.warn(
                f"the fit was interrupted after {self.n_iter_} of {self.max_epochs} epochs; the "
                "model is usable",
                ConvergenceWarning,
                stacklevel=3,
            )

    def _loop_settings(self, seed: int, validate_every: int | None) -> LoopSettings:
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas must be two numbers from 0 to below 1, got {self.betas}")
        return LoopSettings(
            max_epochs=self.max_epochs,
            seed=seed,
            optimizer=self.optimizer,
            learning_rate=self.learning_rate,
            betas=(float(self.betas[0]), float(self.betas[1])),
            weight_decay=self.weight_decay,
            schedule=self.schedule,
            warmup=self.warmup,
            min_learning_rate=self.min_learning_rate,
            clip_value=self.clip_value,
            clip_norm=self.clip_norm,
            validate_every=validate_every or 1,
            patience=self.patience if validate_every else None,
            checkpoint=None if self.checkpoint is None else Path(self.checkpoint),
            progress=bool(self.verbose),
        )

    def _stops_early(self, n_samples: int) -> bool:
        if self.early_stopping == "auto":
            return n_samples >= AUTO_STOPPING_SAMPLES
        return bool(self.early_stopping)

    def _hold_out(self, n_samples: int, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
        rows = np.arange(n_samples)
        if not self._stops_early(n_samples):
            return rows, None
        rows, held_out = train_test_split(
            rows, test_size=self.validation_fraction, random_state=seed
        )
        return rows, held_out

    def _seed(self) -> int:
        return int(random_state_of(self.random_state).randint(2**31 - 1))

    def _generator(self, seed: int) -> torch.Generator:
        """Return a generator on the device that the fit is on."""
        return torch.Generator(self._torch_device()).manual_seed(seed)

    # Use -------------------------------------------------------------------------------------

    def _module(self) -> nn.Module:
        """Return the module whose tensors ``save`` writes."""
        return self.mixture_

    def _blank_module(self, n_components: int) -> nn.Module:
        """Set and return that module, untrained, for ``load`` to fill."""
        self.mixture_ = self._build(n_components, torch.Generator("cpu"))
        return self.mixture_


def log_posterior(log_joint: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Normalise the rows of (N, K) by Bayes' rule; the prior (K,) where every density is 0."""
    with np.errstate(divide="ignore"):  # a prior of 0
        impossible = np.isneginf(log_joint).all(axis=1, keepdims=True)
        log_joint = np.where(impossible, np.log(prior), log_joint)
    out: np.ndarray = log_joint - np.logaddexp.reduce(log_joint, axis=1, keepdims=True)
    return out


def checked_init(init: str | ArrayLike, n_samples: int, k: int) -> str | np.ndarray:
    """Return a method's name as it is, labels or responsibilities as an array (N, K).

    Raises
    ------
    ValueError
        If the array is neither.
    """
    if isinstance(init, str):
        return init
    r = np.asarray(init)
    if r.shape == (n_samples,) and np.isin(r, np.arange(k)).all():
        r = np.eye(k)[r.astype(int)]
    shape = n_samples, k
    if r.shape != shape or not np.allclose(r.sum(1), 1) or r.min() < 0:
        raise ValueError(
            f"init must hold responsibilities of shape {shape} with rows that sum to 1, or "
            f"labels 0..{k - 1} of shape ({n_samples},); got shape {r.shape}"
        )
    return r.astype(float)
