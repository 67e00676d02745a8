"""Maximum-likelihood classification: one mixture of flows per class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.model_selection import train_test_split
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, check_X_y, column_or_1d
from torch import Tensor

from mixflow.estimators.base import ARCHITECTURE, Callback, log_posterior, reachable
from mixflow.estimators.em import EMEstimator
from mixflow.estimators.inputs import as_input
from mixflow.estimators.priors import class_priors
from mixflow.estimators.screening import SAMPLES, Screen, pays
from mixflow.flows.layers import Scale
from mixflow.flows.vector import Mixing
from mixflow.mixtures import GenMM as GenMMCore
from mixflow.mixtures.base import in_chunks
from mixflow.mixtures.latmm import PrecisionPrior
from mixflow.modes import own_modes, warn_caller
from mixflow.training import EM, Groups
from mixflow.training.em_settings import MStep
from mixflow.training.objective import OptimizerName
from mixflow.training.schedules import Schedule, Temperature

KINDS = ((bool,), (int,), (int, float), (str,), (bytes,))  # labels that can stand together
GroupsOf = Callable[[Tensor, int, Tensor], Groups]


class MixtureClassifier(ClassifierMixin, EMEstimator):
    r"""Classify by the largest class density, each a mixture of K flows.

    .. math:: p(y \mid x) \propto P(y) \sum_k \pi_{yk} p_{yk}(x)

    All classes train side by side as one bank of flows, without touching each other, so that
    ``add_class`` gives what training anew would.

    Parameters
    ----------
    n_components
        K, the number of flows per class.
    priors
        P(y): None takes the shares in the training data, "uniform" equal ones (as in EM-GM),
        an array gives them in the order of ``classes_``.
    image_shape, n_layers, hidden_features, hidden_layers, n_levels, positional_bias, tone_curve, \
mixed_precision, mixing, scale, dropout, shared_layers, n_sources, per_position, precision_prior, \
noise, reg_covar, standardize, init, n_init, n_blocks, em_every, posterior_temperature, m_step, \
max_epochs, batch_size, optimizer, learning_rate, schedule, warmup, min_learning_rate, betas, \
weight_decay, clip_norm, clip_value, early_stopping, validation_fraction, patience, compile, \
device, dtype, random_state, warm_start, checkpoint, callback, verbose
        As for :class:`mixflow.GenMM`, for every class alike; ``batch_size`` counts the samples
        of one class. ``n_components=1`` with ``n_sources=K`` makes every class a LatMM.

    Attributes
    ----------
    classes_, class_prior_
        The labels, and P(y).
    mixture_
        The bank of all flows: component y K + k is component k of class y; its log weights are
        those within a class.
    history_, n_iter_, best_epoch_, interrupted_, n_features_in_
        As for :class:`mixflow.GenMM`.

    Notes
    -----
    Source: Liu, Vu, Chatterjee and Rasmussen, arXiv 1907.13432, section IV.D and table II.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from mixflow import MixtureClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MixtureClassifier(2, max_epochs=2, random_state=0).fit(X, y)
    >>> model.predict_proba(X).shape
    (150, 3)
    """

    classes_: np.ndarray

    _axes: ClassVar[dict[str, str]] = {
        **EMEstimator._axes,
        **dict.fromkeys(("classes_", "class_prior_", "_count_"), "C"),
    }

    _parameter_constraints: dict[str, list[Any]] = {
        **EMEstimator._parameter_constraints,
        "priors": [None, str, "array-like"],
    }

    def __init__(
        self,
        n_components: int = 1,
        *,
        priors: str | ArrayLike | None = None,
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
        common = {name: value for name, value in locals().items() if name in _COMMON}
        super().__init__(**common)
        self.priors = priors

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> MixtureClassifier:
        """Fit a mixture to every class.

        Parameters
        ----------
        X, y
            Samples (N, D), finite, and their labels (N,).
        sample_weight
            Non-negative weights, shape (N,); samples of weight 0 are left out.

        Raises
        ------
        ValueError
            If X has NaN or a constant feature, or a class has fewer samples than components.
        TrainingDiverged
            If the loss becomes NaN or infinite.
        """
        with own_modes(grad=True), self._fitting():
            return self._fit(X, y, sample_weight)

    def _fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None
    ) -> MixtureClassifier:
        warm = self._goes_on()
        x, labels = self._validate_xy(X, y, reset=not warm)
        weight = self._validate_weight(sample_weight, x)
        self._check_blocks()
        used = weight > 0
        init = None if warm else self._init_of(len(x), np.flatnonzero(used))
        x, labels, weight = x[used], labels[used], weight[used]
        classes, codes = np.unique(labels, return_inverse=True)
        if warm and not np.array_equal(classes, self.classes_):
            raise ValueError(f"warm_start needs the classes {self.classes_}, got {classes}")
        if not warm:
            self._fit_scaler(x, weight)
        self.classes_ = classes
        self._count_ = np.bincount(codes, weights=weight, minlength=len(classes))
        self.class_prior_ = class_priors(self.priors, self._count_)
        self._fit_classes(x, codes, weight, init)
        return self

    def _validate_xy(self, X: Any, y: Any, *, reset: bool) -> tuple[np.ndarray, np.ndarray]:
        if y is None:
            raise ValueError("MixtureClassifier requires y to be passed, but the target y is None")
        x = self._validate_x(X, reset=reset)
        y = column_or_1d(as_input(y, "y"), warn=True)
        check_X_y(x, y, dtype=None)
        check_classification_targets(y)
        return x, y

    def _fit_classes(
        self,
        x: np.ndarray,
        codes: np.ndarray,
        weight: np.ndarray,
        init: str | np.ndarray | None,
    ) -> None:
        """Train all classes side by side; ``init`` is None to go on from ``mixture_``."""
        seed, n_classes = self._seed(), len(self.classes_)
        rows, held_out = self._hold_out_of_each(codes, seed)
        self._check_counts(codes[rows], self._n_each(), "to train on")
        times = self.n_blocks * (1 if init is None else self.n_init)

        def groups(rows: np.ndarray, divide: GroupsOf = Groups.by_label) -> Groups:
            labels, weights = torch.from_numpy(codes[rows]), torch.from_numpy(weight[rows])
            return divide(labels, n_classes, weights).repeat(times)

        em = self._train(
            self._unsettled() if init is None else self._new_mixture(n_classes * times, seed),
            x[rows],
            groups(rows),
            seed=seed,
            init=init[rows] if isinstance(init, np.ndarray) else init,
            validation=(
                None if held_out is None else (x[held_out], groups(held_out, Groups.of_some))
            ),
        )
        self.mixture_ = self._best(em, n_classes)

    def _hold_out_of_each(
        self, codes: np.ndarray, seed: int
    ) -> tuple[np.ndarray, np.ndarray | None]:
        rows = np.arange(len(codes))
        if not self._stops_early(len(codes)):
            return rows, None
        n_classes = len(self.classes_)
        # A class with too few samples to share stays in training; the others are divided anew.
        rare = np.bincount(codes, minlength=n_classes) < 2
        while not rare.all():
            kept, held_out = self._divided(rows[~rare[codes]], codes, seed)
            kept = np.concatenate([kept, rows[rare[codes]]])
            short = np.bincount(codes[held_out], minlength=n_classes) < 1
            short |= np.bincount(codes[kept], minlength=n_classes) < self._n_each()
            if not (short & ~rare).any():
                return kept, held_out
            rare |= short
        warn_caller(
            "no class has samples to spare for a validation share: all train, and the last epoch "
            "is kept"
        )
        return rows, None

    def _divided(
        self, rows: np.ndarray, codes: np.ndarray, seed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Divide rows of each class into those to train and to validate on: none, if too few."""
        how = {"test_size": self.validation_fraction, "random_state": seed}
        try:
            kept, held_out = train_test_split(rows, stratify=codes[rows], **how)
        except ValueError:  # fewer samples than classes
            return rows, rows[:0]
        return kept, held_out

    def _check_counts(self, codes: np.ndarray, least: int, purpose: str) -> None:
        counts = np.bincount(codes, minlength=len(self.classes_))
        if counts.min() < least:
            raise ValueError(
                f"class {self.classes_[counts.argmin()]} has {counts.min()} samples, but needs "
                f"{least} {purpose}; take fewer components, or give more samples of that class"
            )

    def _best(self, em: EM, n_classes: int) -> GenMMCore:
        """Keep every class's restart of the best likelihood; its blocks share the weight."""
        each = em.group_log_likelihoods().nan_to_num(-torch.inf)
        scores = each.view(n_classes, -1, self.n_blocks).mean(2)
        self._check_scores(scores.amax(1))
        n_init, k = scores.shape[1], self._n_total()
        first = (torch.arange(n_classes, device=scores.device) * n_init + scores.argmax(1)) * k
        rows = (first[:, None] + torch.arange(k, device=scores.device)).flatten()
        mixture = self._settled(self.mixture_, rows)
        weights = mixture.log_weights.view(n_classes, k)
        mixture.log_weights.copy_((weights - weights.logsumexp(1, keepdim=True)).flatten())
        return mixture

    def add_class(self, X: ArrayLike, label: Any) -> MixtureClassifier:
        """Fit a mixture to a new class and add it; no other class's parameter changes.

        Parameters
        ----------
        X
            Samples of the new class, shape (N, D).
        label
            Its label, not yet in ``classes_``. Unless ``priors`` is "uniform", priors follow
            the counts of samples seen.

        Raises
        ------
        ValueError
            If the label is there already, or of another kind than the others: numbers stay
            numbers, and text text. If ``priors`` is an array, which cannot know it.
        """
        check_is_fitted(self, "mixture_")
        self._refuse_changes(ARCHITECTURE, "fit all classes anew")
        label = self._of_the_kind(label)
        if label in self.classes_:
            raise ValueError(f"class {label!r} is there already; add_class takes new labels")
        if self.priors is not None and not isinstance(self.priors, str):
            raise ValueError("add_class needs priors=None or 'uniform', not an array")
        with own_modes(grad=True), self._fitting():
            return self._add_class(self._validate_x(X, reset=False), label)

    def _of_the_kind(self, label: Any) -> Any:
        """Return the label as a plain value; raise ``ValueError`` unless it is like the others."""
        known = self.classes_.tolist()
        plain = label.item() if isinstance(label, np.generic) else label
        kinds = [kind for kind in KINDS if all(type(value) in kind for value in known)]
        fits = bool(kinds) and type(plain) in kinds[0] and plain == plain
        if not fits:
            raise ValueError(
                f"label {label!r} is of another kind than the classes {known[:5]}; add_class takes "
                f"one value of type {type(known[0]).__name__}"
            )
        return plain

    def _add_class(self, x: np.ndarray, label: Any) -> MixtureClassifier:
        before, classes, count = self.mixture_, self.classes_, self._count_
        history = self.history_
        self.classes_ = np.array([label])
        init = self._init_of(len(x), np.arange(len(x)))
        self._fit_classes(x, np.zeros(len(x), dtype=np.int64), np.ones(len(x)), init)
        everything = np.append(classes.astype(np.result_type(classes, self.classes_)), label)
        order = np.argsort(everything, kind="stable")
        self.classes_, self._count_ = everything[order], np.append(count, len(x))[order]
        self.class_prior_, self.history_ = class_priors(self.priors, self._count_), history
        bank = before.join(self.mixture_)
        k = self._n_total()
        rows = (order[:, None] * k + np.arange(k)).ravel()
        self.mixture_ = bank.select(torch.from_numpy(rows).to(bank.log_weights.device))
        return self

    @own_modes(grad=False)
    def log_prob_classes(self, X: ArrayLike) -> np.ndarray:
        """Return log p(x given y) in nats of every class: (N, D) -> (N, n_classes)."""
        check_is_fitted(self, "mixture_")
        x = self._to_tensor(self._validate_x(X, reset=False), self.mixture_.log_weights.dtype)
        joint = in_chunks(self._bank_log_joint, x, SAMPLES)
        joint = joint.view(len(x), len(self.classes_), -1)
        return torch.logsumexp(joint, 2).double().cpu().numpy() - np.log(self.scale_).sum()

    def _n_bank(self) -> int:
        return len(self.classes_) * self._n_total()

    def _bank_log_joint(self, x: Tensor) -> Tensor:
        """Return log pi_k p_k(x) of the whole bank, (N, *event) -> (N, G K)."""
        if not pays(self.mixture_, x):
            return self.mixture_.log_joint(x)
        screen: Screen | None = getattr(self, "_screen", None)
        if screen is None or screen.mixture is not self.mixture_:
            screen = self._screen = Screen(self.mixture_)
        return screen.log_joint(x)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the float32 copy out: it is made again when needed."""
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_screen"}

    def _log_joint(self, X: ArrayLike) -> np.ndarray:
        with np.errstate(divide="ignore"):  # a prior of 0 excludes a class
            return self.log_prob_classes(X) + np.log(self.class_prior_)

    def predict_log_proba(self, X: ArrayLike) -> np.ndarray:
        """Return log p(y given x): (N, D) -> (N, n_classes)."""
        return log_posterior(self._log_joint(X), self.class_prior_)

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Return p(y given x): (N, D) -> (N, n_classes)."""
        return np.exp(self.predict_log_proba(X))

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the most probable class: (N, D) -> (N,).

        Where every density is 0 that is the class of the largest prior, as in ``predict_proba``.
        """
        joint = reachable(self._log_joint(X), self.class_prior_)
        return self.classes_[joint.argmax(axis=1)]

    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Return log p(x) over all classes in nats: (N, D) -> (N,). Low for what is unlike all."""
        return np.logaddexp.reduce(self._log_joint(X), axis=1)


_COMMON = set(EMEstimator._parameter_constraints)
