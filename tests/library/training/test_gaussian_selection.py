"""K and smoothing by held-out likelihood: the right ones, on tables of every kind."""

import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture

from mixflow.training import gaussian_selection
from mixflow.training.coordinates import standardised
from mixflow.training.gaussian_selection import (
    SMOOTHINGS,
    Smoothing,
    fit_gaussian_mixture,
    folds,
    select_gaussian_mixture,
)


def select(x, n_components="auto", seed=0, **settings):
    generator = torch.Generator().manual_seed(seed)
    return select_gaussian_mixture(
        torch.as_tensor(x), n_components, generator=generator, **settings
    )


def blobs(n, centres, seed=0, sd=1.0):
    rng = np.random.default_rng(seed)
    centres = np.asarray(centres, float)
    return centres[rng.integers(len(centres), size=n)] + sd * rng.normal(size=(n, centres.shape[1]))


THREE = [[0, 0], [8, 0], [0, 8]]


def test_the_number_of_blobs_is_found_and_their_density():
    x = blobs(600, THREE)
    selection = select(x)
    assert selection.n_components == 3 == selection.mixture.n_components
    assert selection.converged
    truth = GaussianMixture(3, covariance_type="spherical").fit(x)
    fresh = blobs(4000, THREE, seed=1)
    ours = float(selection.mixture.log_prob(torch.from_numpy(fresh)).mean())
    assert ours == pytest.approx(truth.score(fresh), abs=0.02)
    scores = selection.scores
    assert scores.shape == (len(selection.candidates), len(SMOOTHINGS))
    assert selection.candidates == (1, 2, 3, 4, 5)  # and two in vain
    assert scores[2].max() == scores.max()
    tried = scores.isfinite()
    assert tried.sum(1).tolist() == [8, 8, 7, 6, 5]
    assert (tried[:-1] | ~tried[1:]).all()  # what is left out does not come back
    assert scores.max() == pytest.approx(ours, abs=0.1)


def test_scores_are_mean_densities_of_samples_left_out():
    x = blobs(203, THREE)
    selection = select(x, 1, smoothings=(Smoothing(0.01), Smoothing(0.0, 0.5)))
    z, _, scale = standardised(torch.from_numpy(x))
    held_out = folds(203, torch.Generator().manual_seed(0))
    assert torch.equal(held_out.sum(0), torch.ones(203, dtype=torch.int64))
    total = 0.0
    for out in held_out:
        model = GaussianMixture(1, reg_covar=0.01).fit(z[~out])
        total += model.score_samples(z[out]).sum()
    expected = total / 203 - float(scale.log().sum())
    assert float(selection.scores[0, 0]) == pytest.approx(expected, abs=1e-9)


def test_what_is_shared_is_added_by_shrinkage():
    x = blobs(203, THREE)
    selection = select(x, 1, smoothings=(Smoothing(0.0, 0.5),))
    expected = 1.5 * torch.from_numpy(np.cov(x.T, ddof=0))
    torch.testing.assert_close(selection.mixture.covariances[0], expected)


def test_units_do_not_matter():
    x = blobs(300, THREE)
    shift, scale = np.array([1e3, -5.0]), np.array([1e-4, 1e4])
    plain, moved = select(x), select(shift + scale * x)
    assert plain.n_components == moved.n_components
    assert plain.smoothing == moved.smoothing
    points = blobs(100, THREE, seed=2)
    ours = moved.mixture.log_prob(torch.from_numpy(shift + scale * points))
    expected = plain.mixture.log_prob(torch.from_numpy(points)) - np.log(scale).sum()
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(moved.scores, plain.scores - np.log(scale).sum())
    assert moved.lower_bound == pytest.approx(plain.lower_bound - np.log(scale).sum())


def test_a_seed_gives_the_same_bits_and_no_global_state_moves():
    x = blobs(200, THREE)
    torch.manual_seed(5)
    np.random.seed(5)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    first, second, other = select(x), select(x), select(x, seed=1)
    assert torch.equal(first.scores, second.scores)
    assert torch.equal(first.mixture.means, second.mixture.means)
    assert not torch.equal(first.scores, other.scores[: len(first.scores)])
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all()


def test_more_starts_fit_no_worse(monkeypatch):
    monkeypatch.setattr(gaussian_selection, "STARTS", 1)
    x = blobs(400, 3 * np.random.default_rng(3).normal(size=(12, 2)), sd=0.7)
    one, many = (select(x, 12, smoothings=SMOOTHINGS[:1], n_init=n) for n in (1, 8))
    assert many.lower_bound >= one.lower_bound - 1e-3
    assert many.lower_bound > select(x, 6, smoothings=SMOOTHINGS[:1], n_init=8).lower_bound


def test_samples_of_weight_zero_are_not_there():
    x = np.concatenate([blobs(200, THREE), 100 + blobs(100, [[0, 0]])])
    weight = torch.cat([torch.ones(200), torch.zeros(100)])
    selection = select(x, 3, sample_weight=weight)
    assert (selection.mixture.means < 20).all()
    assert selection.scores.max() > -5


def test_many_samples_are_split_once(monkeypatch):
    assert folds(500, torch.Generator()).shape == (5, 500)
    assert folds(3, torch.Generator()).shape == (3, 3)
    held_out = folds(2500, torch.Generator(), 2500)
    assert held_out.shape == (1, 2500)
    assert held_out.sum() == 500
    monkeypatch.setattr(folds, "__defaults__", (2500,))
    assert select(blobs(2500, THREE)).n_components == 3


def test_a_fit_of_what_was_chosen_is_the_selections():
    x = torch.from_numpy(blobs(300, THREE))
    selection = select(x, 3)
    generator = torch.Generator().manual_seed(1)
    mixture = fit_gaussian_mixture(x, 3, selection.smoothing, generator=generator)
    torch.testing.assert_close(
        mixture.log_prob(x), selection.mixture.log_prob(x), rtol=0.01, atol=0.01
    )


# Tables of every kind ------------------------------------------------------------------------


@pytest.mark.parametrize("far", [1e4, 1e6, 1e12, 1e100])
def test_one_crazy_cell_moves_no_other_density(far):
    clean = blobs(500, THREE)
    crazy = clean.copy()
    crazy[17, 1] = far
    fresh = torch.from_numpy(blobs(1000, THREE, seed=1))
    before = float(select(clean).mixture.log_prob(fresh).mean())
    selection = select(crazy)
    after = float(selection.mixture.log_prob(fresh).mean())
    assert after == pytest.approx(before, abs=0.05)
    assert selection.mixture.log_prob(torch.from_numpy(crazy)).isfinite().all()


def test_a_sentinel_in_a_few_rows_moves_no_other_density():
    clean = blobs(500, THREE)
    marked = clean.copy()
    marked[:10, 0] = -999
    fresh = torch.from_numpy(blobs(1000, THREE, seed=1))
    before, after = (float(select(x).mixture.log_prob(fresh).mean()) for x in (clean, marked))
    assert after == pytest.approx(before, abs=0.1)


def tables():
    rng = np.random.default_rng(0)
    x, column = rng.normal(size=(120, 3)), rng.normal(size=(120, 1))
    simplex = rng.dirichlet(np.ones(4), size=120)
    return {
        "constant column": np.hstack([x, np.full((120, 1), 7.0)]),
        "all constant": np.zeros((30, 2)),
        "collinear": np.hstack([column, 2 * column, x[:, :1]]),
        "rows sum to one": simplex,
        "0 and 1": (x > 0).astype(float),
        "rounded": x.round(),
        "mostly zero": np.where(rng.random((120, 3)) < 0.97, 0, np.exp(3 * x)),
        "one distinct value aside": np.eye(60, 1),
        "duplicated rows": np.repeat(x[:6], 20, axis=0),
        "two distinct rows": np.repeat(x[:2], 30, axis=0),
        "five rows": x[:5],
        "two rows": x[:2],
        "two equal rows": np.ones((2, 3)),
        "fewer rows than features": rng.normal(size=(12, 30)),
        "Cauchy": rng.standard_cauchy(size=(300, 2)),
        "size 1e100": 1e100 * x,
        "size 1e-100": 1e-100 * x,
        "far from zero": 1e9 + x,
        "integers": rng.integers(0, 5, size=(120, 2)),
    }


@pytest.mark.parametrize("name", tables())
def test_any_table_gets_a_density(name):
    x = tables()[name]
    selection = select(x)
    mixture, points = selection.mixture, torch.as_tensor(x).double()
    for parameter in (mixture.weights, mixture.means, mixture.covariances, selection.scores[:2]):
        assert parameter.isfinite().all()
    assert mixture.log_prob(points).isfinite().all()
    assert float(mixture.log_prob(points).mean()) == pytest.approx(selection.lower_bound, abs=0.5)
    far = mixture.log_prob(points + 1e6 * (1 + points.abs()))
    assert not far.isnan().any()
    for k in (1, 2):
        assert select(x, k).mixture.log_prob(points).isfinite().all()


def test_no_more_components_than_half_the_samples_a_fold_learns_from():
    assert max(select(blobs(12, THREE)).candidates) <= 4


def test_scales_are_of_the_middle_and_never_zero():
    x = np.random.default_rng(0).normal(size=(1000, 3))
    x[:, 1] = 3
    x[:, 2] = np.where(np.arange(1000) < 990, 0, 5)
    x[-1] = 1e6
    z, shift, scale = standardised(torch.from_numpy(x))
    torch.testing.assert_close(scale, torch.tensor([1.0, 1e6 - 3, 5.0]).double(), rtol=0.05, atol=0)
    torch.testing.assert_close(shift, torch.tensor([0.0, 3, 0]).double(), rtol=0, atol=0.1)
    assert z[:-1].abs().max() < 5
    tame = torch.from_numpy(x[:-1, :1])
    torch.testing.assert_close(standardised(tame)[2], tame.std(0, correction=0))


@pytest.mark.parametrize(
    ("x", "n_components", "message"),
    [
        (np.array([[1.0], [np.nan]]), "auto", "finite"),
        (np.ones((1, 2)), "auto", "at least 2 samples"),
        (np.ones((5, 2)), 6, "n_components must be from 1 to N = 5"),
        (np.ones((5, 2)), 0, "n_components must be from 1"),
        (1e200 * blobs(20, THREE), "auto", "divide the features"),
        (1e-200 * blobs(20, THREE), "auto", "divide the features"),
    ],
)
def test_what_cannot_be_fitted_is_refused(x, n_components, message):
    with pytest.raises(ValueError, match=message):
        select(x, n_components)
