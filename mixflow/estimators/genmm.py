"""GenMM as a scikit-learn density estimator."""

from __future__ import annotations

from mixflow.estimators.em import EMDensity


class GenMM(EMDensity):
    r"""Fit a mixture of K normalizing flows by expectation-maximization.

    .. math:: p(x) = \sum_k \pi_k N(f_k(x); 0, I) \, |\det \partial f_k / \partial x|

    Parameters
    ----------
    n_components
        K, the number of flows.
    image_shape
        (C, H, W) makes every flow a Glow on images; X is then (N, C H W) or (N, C, H, W).
        None takes feature vectors.
    n_layers, hidden_features, hidden_layers, n_levels, positional_bias, tone_curve, \
mixed_precision, mixing, scale, dropout
        The flow's architecture, see :class:`mixflow.flows.VectorFlow` and
        :class:`mixflow.flows.Glow` (where ``n_layers`` counts the steps of a level).
    shared_layers
        Coupling steps of a flow that all components go through before their own (the
        common-and-individual model of section III.B); 0 for none.
    n_sources
        J Gaussians, learned, in the latents of every flow (GenMM with LatMM sources, section
        III.B); component k J + j is source j of flow k. 0 for a standard normal.
    per_position, precision_prior
        Of the sources, see :class:`mixflow.LatMM`.
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
        "sparse" draws each flow's own samples, "dense" shows all samples to all
        components, "auto" is dense while the data fit into one batch.
    max_epochs, batch_size, optimizer, learning_rate, schedule, warmup, min_learning_rate, \
betas, weight_decay, clip_norm, clip_value
        AdamW, or "muon", whose steps for the weights of hidden layers are orthogonalised, and
        the schedule; see :class:`mixflow.training.LoopSettings`.
    early_stopping, validation_fraction, patience
        Set a share aside, keep the epoch that scores it best, and stop after ``patience``
        scores without a gain; "auto" does from 2000 samples on.
    compile
        Compile the M-step with torch.compile: it costs about a minute and a C++ compiler, and
        pays in long fits.
    device, dtype
        Torch device, and the dtype of training. Mixtures of vectors score in float64.
    random_state
        Seed of everything random; None takes another one in every fit. Global generators, NumPy's
        and torch's, are neither asked nor moved.
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
        :math:`\pi`, shape (K,), or (K J,) with sources.
    history_
        Name -> a value per epoch, (n_iter_,): loss, learning rate and the like; NaN where an epoch
        has none. ``pandas.DataFrame(model.history_)`` is a table of it.
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
