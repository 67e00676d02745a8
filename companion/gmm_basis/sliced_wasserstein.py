"""A Gaussian mixture that minimises the sliced Wasserstein distance to the data."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.cluster import kmeans_plusplus
from torch import Tensor, nn

from mixflow.training.schedules import learning_rate

_GRID, _NEWTON = 64, 3  # points that bracket the quantiles, and steps within the bracket


class SlicedWassersteinGMM:
    r"""Fit a Gaussian mixture by descending the sliced Wasserstein distance.

    .. math:: SW_2^2 = E_\theta \int_0^1 \big(F_\theta^{-1}(u) - G_\theta^{-1}(u)\big)^2 du

    :math:`F_\theta` and :math:`G_\theta` are the distributions of data and mixture along a random
    direction, where optimal transport matches quantiles. The projected mixture is a mixture of K
    normals, so its quantiles are exact (not those of a sample): the weights get a gradient like
    means and covariances, and no noise but that of the directions is left.

    Parameters
    ----------
    n_components
        K.
    n_projections
        Random directions of a step.
    n_levels
        Quantiles that are matched, at the middles of so many equal shares.
    n_steps, rate
        Steps of Adam, and the first of its learning rates, which fall as a cosine.
    min_sd
        In sds of the features: squared, it is added to all covariances, as variances along
        directions say little about thin components.
    random_state
        Seed of start, directions and samples.

    Attributes
    ----------
    weights_, means_, covariances_
        (K,), (K, D), (K, D, D), in units of X.
    history_
        Squared distance of every step, averaged over its directions, in standardised units.

    References
    ----------
    S. Kolouri, G. K. Rohde, H. Hoffmann, Sliced Wasserstein Distance for Learning Gaussian Mixture
    Models, CVPR 2018, https://arxiv.org/abs/1711.05376.
    """

    def __init__(
        self,
        n_components: int,
        *,
        n_projections: int = 32,
        n_levels: int = 128,
        n_steps: int = 400,
        rate: float = 0.03,
        min_sd: float = 0.05,
        random_state: int = 0,
    ) -> None:
        self.n_components, self.n_projections = n_components, n_projections
        self.n_levels, self.n_steps, self.rate = n_levels, n_steps, rate
        self.min_sd, self.random_state = min_sd, random_state

    def fit(self, X: np.ndarray) -> SlicedWassersteinGMM:
        """Fit the mixture to X (N, D)."""
        location, scale = X.mean(0), X.std(0)
        x = torch.as_tensor((X - location) / scale, dtype=torch.float32)
        with torch.random.fork_rng([]):
            torch.manual_seed(self.random_state)
            model = _Mixture(_start(x, self.n_components, self.random_state), self.min_sd)
            self.history_ = self._descend(model, x)
        weights, means, covariances = (t.detach().double().numpy() for t in model.moments())
        self.weights_ = weights / weights.sum()
        self.means_ = location + scale * means
        self.covariances_ = covariances * scale * scale[:, None]
        return self

    def _descend(self, model: _Mixture, x: Tensor) -> np.ndarray:
        adam = torch.optim.Adam(model.parameters(), self.rate, fused=True)
        levels = (torch.arange(self.n_levels) + 0.5) / self.n_levels
        losses = np.empty(self.n_steps)
        for step in range(self.n_steps):
            adam.param_groups[0]["lr"] = learning_rate(step, self.n_steps, base=self.rate)
            directions = nn.functional.normalize(torch.randn(self.n_projections, x.shape[1]))
            goal = sample_quantiles(directions @ x.T, levels)
            loss = (model.quantiles(directions, levels) - goal).square().mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
            losses[step] = loss.item()
        return losses

    def sample(self, n_samples: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw samples (n_samples, D), grouped by component, and their components."""
        rng = np.random.default_rng(self.random_state)
        counts = rng.multinomial(n_samples, self.weights_)
        parts = [
            rng.multivariate_normal(m, c, n)
            for m, c, n in zip(self.means_, self.covariances_, counts, strict=True)
        ]
        return np.concatenate(parts), np.repeat(np.arange(len(counts)), counts)


class _Mixture(nn.Module):
    """Weights as logits, means (K, D), covariances as lower triangles (K, D, D) and a floor."""

    def __init__(self, start: tuple[Tensor, Tensor], min_sd: float) -> None:
        super().__init__()
        means, sd = start
        k, d = means.shape
        self.min_sd = min_sd
        self.logits = nn.Parameter(torch.zeros(k))
        self.means = nn.Parameter(means.clone())
        self.factors = nn.Parameter(sd * torch.eye(d).repeat(k, 1, 1))

    def quantiles(self, directions: Tensor, levels: Tensor) -> Tensor:
        """Return the quantiles along directions (L, D) at levels (M,), (L, M)."""
        along = torch.einsum("ld,kde->lke", directions, self.factors.tril())
        sd = (along.square().sum(2) + self.min_sd**2).sqrt()
        return mixture_quantiles(levels, self.logits.softmax(0), directions @ self.means.T, sd)

    def moments(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return weights (K,), means (K, D) and covariances (K, D, D)."""
        factors = self.factors.tril()
        floor = self.min_sd**2 * torch.eye(factors.shape[1])
        return self.logits.softmax(0), self.means, factors @ factors.mT + floor


def _start(x: Tensor, k: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return samples as means (K, D), far from each other, and one sd for all components."""
    means = torch.from_numpy(kmeans_plusplus(x.numpy(), k, random_state=seed)[0])
    nearest = torch.cdist(x, means).min(1).values
    return means, nearest.square().mean().div(x.shape[1]).sqrt()


def sample_quantiles(x: Tensor, levels: Tensor) -> Tensor:
    """Return quantiles of samples: (L, N), levels (M,) -> (L, M), interpolated linearly."""
    ordered = x.sort(dim=1).values
    position = (levels * x.shape[1] - 0.5).clamp(0, x.shape[1] - 1)
    below = position.long()
    above = (below + 1).clamp_max(x.shape[1] - 1)
    return torch.lerp(ordered[:, below], ordered[:, above], position - below)


def mixture_quantiles(levels: Tensor, weights: Tensor, means: Tensor, sds: Tensor) -> Tensor:
    """Return quantiles of mixtures of normals, with gradients: (L, M).

    Parameters
    ----------
    levels
        Between 0 and 1, (M,).
    weights
        Of the components, (K,); the same for all L mixtures.
    means, sds
        (L, K).
    """
    with torch.no_grad():
        q, low, high = _bracketed(levels, weights, means, sds)
        for _ in range(_NEWTON):
            error, density = _error(q, levels, weights, means, sds)
            newton = q - error / density.clamp_min(1e-12)
            low, high = torch.where(error < 0, q, low), torch.where(error < 0, high, q)
            inside = (newton > low) & (newton < high)
            q = torch.where(inside, newton, 0.5 * (low + high))
    # A last Newton step, differentiated: dq = -dF / density, by the implicit function theorem.
    error, density = _error(q, levels, weights, means, sds)
    return q - error / density.detach().clamp_min(1e-3)


def _error(
    q: Tensor, levels: Tensor, weights: Tensor, means: Tensor, sds: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the distribution at q (L, M) less the levels, and the density there."""
    z = (q[:, :, None] - means[:, None]) / sds[:, None]
    cdf = torch.special.ndtr(z) @ weights
    density = torch.exp(-0.5 * z.detach() ** 2) / (sds.detach() * (2 * torch.pi) ** 0.5)[:, None]
    return cdf - levels, density @ weights.detach()


def _bracketed(
    levels: Tensor, weights: Tensor, means: Tensor, sds: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return interpolated quantiles on a grid, and the grid points on either side, (L, M)."""
    ends = torch.special.ndtri(torch.stack([levels.min(), levels.max()]))
    first = (means + ends[0] * sds).min(1, keepdim=True).values
    last = (means + ends[1] * sds).max(1, keepdim=True).values
    grid = first + (last - first) * torch.linspace(0, 1, _GRID).to(means)
    z = (grid[:, :, None] - means[:, None]) / sds[:, None]
    cdf = torch.special.ndtr(z) @ weights
    wanted = levels.expand(len(cdf), -1).contiguous()
    above = torch.searchsorted(cdf.contiguous(), wanted).clamp(1, _GRID - 1)
    low, high = grid.gather(1, above - 1), grid.gather(1, above)
    at, rise = cdf.gather(1, above - 1), cdf.gather(1, above) - cdf.gather(1, above - 1)
    share = ((wanted - at) / rise.clamp_min(1e-12)).clamp(0, 1)
    return low + share * (high - low), low, high
