"""The parameters that all mixtures of flows fitted by EM take, and what they may be."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import Interval, StrOptions

from mixflow.estimators.base import Callback, FlowEstimator
from mixflow.flows.layers import Scale
from mixflow.flows.vector import Mixing
from mixflow.mixtures.latmm import PrecisionPrior
from mixflow.training.em_settings import MStep
from mixflow.training.objective import OptimizerName
from mixflow.training.schedules import Schedule, Temperature


class EMParameters(FlowEstimator):
    """Hold the parameters; :class:`mixflow.GenMM` says what each means."""

    _parameter_constraints: dict[str, list[Any]] = {
        **FlowEstimator._parameter_constraints,
        "mixed_precision": ["boolean"],
        "n_sources": [Interval(Integral, 0, None, closed="left")],
        "per_position": ["boolean"],
        "precision_prior": [None, tuple, list],
        "init": [StrOptions({"kmeans", "gmm", "random", "uniform"}), "array-like"],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "n_blocks": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "em_every": [Interval(Integral, 1, None, closed="left")],
        "posterior_temperature": [
            Interval(Real, 0, None, closed="neither"),
            StrOptions({"per_dimension"}),
            tuple,
            list,
        ],
        "m_step": [StrOptions({"auto", "sparse", "dense"})],
        "compile": ["boolean"],
    }

    def __init__(
        self,
        n_components: int = 1,
        *,
        image_shape: Sequence[int] | None = None,
        n_layers: int = 8,
        hidden_features: int = 32,
        hidden_layers: int = 2,
        n_levels: int = 2,
        positional_bias: bool = False,
        tone_curve: bool = False,
        mixed_precision: bool = False,
        mixing: Mixing = "rotation",
        scale: Scale = "tanh",
        dropout: float = 0.0,
        shared_layers: int = 0,
        n_sources: int = 0,
        per_position: bool = False,
        precision_prior: PrecisionPrior = ("gamma", 2.0, 1.0),
        noise: float = 0.0,
        reg_covar: float = 1e-3,
        standardize: bool = True,
        init: str | ArrayLike = "kmeans",
        n_init: int = 1,
        n_blocks: int = 1,
        em_every: int = 5,
        posterior_temperature: Temperature = 1.0,
        m_step: MStep = "auto",
        max_epochs: int = 100,
        batch_size: int = 256,
        optimizer: OptimizerName = "adamw",
        learning_rate: float = 3e-3,
        schedule: Schedule = "cosine",
        warmup: int = 0,
        min_learning_rate: float = 0.0,
        betas: Sequence[float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        clip_norm: float | None = 5.0,
        clip_value: float | None = None,
        early_stopping: bool | str = "auto",
        validation_fraction: float = 0.1,
        patience: int = 10,
        compile: bool = False,
        device: str = "cpu",
        dtype: str = "float32",
        random_state: int | np.random.RandomState | None = None,
        warm_start: bool = False,
        checkpoint: str | Path | None = None,
        callback: Callback | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.image_shape = image_shape
        self.n_layers = n_layers
        self.hidden_features = hidden_features
        self.hidden_layers = hidden_layers
        self.n_levels = n_levels
        self.positional_bias = positional_bias
        self.tone_curve = tone_curve
        self.mixed_precision = mixed_precision
        self.mixing = mixing
        self.scale = scale
        self.dropout = dropout
        self.shared_layers = shared_layers
        self.n_sources = n_sources
        self.per_position = per_position
        self.precision_prior = precision_prior
        self.noise = noise
        self.reg_covar = reg_covar
        self.standardize = standardize
        self.init = init
        self.n_init = n_init
        self.n_blocks = n_blocks
        self.em_every = em_every
        self.posterior_temperature = posterior_temperature
        self.m_step = m_step
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.warmup = warmup
        self.min_learning_rate = min_learning_rate
        self.betas = betas
        self.weight_decay = weight_decay
        self.clip_norm = clip_norm
        self.clip_value = clip_value
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.compile = compile
        self.device = device
        self.dtype = dtype
        self.random_state = random_state
        self.warm_start = warm_start
        self.checkpoint = checkpoint
        self.callback = callback
        self.verbose = verbose
