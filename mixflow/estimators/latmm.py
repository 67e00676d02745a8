"""LatMM as a scikit-learn density estimator."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from mixflow.estimators.base import Callback
from mixflow.estimators.em import EMDensity
from mixflow.flows.layers import Scale
from mixflow.flows.vector import Mixing
from mixflow.mixtures.latmm import PrecisionPrior
from mixflow.training.em_settings import MStep
from mixflow.training.objective import OptimizerName
from mixflow.training.schedules import Schedule, Temperature


class LatMM(EMDensity):
    r"""Fit a flow whose latents follow a Gaussian mixture, by expectation-maximization.

    .. math:: p(x) = \sum_k \pi_k N(f(x); \mu_k, \sigma_k^2) \, |\det \partial f / \partial x|

    A component costs next to nothing: samples go through one flow, however many Gaussians
    there are. :class:`mixflow.GenMM` has a flow for each.

    Parameters
    ----------
    n_components
        K, the number of diagonal Gaussians.
    per_position
        With images, a mean and a scale for every position of the last level's latents;
        otherwise one for each channel, as in the released code of EM-GM.
    precision_prior
        On every :math:`\lambda = 1 / \sigma`: ``("gamma", a, b)`` (eq. 26), ``("l2", weight)``
        (eq. 27) or None; see :class:`mixflow.mixtures.LatMM`. Its log density is added to the
        mean over samples, as in the paper: ``("gamma", 1 + s, s)`` has its mode at 1 and
        weakens with s.
    n_blocks
        Number of LatMMs with ``n_components / n_blocks`` Gaussians and a flow each, pooled with
        equal weights.
    image_shape, n_layers, hidden_features, hidden_layers, n_levels, positional_bias, tone_curve, \
mixed_precision, mixing, scale, dropout, noise, reg_covar, standardize, init, n_init, em_every, \
posterior_temperature, m_step, max_epochs, batch_size, optimizer, learning_rate, schedule, \
warmup, min_learning_rate, betas, weight_decay, clip_norm, clip_value, early_stopping, \
validation_fraction, patience, compile, device, dtype, random_state, warm_start, checkpoint, \
callback, verbose
        As for :class:`mixflow.GenMM`; ``m_step="auto"`` is dense, for a flow sees every sample.

    Attributes
    ----------
    mixture_
        The torch module, :class:`mixflow.mixtures.LatMM`, in standardised units.
    weights_, history_, lower_bound_, n_iter_, best_epoch_, interrupted_, n_features_in_
        As for :class:`mixflow.GenMM`; ``history_`` has the log prior too.

    Notes
    -----
    Source: Liu, Vu, Chatterjee and Rasmussen, arXiv 1907.13432, algorithm 2.

    Examples
    --------
    >>> import numpy as np
    >>> from mixflow import LatMM
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> model = LatMM(3, max_epochs=2, random_state=0).fit(X)
    >>> model.score_samples(X).shape, model.predict_proba(X).shape
    ((100,), (100, 3))
    """

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
        common = {name: value for name, value in locals().items() if name in _COMMON}
        super().__init__(**common)

    def _layout(self) -> tuple[int, int]:
        """Return one flow, and the Gaussians in its latents."""
        return 1, self.n_components // self.n_blocks


_COMMON = set(EMDensity._parameter_constraints)
