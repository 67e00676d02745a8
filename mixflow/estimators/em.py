"""Fitting banks of flows by EM, for the estimators that do."""

from __future__ import annotations

from copy import deepcopy
from typing import cast

import numpy as np
import torch
from torch import Tensor

from mixflow.estimators.base import checked_init
from mixflow.estimators.parameters import EMParameters
from mixflow.mixtures import GenMM as GenMMCore
from mixflow.training import EM, EMSettings, Groups, start_responsibilities
from mixflow.training.schedules import temperature_at
from mixflow.training.start import Start


class EMEstimator(EMParameters):
    """Train banks for groups of samples: restarts, blocks, classes."""

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
        self._run(em, seed, validate_every=None if validation is None else self.em_every)
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
        init = checked_init(self.init, n_samples, self.n_components // self.n_blocks)
        return init if isinstance(init, str) else init[rows]

    def _em_settings(self) -> EMSettings:
        return EMSettings(
            em_every=self.em_every,
            temperature=self.posterior_temperature,
            m_step=self.m_step,
            batch_size=self.batch_size,
            noise=self.noise,
            compile=self.compile,
        )
