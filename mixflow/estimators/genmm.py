"""GenMM as a scikit-learn density estimator."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import _fit_context

from mixflow.estimators.density import MixtureDensity
from mixflow.estimators.em import EMEstimator
from mixflow.training import EM, Groups


class GenMM(EMEstimator, MixtureDensity):
    r"""Fit a mixture of K normalizing flows by expectation-maximization.

    .. math:: p(x) = \sum_k \pi_k N(f_k(x); 0, I) \, |\det \partial f_k / \partial x|

    Parameters
    ----------
    n_components
        K, the number of flows.
    image_shape
        (C, H, W) makes every flow a Glow on images; X is then (N, C H W) or (N, C, H, W).
        None takes feature vectors.
    n_layers, hidden_features, hidden_layers, n_levels, mixing, scale, dropout
        The flow's architecture, see :class:`mixflow.flows.VectorFlow` and
        :class:`mixflow.flows.Glow` (where ``n_layers`` counts the steps of a level).
    noise
        Sd of Gaussian noise drawn anew for every sample in every pass of training, in
        standardised units. Smooths the density; the main lever against overfitting.
    reg_covar
        Ridge of the start's covariances, in squared standardised units.
    standardize
        Scale features to mean 0 and sd 1 first (images: all pixels by one mean and sd).
        Scores stay densities of X itself.
    init
        How responsibilities start: "kmeans", "gmm", "random", "uniform", an array (N, K) of
        responsibilities or (N,) of component labels (with blocks: of one block's K).
    n_init
        Number of restarts, trained side by side; the best likelihood is kept.
    n_blocks
        Number of mixtures of ``n_components / n_blocks`` flows, each with an EM of its own,
        pooled with equal weights.
    em_every
        Epochs between E-steps.
    posterior_temperature
        T of the E-step; 1 is Bayes' rule, "per_dimension" the released code of EM-GM, a pair
        moves from one to the other.
    m_step
        "sparse" draws each component's own samples, "dense" shows all samples to all
        components, "auto" is dense while the data fit into one batch.
    max_epochs, batch_size, learning_rate, schedule, warmup, min_learning_rate, betas, \
weight_decay, clip_norm, clip_value
        AdamW and its schedule, see :class:`mixflow.training.LoopSettings`.
    early_stopping, validation_fraction, patience
        Set a share aside, keep the epoch that scores it best, and stop after ``patience``
        scores without a gain; "auto" does from 2000 samples on.
    compile
        Compile the M-step with torch.compile: it costs about a minute and a C++ compiler, and
        pays in long fits.
    device, dtype
        Torch device, and the dtype of training. Mixtures of vectors score in float64.
    random_state
        Seed of everything random.
    warm_start
        Go on from the present flows when fitted again.
    checkpoint
        Folder for checkpoints, written at least every minute; a fit that was cut goes on from
        there.
    callback
        Called after every epoch with the estimator and the epoch; its values join
        ``history_``.
    verbose
        1 shows a progress bar with the remaining time when a fit takes over 5 seconds.

    Attributes
    ----------
    mixture_
        The torch module, :class:`mixflow.mixtures.GenMM`, in standardised units.
    weights_
        :math:`\pi`, shape (K,).
    history_
        Data frame with a row per epoch.
    lower_bound_
        Mean log p(x) of the training data in nats.
    n_iter_, best_epoch_, interrupted_
        Epochs run; the epoch kept by early stopping; whether Ctrl-C ended the fit.
    n_features_in_
        D.

    Notes
    -----
    Source: Liu, Vu, Chatterjee and Rasmussen, arXiv 1907.13432, algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> from mixflow import GenMM
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> model = GenMM(2, max_epochs=2, random_state=0).fit(X)
    >>> model.score_samples(X).shape, model.predict_proba(X).shape
    ((100,), (100, 2))
    """

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: None = None, sample_weight: ArrayLike | None = None) -> GenMM:
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
        with self._all_or_nothing():
            return self._fit(X, sample_weight)

    def _fit(self, X: ArrayLike, sample_weight: ArrayLike | None) -> GenMM:
        warm = self.warm_start and hasattr(self, "mixture_")
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
        scores = em.group_log_likelihoods().view(-1, self.n_blocks)
        best = int(scores.mean(1).argmax())
        rows = best * self.n_components + torch.arange(self.n_components, device=scores.device)
        self.mixture_ = self._settled(self.mixture_, rows)
        self.mixture_.log_weights -= torch.logsumexp(self.mixture_.log_weights, 0)
        self.weights_ = self.mixture_.log_weights.double().exp().cpu().numpy()
        self.lower_bound_ = float(scores[best].mean()) - np.log(self.scale_).sum()


def _one_group(weight: np.ndarray, times: int) -> Groups:
    return Groups.single(len(weight), torch.from_numpy(weight)).repeat(times)
