"""What a fitted mixture answers: densities, components, samples, latents."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import DensityMixin
from sklearn.utils.validation import check_is_fitted

from mixflow.estimators.base import FlowEstimator, log_posterior, reachable
from mixflow.modes import own_modes
from mixflow.validation import as_labels, as_real, as_whole_numbers, check_whole


class MixtureDensity(DensityMixin, FlowEstimator):
    """Answer from ``mixture_`` and ``weights_``, in the units of X."""

    weights_: np.ndarray

    _axes: ClassVar[dict[str, str]] = {**FlowEstimator._axes, "weights_": "K"}

    @own_modes(grad=False)
    def _log_joint(self, X: ArrayLike) -> np.ndarray:
        check_is_fitted(self, "mixture_")
        x = self._to_tensor(self._validate_x(X, reset=False), self.mixture_.log_weights.dtype)
        return self.mixture_.log_joint(x).double().cpu().numpy() - np.log(self.scale_).sum()

    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Return log p(x) of every sample in nats: (N, D) -> (N,)."""
        return np.logaddexp.reduce(self._log_joint(X), axis=1)

    def score(self, X: ArrayLike, y: None = None) -> float:
        """Return the mean of ``score_samples``."""
        return float(self.score_samples(X).mean())

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the most responsible component: (N, D) -> (N,)."""
        return reachable(self._log_joint(X), self.weights_).argmax(axis=1)

    def fit_predict(self, X: ArrayLike, y: None = None) -> np.ndarray:
        """Fit, and return ``predict(X)``."""
        return self.fit(X, y).predict(X)

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Return the responsibilities: (N, D) -> (N, K)."""
        return np.exp(log_posterior(self._log_joint(X), self.weights_))

    @own_modes(grad=False)
    def sample(self, n_samples: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Draw samples.

        Returns
        -------
        X, labels
            Samples (n_samples, D), grouped by component, and their components (n_samples,); after
            ``set_output(transform="pandas")`` X is a data frame.
            A fitted model with an integer ``random_state`` gives the same samples each time.
        """
        check_is_fitted(self, "mixture_")
        check_whole("n_samples", n_samples, 1)
        generator = torch.Generator(self.mixture_.log_weights.device).manual_seed(self._seed())
        x, labels = self.mixture_.sample(n_samples, generator)
        return self._framed(self._from_tensor(x)), labels.cpu().numpy()

    def bic(self, X: ArrayLike) -> float:
        """Return the Bayesian information criterion on X (lower is better)."""
        scores = self.score_samples(X)
        return float(-2 * scores.sum() + self._n_parameters() * np.log(len(scores)))

    def aic(self, X: ArrayLike) -> float:
        """Return the Akaike information criterion on X (lower is better)."""
        return float(-2 * self.score_samples(X).sum() + 2 * self._n_parameters())

    def _n_parameters(self) -> int:
        return sum(p.numel() for p in self.mixture_.parameters()) + len(self.weights_) - 1

    @own_modes(grad=False)
    def encode(self, X: ArrayLike, labels: ArrayLike | None = None) -> np.ndarray:
        """Map samples to latents (N, D) by the components named, or the most responsible ones."""
        check_is_fitted(self, "mixture_")
        x = self._to_tensor(self._validate_x(X, reset=False), self.mixture_.log_weights.dtype)
        component = self._components(self.predict(X) if labels is None else labels, len(x))
        return self.mixture_.encode(x, component).cpu().numpy()

    @own_modes(grad=False)
    def decode(self, Z: ArrayLike, labels: ArrayLike) -> np.ndarray:
        """Map latents (N, D) to samples by the components named (N,)."""
        check_is_fitted(self, "mixture_")
        latents = as_real(Z, "Z", "N D")
        if latents.shape[1] != self.n_features_in_:
            raise ValueError(f"Z must have shape (N, {self.n_features_in_}), got {latents.shape}")
        weights = self.mixture_.log_weights
        z = torch.as_tensor(latents, dtype=weights.dtype, device=weights.device)
        x = self.mixture_.decode(z, self._components(labels, len(z)))
        return self._framed(self._from_tensor(x))

    def _components(self, labels: ArrayLike, n_samples: int) -> torch.Tensor:
        named = as_labels(labels, "labels", n_samples)
        if named.dtype.kind == "f" and (named == np.trunc(named)).all():
            named = named.astype(np.int64)
        numbers = as_whole_numbers(named, "labels", n_samples, 0, self.mixture_.n_components - 1)
        return torch.as_tensor(numbers, dtype=torch.int64, device=self.mixture_.log_weights.device)
