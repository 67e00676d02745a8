"""What the estimators of mixtures of flows share: parameters, scaling, fitting by EM."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
from torch import Tensor

from mixflow.estimators import persistence
from mixflow.estimators.parameters import FlowMixtureParameters
from mixflow.flows import Bijection, Glow, VectorFlow
from mixflow.mixtures import GenMM as GenMMCore
from mixflow.training import EM, EMSettings, Groups, LoopSettings, fit, start_responsibilities
from mixflow.training.schedules import temperature_at
from mixflow.training.start import Start

# From this many samples on, early_stopping="auto" sets a validation share aside.
AUTO_STOPPING_SAMPLES = 2000


class FlowMixtureBase(FlowMixtureParameters):
    """Hold the parameters of mixtures of flows and fit them; see the subclasses."""

    mixture_: GenMMCore

    # Input -----------------------------------------------------------------------------------

    def _validate_x(self, x: Any, *, reset: bool) -> np.ndarray:
        """Return X as a finite float64 array (N, D); images may come as (N, C, H, W)."""
        if self.image_shape is not None and np.ndim(x) == 4:
            x = np.asarray(x)
            if x.shape[1:] != tuple(self.image_shape):
                raise ValueError(f"images must be {tuple(self.image_shape)}, got {x.shape[1:]}")
            x = x.reshape(len(x), -1)
        x = validate_data(
            self, x, reset=reset, dtype=np.float64, ensure_min_samples=2 if reset else 1
        )
        if self.image_shape is not None and x.shape[1] != int(np.prod(self.image_shape)):
            raise ValueError(
                f"image_shape {tuple(self.image_shape)} does not fit {x.shape[1]} features; give "
                "the (C, H, W) of one image, with C H W features"
            )
        return x

    def _validate_weight(self, sample_weight: Any, x: np.ndarray) -> np.ndarray:
        weight = _check_sample_weight(sample_weight, x, dtype=np.float64, ensure_non_negative=True)
        if weight.sum() <= 0:
            raise ValueError("sample_weight is zero everywhere; at least one must be positive")
        return weight

    def _fit_scaler(self, x: np.ndarray, weight: np.ndarray) -> None:
        """Set ``location_`` and ``scale_`` (D,): per feature, or one pair for whole images."""
        d = x.shape[1]
        self.location_, self.scale_ = np.zeros(d), np.ones(d)
        mean = np.average(x, axis=0, weights=weight)
        sd = np.sqrt(np.average((x - mean) ** 2, axis=0, weights=weight))
        if self.image_shape is not None:
            mean, sd = np.full(d, mean.mean()), np.full(d, x.std())
        tiny = np.finfo(float).eps * 100 * np.maximum(np.abs(mean), 1e-300)
        constant = np.flatnonzero(~(sd > tiny))
        if len(constant) and (self.standardize or self.noise == 0):
            raise ValueError(
                f"feature {constant[0]} is constant ({len(constant)} in all): its density is "
                "infinite. Leave such features out (scikit-learn's VarianceThreshold does), or "
                "give noise > 0 with standardize=False"
            )
        if self.standardize:
            self.location_, self.scale_ = mean, sd

    def _to_tensor(self, x: np.ndarray, dtype: torch.dtype) -> Tensor:
        scaled = (x - self.location_) / self.scale_
        shape = (len(x), *self._event_shape())
        return torch.as_tensor(scaled, dtype=dtype, device=self._torch_device()).reshape(shape)

    def _from_tensor(self, x: Tensor) -> np.ndarray:
        flat = x.flatten(1).double().cpu().numpy() * self.scale_ + self.location_
        return flat if self.image_shape is None else flat.reshape(-1, *self.image_shape)

    def _event_shape(self) -> tuple[int, ...]:
        shape = (self.n_features_in_,) if self.image_shape is None else tuple(self.image_shape)
        return tuple(int(n) for n in shape)

    def _torch_device(self) -> torch.device:
        try:
            device = torch.device(self.device)
        except RuntimeError:
            raise ValueError(
                f"device must be one of torch's, such as 'cpu' or 'cuda', got {self.device!r}"
            ) from None
        if device.type == "cuda" and not torch.cuda.is_available():
            raise ValueError("device='cuda' was asked for, but torch sees no GPU; use 'cpu'")
        return device

    # Fit -------------------------------------------------------------------------------------

    def _build(self, n_components: int) -> GenMMCore:
        """Return an untrained bank of ``n_components`` flows in the training dtype."""
        flow: Bijection
        if self.image_shape is None:
            flow = VectorFlow(
                n_components,
                self.n_features_in_,
                n_layers=self.n_layers,
                hidden_features=self.hidden_features,
                hidden_layers=self.hidden_layers,
                mixing=self.mixing,
                scale=self.scale,
                dropout=self.dropout,
                reg_covar=self.reg_covar,
            )
        else:
            flow = Glow(
                n_components,
                self._event_shape(),
                n_levels=self.n_levels,
                n_steps=self.n_layers,
                hidden_features=self.hidden_features,
                scale=self.scale,
            )
        return GenMMCore(flow).to(self._torch_device(), self._torch_dtype())

    def _new_mixture(self, n_groups: int, seed: int) -> GenMMCore:
        """Return a bank for G groups, whose log weights are those within a group."""
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            mixture = self._build(n_groups * (self.n_components // self.n_blocks))
        mixture.log_weights += np.log(n_groups)
        return mixture

    def _unsettled(self) -> GenMMCore:
        """Return a copy of the fitted mixture that can train on."""
        mixture = deepcopy(self.mixture_).to(self._torch_device(), self._torch_dtype())
        return mixture.train().requires_grad_(True)

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """Leave the estimator as it was when what is inside fails."""
        before = dict(vars(self))
        try:
            yield
        except BaseException:
            self.__dict__ = before
            raise

    def _settled(self, mixture: GenMMCore, rows: Tensor) -> GenMMCore:
        """Return the rows of a trained bank, ready to score.

        Mixtures of vectors score in float64: that costs little, and a sample's score is then
        the same in every batch.
        """
        kept = mixture.select(rows).eval().requires_grad_(False)
        return kept if self.image_shape is not None else kept.double()

    def _check_blocks(self) -> None:
        if self.n_components % self.n_blocks:
            raise ValueError(
                f"n_blocks={self.n_blocks} must divide n_components={self.n_components}"
            )

    def _torch_dtype(self) -> torch.dtype:
        return {"float32": torch.float32, "float64": torch.float64}[self.dtype]

    def _train(
        self,
        mixture: GenMMCore,
        x: np.ndarray,
        groups: Groups,
        *,
        seed: int,
        init: str | np.ndarray | None,
        validation: tuple[np.ndarray, Groups] | None = None,
    ) -> EM:
        """Fit a bank of G K components to G groups; sets ``history_`` and its kin.

        ``init`` is a method, responsibilities of x, or None to go on from the mixture's own.
        """
        self.mixture_ = mixture  # for the callback
        dtype, k = self._torch_dtype(), mixture.n_components // groups.n_groups
        temperature_at(self.posterior_temperature, 0.0, self.n_features_in_)
        held_out = None
        if validation is not None:
            held_out = self._to_tensor(validation[0], dtype), validation[1]
        tensor = self._to_tensor(x, dtype)
        start = None if init is None else self._start(tensor, groups, k, seed, init)
        em = EM(mixture, tensor, groups, start, self._em_settings(), held_out)
        if start is not None:
            with torch.random.fork_rng([]):
                torch.manual_seed(seed + 1)
                em.start()
        callback = self.callback
        on_epoch = None if callback is None else (lambda epoch: callback(self, epoch))
        result = fit(em, self._loop_settings(seed, validation is not None), on_epoch)
        self.history_, self.best_epoch_ = result.history, result.best_epoch
        self.interrupted_, self.n_iter_ = result.interrupted, len(result.history)
        if result.interrupted:
            warnings.warn(
                f"the fit was interrupted after {self.n_iter_} of {self.max_epochs} epochs; the "
                "model is usable",
                ConvergenceWarning,
                stacklevel=3,
            )
        return em

    def _start(
        self, x: Tensor, groups: Groups, k: int, seed: int, init: str | np.ndarray
    ) -> Tensor:
        if not isinstance(init, str):
            return torch.from_numpy(init)[groups.index]
        return start_responsibilities(
            x.flatten(1).double().cpu().numpy(),
            groups,
            k,
            method=cast(Start, init),
            reg_covar=self.reg_covar,
            seed=seed,
        )

    def _init_of(self, n_samples: int, rows: np.ndarray) -> str | np.ndarray:
        """Return ``init``: a method, or those rows of the responsibilities of all samples."""
        if isinstance(self.init, str):
            return self.init
        r, k = np.asarray(self.init), self.n_components // self.n_blocks
        if r.shape == (n_samples,) and np.isin(r, np.arange(k)).all():
            r = np.eye(k)[r.astype(int)]
        shape = n_samples, k
        if r.shape != shape or not np.allclose(r.sum(1), 1) or r.min() < 0:
            raise ValueError(
                f"init must hold responsibilities of shape {shape} with rows that sum to 1, or "
                f"labels 0..{k - 1} of shape ({n_samples},); got shape {r.shape}"
            )
        r = r.astype(float)
        rows_of_init: np.ndarray = r[rows]
        return rows_of_init

    def _em_settings(self) -> EMSettings:
        return EMSettings(
            em_every=self.em_every,
            temperature=self.posterior_temperature,
            m_step=self.m_step,
            batch_size=self.batch_size,
            noise=self.noise,
        )

    def _loop_settings(self, seed: int, validated: bool) -> LoopSettings:
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas must be two numbers from 0 to below 1, got {self.betas}")
        return LoopSettings(
            max_epochs=self.max_epochs,
            seed=seed,
            learning_rate=self.learning_rate,
            betas=(float(self.betas[0]), float(self.betas[1])),
            weight_decay=self.weight_decay,
            schedule=self.schedule,
            warmup=self.warmup,
            min_learning_rate=self.min_learning_rate,
            clip_value=self.clip_value,
            clip_norm=self.clip_norm,
            validate_every=self.em_every,
            patience=self.patience if validated else None,
            checkpoint=None if self.checkpoint is None else Path(self.checkpoint),
            progress=bool(self.verbose),
        )

    def _stops_early(self, n_samples: int) -> bool:
        if self.early_stopping == "auto":
            return n_samples >= AUTO_STOPPING_SAMPLES
        return bool(self.early_stopping)

    def _seed(self) -> int:
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    # Use -------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> Path:
        """Write the fitted estimator to one safetensors file, config in its header.

        Parameters
        ----------
        path
            File to write; ``.safetensors`` is added when there is no suffix.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        """
        check_is_fitted(self, "mixture_")
        return persistence.save(self, path)


def log_posterior(log_joint: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Normalise the rows of (N, K) by Bayes' rule; the prior (K,) where every density is 0."""
    with np.errstate(divide="ignore"):  # a prior of 0
        impossible = np.isneginf(log_joint).all(axis=1, keepdims=True)
        log_joint = np.where(impossible, np.log(prior), log_joint)
    out: np.ndarray = log_joint - np.logaddexp.reduce(log_joint, axis=1, keepdims=True)
    return out
