"""A full-covariance Gaussian mixture per class, as arrays: what has marginals in closed form."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import StandardScaler


@dataclass(frozen=True)
class ClassGaussians:
    """K Gaussians for each of C classes, in the units of x.

    Attributes
    ----------
    classes_, class_prior_
        Labels and P(y), shape (C,).
    weights, means, covariances
        Shapes (C, K), (C, K, D) and (C, K, D, D).
    """

    classes_: NDArray
    class_prior_: NDArray
    weights: NDArray
    means: NDArray
    covariances: NDArray

    def log_joint(self, x: NDArray) -> NDArray:
        """Return log pi_yk N(x; mu_yk, S_yk) in nats: (N, D) -> (N, C, K)."""
        return np.stack([self.log_joint_of(c, x) for c in range(len(self.classes_))], axis=1)

    def log_joint_of(self, c: int, x: NDArray) -> NDArray:
        """Return log pi_k N(x; mu_k, S_k) of the components of class number c: (N, K)."""
        whitening = np.linalg.inv(np.linalg.cholesky(self.covariances[c]))
        z = np.einsum("kij,nkj->nki", whitening, x[:, None] - self.means[c], optimize=True)
        log_det = np.log(np.diagonal(whitening, axis1=1, axis2=2)).sum(1)
        log_prob = -0.5 * (z**2).sum(2) - 0.5 * x.shape[1] * np.log(2 * np.pi) + log_det
        joint: NDArray = log_prob + np.log(self.weights[c])
        return joint

    def log_prob_classes(self, x: NDArray) -> NDArray:
        """Return log p(x given y) in nats: (N, D) -> (N, C)."""
        densities: NDArray = logsumexp(self.log_joint(x), axis=2)
        return densities

    def score_samples(self, x: NDArray) -> NDArray:
        """Return log p(x) in nats: (N, D) -> (N,)."""
        score: NDArray = logsumexp(self.log_prob_classes(x) + np.log(self.class_prior_), axis=1)
        return score

    def predict_log_proba(self, x: NDArray) -> NDArray:
        """Return log p(y given x): (N, D) -> (N, C)."""
        log_proba: NDArray = log_softmax(
            self.log_prob_classes(x) + np.log(self.class_prior_), axis=1
        )
        return log_proba

    def marginal(self, features: NDArray) -> ClassGaussians:
        """Return the densities of some features, int64 (M,), exactly: take their entries."""
        return replace(
            self,
            means=self.means[..., features],
            covariances=self.covariances[..., features[:, None], features],
        )

    def complete(
        self, c: int, x: NDArray, missing: NDArray, n_draws: int, rng: np.random.Generator
    ) -> NDArray:
        """Draw the missing features of samples of class number c, given the others.

        Parameters
        ----------
        c
            Number of the class, in the order of ``classes_``.
        x
            Samples (N, D); the values of missing features are not looked at.
        missing
            Numbers of the missing features, int64 (M,).
        n_draws
            S, completions of each sample.
        rng
            Source of the draws.

        Returns
        -------
        numpy.ndarray
            Completed samples, shape (S, N, D).
        """
        seen = np.setdiff1d(np.arange(x.shape[1]), missing)
        chance = log_softmax(self.marginal(seen).log_joint_of(c, x[:, seen]), axis=1)
        gumbel = rng.gumbel(size=(n_draws, *chance.shape))
        component = (chance + gumbel).argmax(2)
        means, covariances = self.means[c], self.covariances[c]
        completed = np.repeat(x[None], n_draws, axis=0)
        for k, (mean, covariance) in enumerate(zip(means, covariances, strict=True)):
            draw, sample = np.nonzero(component == k)
            slope = np.linalg.solve(
                covariance[np.ix_(seen, seen)], covariance[np.ix_(seen, missing)]
            )
            rest = covariance[np.ix_(missing, missing)]
            rest = rest - covariance[np.ix_(missing, seen)] @ slope
            centre = mean[missing] + (x[sample][:, seen] - mean[seen]) @ slope
            noise = rng.normal(size=centre.shape) @ np.linalg.cholesky(rest).T
            completed[draw[:, None], sample[:, None], missing] = centre + noise
        return completed


def fit_gaussians(
    x: NDArray, y: NDArray, *, n_components: int, reg_covar: float, seed: int
) -> ClassGaussians:
    """Fit scikit-learn's Gaussian mixture to the standardised samples of every class.

    Parameters
    ----------
    x, y
        Samples (N, D) and labels (N,).
    n_components
        K.
    reg_covar
        Ridge of covariances, in units of the standardised features.
    seed
        Of the starts.
    """
    scaler = StandardScaler().fit(x)
    z, scale = scaler.transform(x), scaler.scale_
    classes, counts = np.unique(y, return_counts=True)
    fits = [
        GaussianMixture(n_components, reg_covar=reg_covar, random_state=seed, max_iter=200).fit(
            z[y == label]
        )
        for label in classes
    ]
    return ClassGaussians(
        classes,
        counts / counts.sum(),
        np.stack([fit.weights_ for fit in fits]),
        np.stack([fit.means_ for fit in fits]) * scale + scaler.mean_,
        np.stack([fit.covariances_ for fit in fits]) * np.outer(scale, scale),
    )
