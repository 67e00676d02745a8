"""EM for many Gaussian mixtures at once: scikit-learn's numbers, and one batch like a loop."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from mixflow.training import gaussian_statistics
from mixflow.training.gaussian_em import climb, gaussian_em, natural, symmetric
from mixflow.training.gaussian_start import kmeans, seeds
from mixflow.training.gaussian_statistics import Samples

PARAMETERS = ("weights", "means", "covariances")


class Started(GaussianMixture):
    """scikit-learn's mixture, from responsibilities that are given."""

    def _initialize_parameters(self, x, *args, **kwargs):
        self._initialize(x, self.start)


def blobs(n=1000, d=3, k=4, seed=0):
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(k, d, d)) * 0.7
    label = rng.integers(k, size=n)
    x = 1.5 * rng.normal(size=(k, d))[label]
    return x + np.einsum("nij,nj->ni", factors[label], rng.normal(size=(n, d)))


def start(n, k, seed=0):
    return np.random.default_rng(seed).dirichlet(np.ones(k), size=n)


def tensors(*arrays):
    return tuple(torch.from_numpy(np.asarray(a)) for a in arrays)


def assert_same(fits, others, tolerance):
    for name in PARAMETERS:
        ours, theirs = getattr(fits, name), getattr(others, name)
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("n", "k", "max_iter"), [(1000, 5, 200), (385, 3, 7), (20, 1, 100)])
def test_parameters_bound_and_iterations_are_scikit_learns(n, k, max_iter):
    x, r = blobs(n), start(n, k)
    theirs = Started(k, reg_covar=1e-4, max_iter=max_iter)
    theirs.start = r
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        theirs.fit(x)
    ours = gaussian_em(*tensors(x, r[None]), ridge=1e-4, max_iter=max_iter)
    assert ours.n_iter.tolist() == [theirs.n_iter_]
    assert ours.converged.tolist() == [theirs.converged_]
    assert float(ours.lower_bound) == pytest.approx(theirs.lower_bound_, rel=1e-10)
    for name in PARAMETERS:
        np.testing.assert_allclose(getattr(ours, name)[0], getattr(theirs, f"{name}_"), atol=1e-8)
    log_prob = ours.mixture(0).log_prob(torch.from_numpy(x))
    np.testing.assert_allclose(log_prob, theirs.score_samples(x), atol=1e-7)


def test_the_bound_never_falls():
    x, r = tensors(blobs(), start(1000, 6)[None])
    bounds = [
        float(gaussian_em(x, r, ridge=0, tol=0, max_iter=i).lower_bound) for i in range(1, 40)
    ]
    assert (np.diff(bounds) > -1e-12).all()
    assert bounds[-1] - bounds[0] > 0.1


def test_weighted_samples_are_repeated_samples():
    x, r = blobs(300), start(300, 3)
    count = np.random.default_rng(2).integers(0, 4, size=300)
    weighted = gaussian_em(*tensors(x, r[None]), sample_weight=torch.from_numpy(count))
    repeated = gaussian_em(*tensors(x.repeat(count, 0), r.repeat(count, 0)[None]))
    assert weighted.n_iter.tolist() == repeated.n_iter.tolist()
    torch.testing.assert_close(weighted.lower_bound, repeated.lower_bound)
    assert_same(weighted, repeated, 1e-9)


def test_a_batch_is_a_loop():
    # Problems of other numbers of components, ridges, weights and numbers of iterations.
    x = torch.from_numpy(blobs(500))
    components, ridges = (1, 4, 2, 4), torch.tensor([1e-6, 1e-3, 1e-1, 1e-6])
    weight = torch.from_numpy(np.random.default_rng(3).random((4, 500)))
    r = torch.zeros(4, 500, 4, dtype=torch.float64)
    for b, k in enumerate(components):
        r[b, :, :k] = torch.from_numpy(start(500, k, seed=b))
    ridge = ridges[:, None, None] * torch.eye(3).double()
    batch = gaussian_em(x, r, ridge=ridge, sample_weight=weight)
    assert len(set(batch.n_iter.tolist())) > 2
    for b, k in enumerate(components):
        alone = gaussian_em(x, r[b : b + 1, :, :k], ridge=float(ridges[b]), sample_weight=weight[b])
        assert batch.n_iter[b] == alone.n_iter[0]
        torch.testing.assert_close(batch.lower_bound[b], alone.lower_bound[0])
        ours, other = batch.mixture(b), alone.mixture(0)
        assert ours.n_components == k
        assert_same(ours, other, 1e-9)


def test_blocks_and_threads_do_not_move_a_bit(monkeypatch):
    x, r = tensors(blobs(3000), start(3000, 4)[None])
    monkeypatch.setattr(gaussian_statistics, "VALUES", 1)
    threads = torch.get_num_threads()
    try:
        fits = []
        for n in (1, 3):
            torch.set_num_threads(n)
            fits.append(gaussian_em(x, r, max_iter=5))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(getattr(fits[0], p), getattr(fits[1], p)) for p in PARAMETERS)
    monkeypatch.undo()
    assert_same(fits[0], gaussian_em(x, r, max_iter=5), 1e-10)


def test_a_component_without_samples_is_left_out():
    x = np.concatenate([np.zeros((50, 2)), np.ones((50, 2))])  # two distinct rows
    r = np.zeros((1, 100, 3))
    r[0, :50, 0] = r[0, 50:, 1] = 1
    r[0, 0] = 1e-300 * np.array([0, 0, 1]) + np.array([1, 0, 0])
    fits = gaussian_em(*tensors(x, r), ridge=1e-6)
    assert fits.weights.isfinite().all()
    mixture = fits.mixture(0)
    assert mixture.n_components == 2
    torch.testing.assert_close(mixture.weights, torch.full((2,), 0.5).double())
    torch.testing.assert_close(mixture.covariances, 1e-6 * torch.eye(2).double().expand(2, 2, 2))


def test_a_row_far_out_leaves_no_nan_and_its_own_component():
    x = np.concatenate([blobs(500), [[1e8, -1e8, 1e8]]])
    r = np.zeros((1, 501, 3))
    r[0, :, :2] = start(501, 2)
    r[0, -1] = [0, 0, 1]
    mixture = gaussian_em(*tensors(x, r), ridge=1e-6).mixture(0)
    others = gaussian_em(*tensors(x[:-1], r[:, :-1, :2]), ridge=1e-6).mixture(0)
    expected = others.log_prob(torch.from_numpy(x[:-1])) + np.log(500 / 501)
    ours = mixture.log_prob(torch.from_numpy(x[:-1]))
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)


# k-means -------------------------------------------------------------------------------------


def test_kmeans_reaches_scikit_learns_distance_from_the_same_centres():
    x = blobs(1000, d=2, k=8)
    theirs = KMeans(8, init=x[:8], n_init=1, tol=1e-6).fit(x)
    samples = Samples(torch.from_numpy(x), torch.ones(1, 1000).double())
    row = torch.zeros(1, dtype=torch.int64)
    sums = kmeans(samples, torch.from_numpy(x[None, :8]), row, tol=1e-6, max_iter=300)
    np.testing.assert_array_equal(np.sort(sums[0, :, 0]), np.sort(np.bincount(theirs.labels_)))
    moments = symmetric(sums)[0, :, 0]
    means = (moments[:, 1:] / moments[:, :1]).numpy()
    order, other = np.lexsort(means.T), np.lexsort(theirs.cluster_centers_.T)
    np.testing.assert_allclose(means[order], theirs.cluster_centers_[other], atol=1e-3)


def test_a_batch_of_kmeans_is_a_loop_also_with_fewer_centres():
    x = torch.from_numpy(blobs(700, d=2))
    weights = torch.from_numpy(np.random.default_rng(0).random((2, 700)))
    samples, row = Samples(x, weights), torch.tensor([0, 1])
    centres = torch.full((2, 5, 2), torch.nan).double()
    centres[0], centres[1, :3] = x[:5], x[5:8]
    batch = kmeans(samples, centres, row)
    torch.testing.assert_close(batch[:1], kmeans(samples, centres[:1], row[:1]))
    torch.testing.assert_close(batch[1:, :3], kmeans(samples, centres[1:, :3], row[1:]))
    assert not batch[1, 3:].any()


def test_seeds_are_samples_apart_and_begin_with_those_of_fewer():
    x = torch.from_numpy(blobs(400))
    weights = torch.ones(3, 400).double()
    weights[1, 200:] = 0

    def drawn(k):
        return seeds(x, weights, k, torch.Generator().manual_seed(0))

    seven = drawn(7)
    assert torch.equal(seven, drawn(7))
    assert torch.equal(seven[:, :5], drawn(5))
    for r in range(3):
        place = (seven[r][:, None] == x).all(2).nonzero()[:, 1]
        assert len(place.unique()) == 7
        assert weights[r, place].all()
    spread = torch.pdist(seven[0]).min()
    by_chance = torch.stack([torch.pdist(x[7 * i : 7 * i + 7]).min() for i in range(50)])
    assert spread > by_chance.median()


def test_seeds_of_equal_rows_are_drawn_all_the_same():
    x = torch.ones(10, 2).double()
    assert torch.equal(
        seeds(x, torch.ones(1, 10).double(), 4, torch.Generator()), torch.ones(1, 4, 2).double()
    )


def test_log_densities_in_chunks_are_the_mixtures():
    x = torch.from_numpy(blobs(1000))
    samples, row = Samples(x, torch.ones(1, 1000).double()), torch.zeros(2, dtype=torch.int64)
    first = samples.sums(torch.from_numpy(np.stack([start(1000, 3, s) for s in (0, 1)])), row)
    fits = climb(samples, first, row, 1e-6, max_iter=10)
    ours = samples.log_prob(natural(fits.weights, fits.means, fits.covariances))
    for b in (0, 1):
        torch.testing.assert_close(ours[b], fits.mixture(b).log_prob(x), rtol=1e-9, atol=1e-9)
