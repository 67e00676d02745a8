"""The parameters of VMoNF, and what they may be."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import Interval, StrOptions

from mixflow.estimators.base import MOST_FEATURES, MOST_LAYERS, Callback
from mixflow.estimators.density import MixtureDensity
from mixflow.flows.layers import Scale
from mixflow.flows.vector import Mixing
from mixflow.training.objective import OptimizerName
from mixflow.training.schedules import Schedule


class VMoNFParameters(MixtureDensity):
    """Hold the parameters; :class:`mixflow.VMoNF` says what each means."""

    _parameter_constraints: dict[str, list[Any]] = {
        **MixtureDensity._parameter_constraints,
        "posterior_features": [Interval(Integral, 1, MOST_FEATURES, closed="both")],
        "posterior_layers": [Interval(Integral, 0, MOST_LAYERS, closed="both")],
        "posterior_dropout": [Interval(Real, 0, 1, closed="left")],
        "temperature": [Interval(Real, 0, None, closed="neither"), tuple, list],
        "weights": [StrOptions({"learned", "uniform"})],
        "label_weight": [Interval(Real, 0, None, closed="left")],
        "cross_entropy_weight": [Interval(Real, 0, None, closed="left")],
        "consistency": [Interval(Real, 0, None, closed="left")],
        "consistency_noise": [Interval(Real, 0, None, closed="left")],
        "posterior_shift": [Interval(Integral, 0, None, closed="left")],
        "annihilation": [Interval(Real, 0, None, closed="left")],
        "init": [StrOptions({"auto", "kmeans", "gmm", "random", "uniform"}), "array-like"],
        "start_share": [Interval(Real, 0, 1, closed="left")],
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
        mixing: Mixing = "rotation",
        scale: Scale = "tanh",
        dropout: float = 0.0,
        shared_layers: int = 0,
        posterior_features: int = 64,
        posterior_layers: int = 2,
        posterior_dropout: float = 0.0,
        temperature: float | tuple[float, float] = 1.0,
        weights: Literal["learned", "uniform"] = "learned",
        label_weight: float = 1.0,
        cross_entropy_weight: float = 1.0,
        consistency: float = 0.0,
        consistency_noise: float = 0.1,
        posterior_shift: int = 0,
        annihilation: float = 0.0,
        noise: float = 0.0,
        reg_covar: float = 1e-3,
        standardize: bool = True,
        init: str | ArrayLike = "auto",
        start_share: float = 0.1,
        max_epochs: int = 100,
        batch_size: int = 256,
        optimizer: OptimizerName = "adamw",
        learning_rate: float = 1e-2,
        schedule: Schedule = "cosine",
        warmup: int = 10,
        min_learning_rate: float = 0.0,
        betas: Sequence[float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        clip_norm: float | None = 5.0,
        clip_value: float | None = None,
        early_stopping: bool | str = "auto",
        validation_fraction: float = 0.1,
        patience: int = 10,
        device: str = "cpu",
        dtype: str = "float32",
        random_state: int | np.random.RandomState | None = None,
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
        self.mixing = mixing
        self.scale = scale
        self.dropout = dropout
        self.shared_layers = shared_layers
        self.posterior_features = posterior_features
        self.posterior_layers = posterior_layers
        self.posterior_dropout = posterior_dropout
        self.temperature = temperature
        self.weights = weights
        self.label_weight = label_weight
        self.cross_entropy_weight = cross_entropy_weight
        self.consistency = consistency
        self.consistency_noise = consistency_noise
        self.posterior_shift = posterior_shift
        self.annihilation = annihilation
        self.noise = noise
        self.reg_covar = reg_covar
        self.standardize = standardize
        self.init = init
        self.start_share = start_share
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
        self.device = device
        self.dtype = dtype
        self.random_state = random_state
        self.checkpoint = checkpoint
        self.callback = callback
        self.verbose = verbose
