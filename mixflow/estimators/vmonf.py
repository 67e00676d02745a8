"""VMoNF as a scikit-learn estimator, unsupervised and with few labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import _fit_context
from sklearn.utils.validation import check_is_fitted, column_or_1d
from torch import Tensor, nn

from mixflow.estimators.base import checked_init
from mixflow.estimators.inputs import as_input
from mixflow.estimators.networks import posterior_cnn, posterior_mlp
from mixflow.estimators.vmonf_parameters import VMoNFParameters
from mixflow.mixtures import GenMM as GenMMCore
from mixflow.mixtures import VMoNF as VMoNFCore
from mixflow.modes import own_modes
from mixflow.training import VI, Groups, VISettings, start_responsibilities
from mixflow.training.label_start import start_from_labels
from mixflow.training.minibatches import Minibatches
from mixflow.training.schedules import temperature_at
from mixflow.training.start import Start

# Epochs between looks at the validation share.
VALIDATE_EVERY = 5
# Training samples whose scores are looked at when the fit ends.
CHECKED = 4096


class VMoNF(VMoNFParameters):
    r"""Fit a variational mixture of K normalizing flows, with labels for some samples or none.

    The flows and a network q(c | x) climb the ELBO together; see
    :class:`mixflow.mixtures.VMoNF`.

    Parameters
    ----------
    n_components
        K, the number of flows.
    image_shape, n_layers, hidden_features, hidden_layers, n_levels, positional_bias, tone_curve, \
mixing, scale, dropout, noise, reg_covar, standardize
        As for :class:`mixflow.GenMM`.
    shared_layers
        Coupling steps of a trunk that all flows share.
    posterior_features, posterior_layers, posterior_dropout
        Width and depth of the network q: a multilayer perceptron, for images a small
        convolutional network (where only the width and the dropout apply).
    temperature
        T of q's softmax while training: a number, or a pair (start, end).
    weights
        "learned" moves pi along the mean of q, "uniform" leaves it.
    label_weight
        Factor on log p(x, c = y) of labelled samples; at 1 a labelled sample counts as much as
        an unlabelled one.
    cross_entropy_weight
        Factor on the mean cross-entropy of q at labelled samples.
    consistency, consistency_noise
        Factor on KL(q(c | x) || q(c | x + noise)), and the sd of that noise.
    posterior_shift
        Pixels, at most, by which images move at random where q is taught by labels, by the
        start or by consistency (with image_shape only).
    annihilation
        Penalty on the entropy of the mean of q: empties components that the data do not need.
    init
        How responsibilities start: "kmeans", "gmm", "random", "uniform", an array (N, K) of
        them or (N,) of component labels; "auto" spreads the labels where every component has
        some, else "kmeans".
    start_share
        Share of the steps in which flows and q learn from those responsibilities, before they
        climb the ELBO.
    max_epochs, batch_size, optimizer, learning_rate, schedule, warmup, min_learning_rate, \
betas, weight_decay, clip_norm, clip_value, early_stopping, validation_fraction, patience, device, \
dtype, random_state, checkpoint, callback, verbose
        As for :class:`mixflow.GenMM`.

    Attributes
    ----------
    model_
        The torch module, :class:`mixflow.mixtures.VMoNF`, in standardised units.
    mixture_
        Its mixture of flows.
    weights_
        :math:`\pi`, shape (K,).
    history_, n_iter_, best_epoch_, interrupted_, n_features_in_
        As for :class:`mixflow.GenMM`.

    Notes
    -----
    Source: Pires and Figueiredo, arXiv 2009.00585.

    Examples
    --------
    >>> import numpy as np
    >>> from mixflow import VMoNF
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> model = VMoNF(2, max_epochs=2, random_state=0).fit(X)
    >>> model.predict_proba(X).shape, model.elbo(X).shape
    ((100, 2), (100,))
    """

    model_: VMoNFCore

    @property
    def mixture_(self) -> GenMMCore:  # type: ignore[override]
        """The mixture of flows."""
        return cast(GenMMCore, self.model_.mixture)

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> VMoNF:
        """Fit flows and network to X.

        Parameters
        ----------
        X
            Samples, shape (N, D), finite.
        y
            Component of every sample, 0..K-1, or -1 where it is not known, shape (N,). None:
            known nowhere. All may be labelled.

        Raises
        ------
        ValueError
            If X has NaN, a constant feature, or fewer samples than components; if y is not
            integer, not as long as X, or outside -1..K-1.
        TrainingDiverged
            If the loss becomes NaN or infinite.
        """
        with own_modes(grad=True), self._fitting():
            x = self._validate_x(X, reset=True)
            labels = self._validate_labels(y, len(x))
            self._fit_scaler(x, np.ones(len(x)))
            return self._fit(x, labels)

    def _validate_labels(self, y: Any, n_samples: int) -> np.ndarray:
        k = self.n_components
        if y is None:
            return np.full(n_samples, -1)
        labels = column_or_1d(as_input(y, "y"), warn=True)
        if len(labels) != n_samples:
            raise ValueError(f"X has {n_samples} samples, but y has {len(labels)}")
        whole = labels.dtype.kind in "biu" or (
            labels.dtype.kind == "f" and np.array_equal(labels, np.trunc(labels))
        )
        if not (whole and np.isfinite(labels).all()):
            raise ValueError("y must hold integers: a component 0..K-1, or -1 where unknown")
        labels = labels.astype(np.int64)
        if labels.min() < -1 or labels.max() >= k:
            wrong = np.unique(labels[(labels < -1) | (labels >= k)])
            raise ValueError(
                f"y holds the labels {wrong[:5].tolist()}, but n_components={k} allows 0..{k - 1} "
                "and -1 for unlabelled samples; take more components, or number the labels from 0"
            )
        return labels

    def _fit(self, x: np.ndarray, labels: np.ndarray) -> VMoNF:
        seed = self._seed()
        rows, held_out = self._rows(labels, seed)
        init = checked_init(self.init, len(x), self.n_components)
        if isinstance(init, str):
            self._check_enough(len(rows), self.n_components)
        generator = torch.Generator("cpu").manual_seed(seed)
        self.model_ = self._build_model(self.n_components, generator)
        dtype = self._torch_dtype()
        tensor = self._to_tensor(x[rows], dtype)
        start = init[rows] if isinstance(init, np.ndarray) else init
        climbed = self._objective(
            self._settings(),
            mixture=self.mixture_,
            x=tensor,
            labels=torch.from_numpy(labels[rows]),
            responsibilities=self._start(tensor, labels[rows], seed, start),
            validation=None if held_out is None else self._to_tensor(x[held_out], dtype),
        )
        climbed.initialize(self._generator(seed + 1))
        self._run(climbed, seed, validate_every=None if held_out is None else VALIDATE_EVERY)
        self.model_.eval().requires_grad_(False)
        self._check_scores(self.model_.elbo(tensor[:CHECKED]))
        if self.image_shape is None:
            self.model_.double()  # as GenMM: a sample's score is then the same in every batch
        weights = self.mixture_.log_weights
        weights -= torch.logsumexp(weights, 0)
        self.weights_ = weights.double().exp().cpu().numpy()
        return self

    def _rows(self, labels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Hold out unlabelled samples only, while there are any: labels are dear."""
        free = np.flatnonzero(labels < 0)
        pool = free if len(free) >= 2 else np.arange(len(labels))
        kept, held_out = self._hold_out(len(pool), seed)
        if held_out is None:
            return np.arange(len(labels)), None
        rare = np.setdiff1d(labels, labels[np.setdiff1d(np.arange(len(labels)), pool[held_out])])
        held_out = pool[held_out][~np.isin(labels[pool[held_out]], rare)]  # no component loses all
        rows = np.setdiff1d(np.arange(len(labels)), held_out)
        return rows, held_out if len(held_out) else None

    def _start(self, x: Tensor, labels: np.ndarray, seed: int, init: str | np.ndarray) -> Tensor:
        self._say(f"{init if isinstance(init, str) else 'given'} start on {len(x)} samples")
        flat = x.flatten(1).double().cpu().numpy()
        k, n_known = self.n_components, len(np.unique(labels[labels >= 0]))
        if isinstance(init, str) and init == "auto":
            if n_known == k:
                return start_from_labels(flat, labels, None, k)
            init = "kmeans"
        if isinstance(init, str):
            r = start_responsibilities(
                flat,
                Groups.single(len(flat)),
                k,
                method=cast(Start, init),
                reg_covar=self.reg_covar,
                seed=seed,
            )[0]
            return start_from_labels(flat, labels, r, k) if n_known else r
        return torch.from_numpy(init)

    def _objective(self, settings: dict[str, Any], **data: Any) -> Minibatches:
        return VI(self.model_, settings=VISettings(**settings), **data)

    def _settings(self) -> dict[str, Any]:
        temperature_at(self.temperature, 0.0, 1)  # raises
        if self.posterior_shift and self.image_shape is None:
            raise ValueError("posterior_shift moves images: give image_shape, or leave it 0")
        temperature = self.temperature
        if not isinstance(temperature, int | float):
            temperature = (temperature[0], temperature[1])
        return {
            "batch_size": self.batch_size,
            "max_epochs": self.max_epochs,
            "noise": self.noise,
            "start_share": self.start_share,
            "learn_weights": self.weights == "learned",
            "label_weight": self.label_weight,
            "annihilation": self.annihilation,
            "temperature": temperature,
            "cross_entropy_weight": self.cross_entropy_weight,
            "consistency": self.consistency,
            "consistency_noise": self.consistency_noise,
            "posterior_shift": self.posterior_shift,
        }

    def _build_model(self, n_components: int, generator: torch.Generator) -> VMoNFCore:
        if self.image_shape is None:
            network = posterior_mlp(
                self.n_features_in_,
                n_components,
                hidden_features=self.posterior_features,
                hidden_layers=self.posterior_layers,
                generator=generator,
            )
        else:
            network = posterior_cnn(
                self._event_shape(),
                n_components,
                hidden_features=self.posterior_features,
                dropout=self.posterior_dropout,
                generator=generator,
            )
        network = network.to(self._torch_device(), self._torch_dtype())
        return VMoNFCore(self._build(n_components, generator), network)

    def _module(self) -> nn.Module:
        return self.model_

    def _blank_module(self, n_components: int) -> nn.Module:
        self.model_ = self._build_model(n_components, torch.Generator("cpu"))
        return self.model_

    # Use -------------------------------------------------------------------------------------

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Return q(c | x) of the network: (N, D) -> (N, K); ``posterior`` gives Bayes' rule."""
        return np.exp(self._evaluate(lambda model, x: model.log_q(x), X))

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the component that the network finds most probable: (N, D) -> (N,)."""
        return self.predict_proba(X).argmax(axis=1)

    def posterior(self, X: ArrayLike) -> np.ndarray:
        """Return the exact posterior p(c | x) of the mixture: (N, D) -> (N, K)."""
        return self._evaluate(lambda model, x: model.mixture.posterior(x), X)

    def elbo(self, X: ArrayLike) -> np.ndarray:
        """Return the ELBO of every sample in nats: (N, D) -> (N,)."""
        return self._evaluate(lambda model, x: model.elbo(x), X) - np.log(self.scale_).sum()

    def gap(self, X: ArrayLike) -> np.ndarray:
        """Return log p(x) - ELBO, which is KL(q(c | x) || p(c | x)), in nats: (N, D) -> (N,)."""
        return self._evaluate(lambda model, x: model.gap(x), X)

    @own_modes(grad=False)
    def _evaluate(
        self, function: Callable[[VMoNFCore, Tensor], Tensor], X: ArrayLike
    ) -> np.ndarray:
        check_is_fitted(self, "model_")
        x = self._to_tensor(self._validate_x(X, reset=False), self.mixture_.log_weights.dtype)
        return function(self.model_, x).double().cpu().numpy()
