"""Fitting banks of flows by EM, for the estimators that do."""

from __future__ import annotations

from copy import deepcopy
from typing import Self, cast

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import _fit_context
from torch import Tensor

from mixflow.estimators.base import ARCHITECTURE, checked_init
from mixflow.estimators.density import MixtureDensity
from mixflow.estimators.parameters import EMParameters
from mixflow.mixtures import GenMM as GenMMCore
from mixflow.mixtures import LatMM as LatMMCore
from mixflow.modes import own_modes
from mixflow.training import EM, EMSettings, Groups, start_responsibilities
from mixflow.training.schedules import temperature_at
from mixflow.training.start import Start


class EMEstimator(EMParameters):
    """Train banks for groups of samples: restarts, blocks, classes."""

    def _new_mixture(self, n_groups: int, seed: int) -> GenMMCore:
        """Return a bank for G groups, whose log weights are those within a group."""
        generator = torch.Generator("cpu").manual_seed(seed)
        mixture = self._build(n_groups * self._n_each(), generator)
        mixture.log_weights += np.log(n_groups)
        return mixture

    def _build(self, n_components: int, generator: torch.Generator) -> GenMMCore:
        """Return an untrained bank of ``n_components`` in the training dtype."""
        n_groups = n_components // self._n_each()
        n_flows, n_sources = self._layout()
        flow = self._bank(n_groups * n_flows, generator, n_trunks=n_groups)
        mixture = GenMMCore(flow)
        if n_sources:
            mixture = LatMMCore(
                flow,
                n_components,
                per_position=self.per_position,
                precision_prior=self.precision_prior,
            )
        return mixture.to(self._torch_device(), self._torch_dtype())

    def _layout(self) -> tuple[int, int]:
        """Return the flows of one EM, and the Gaussians in the latents of each; 0: none."""
        return self.n_components // self.n_blocks, self.n_sources

    def _n_each(self) -> int:
        """Return the number of components in one EM."""
        n_flows, n_sources = self._layout()
        return n_flows * max(1, n_sources)

    def _n_total(self) -> int:
        """Return the number of components of a mixture, all its blocks together."""
        return self.n_blocks * self._n_each()

    def _n_bank(self) -> int:
        return self._n_total()

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

    def _goes_on(self) -> bool:
        """Whether a fit trains the present mixture further.

        Raises
        ------
        ValueError
            If it would, but parameters no longer describe it.
        """
        if not (self.warm_start and hasattr(self, "mixture_")):
            return False
        self._refuse_changes(ARCHITECTURE, "set warm_start=False to fit anew")
        return True

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
            em.start(self._generator(seed + 1))
        self._run(em, seed, validate_every=None if validation is None else self.em_every)
        return em

    def _start(
        self, x: Tensor, groups: Groups, k: int, seed: int, init: str | np.ndarray
    ) -> Tensor:
        if not isinstance(init, str):
            return torch.from_numpy(init)[groups.index]
        self._say(f"{init} start on {len(x)} samples")
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
        init = checked_init(self.init, n_samples, self._n_each())
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


class EMDensity(EMEstimator, MixtureDensity):
    """Fit one mixture to all samples."""

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: None = None, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the mixture to X.

        Parameters
        ----------
        X
            Samples, shape (N, D), finite.
        y
            Ignored.
        sample_weight
            Non-negative weights, shape (N,); 0 leaves a sample out. With one component a
            weight of two is a sample given twice; with more, the random start differs.

        Raises
        ------
        ValueError
            If X has NaN, a constant feature, or fewer samples than components.
        TrainingDiverged
            If the loss becomes NaN or infinite.
        """
        with own_modes(grad=True), self._fitting():
            return self._fit(X, sample_weight)

    def _fit(self, X: ArrayLike, sample_weight: ArrayLike | None) -> Self:
        warm = self._goes_on()
        x = self._validate_x(X, reset=not warm)
        weight = self._validate_weight(sample_weight, x)
        self._check_blocks()
        n_samples, used = len(x), weight > 0
        init = None if warm else self._init_of(n_samples, np.flatnonzero(used))
        x, weight = x[used], weight[used]
        if not warm:
            self._fit_scaler(x, weight)
        seed = self._seed()
        rows, held_out = self._hold_out(len(x), seed)
        if isinstance(init, str):
            self._check_enough(len(rows), self._n_each())
        n_groups = self.n_blocks * (1 if warm else self.n_init)
        em = self._train(
            self._unsettled() if warm else self._new_mixture(n_groups, seed),
            x[rows],
            _one_group(weight[rows], n_groups),
            seed=seed,
            init=init[rows] if isinstance(init, np.ndarray) else init,
            validation=(
                None if held_out is None else (x[held_out], _one_group(weight[held_out], n_groups))
            ),
        )
        self._keep_best(em)
        return self

    def _keep_best(self, em: EM) -> None:
        """Keep the restart of the best likelihood; its blocks share the weight."""
        scores = em.group_log_likelihoods().nan_to_num(-torch.inf).view(-1, self.n_blocks)
        best = int(scores.mean(1).argmax())
        self._check_scores(scores[best])
        rows = best * self._n_total() + torch.arange(self._n_total(), device=scores.device)
        self.mixture_ = self._settled(self.mixture_, rows)
        self.mixture_.log_weights -= torch.logsumexp(self.mixture_.log_weights, 0)
        self.weights_ = self.mixture_.log_weights.double().exp().cpu().numpy()
        self.lower_bound_ = float(scores[best].mean()) - np.log(self.scale_).sum()


def _one_group(weight: np.ndarray, times: int) -> Groups:
    return Groups.single(len(weight), torch.from_numpy(weight)).repeat(times)
