"""BasisDensity: scikit-learn's checks, shards, kinds of arrays, bad input, files."""

import pickle
import warnings

import numpy as np
import pytest
import torch
from scipy import integrate
from scipy.stats import norm
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks

from mixflow import BasisDensity, load
from mixflow.datasets.univariate import random_mixture

IMPROVED = {"sigma": "isj", "em_steps": 1}
VARIANTS = [
    {},
    {"algorithm": 1},
    {"algorithm": 1, "learning_sigma": None, "sigma": 3.0},
    {"sigma": "isj"},
    IMPROVED,
    {"bounds": "robust"},
    {"bounds": (-30.0, 40.0), "n_components": 333},
]


@parametrize_with_checks([BasisDensity(), BasisDensity(algorithm=1), BasisDensity(**IMPROVED)])
def test_estimator_checks(estimator, check):
    check(estimator)


@pytest.fixture
def X():
    return np.random.default_rng(0).normal(size=(2000, 2)) * [1, 5] + [0, 3]


@pytest.mark.parametrize("settings", VARIANTS)
def test_a_density_integrates_to_one_and_is_the_derivative_of_its_cdf(X, settings):
    model = BasisDensity(**settings).fit(X)

    def density(value, d):
        point = np.array([[0.0, 3.0]])
        point[0, d] = value
        return float(np.exp(model.score_features(point))[0, d])

    for d, width in enumerate((6, 30)):
        x = np.linspace(-width, width + 3, 4001)
        grid = np.repeat(x[:, None], 2, axis=1)
        values = np.exp(model.score_features(grid))[:, d]
        cdf = model.cdf(grid)[:, d]
        reached = integrate.cumulative_simpson(values, x=x, initial=0)
        np.testing.assert_allclose(reached, cdf - cdf[0], atol=1e-5)
    assert model.weights_.shape == model.means_.shape == (2, model.n_components)
    np.testing.assert_allclose(model.weights_.sum(1), 1)


@pytest.mark.parametrize("settings", VARIANTS)
def test_quantiles_undo_the_cdf(X, settings):
    model = BasisDensity(**settings).fit(X)
    p = model.cdf(X[:50])
    np.testing.assert_allclose(model.quantile(p), X[:50], atol=1e-6)
    assert model.quantile(0.5).shape == (1, 2)
    assert model.quantile([0.1, 0.9]).shape == (2, 2)


def test_scores_are_sums_over_features(X):
    model = BasisDensity().fit(X)
    np.testing.assert_allclose(model.score_samples(X), model.score_features(X).sum(1))
    assert model.score(X) == pytest.approx(model.score_samples(X).mean())


def test_the_loss_is_that_of_the_cdf(X):
    model = BasisDensity(50).fit(X)
    borders = model.low_ + np.arange(51)[:, None] / 50 * (model.high_ - model.low_)
    ends = [np.zeros((1, 2)), np.ones((1, 2))]

    def target(x):
        return norm.cdf(x, [0, 3], [1, 5])

    masses = [
        np.diff(np.vstack([ends[0], f(borders), ends[1]]), axis=0) for f in (target, model.cdf)
    ]
    np.testing.assert_allclose(model.loss(target), np.abs(masses[0] - masses[1]).sum(0))
    with pytest.raises(ValueError, match="keep the shape"):
        model.loss(lambda x: x[:, 0])


def test_samples_follow_the_density_and_repeat(X):
    model = BasisDensity(random_state=0).fit(X)
    drawn = model.sample(20_000)
    np.testing.assert_allclose(drawn.mean(0), X.mean(0), atol=0.15)
    np.testing.assert_allclose(drawn.std(0), X.std(0), rtol=0.03)
    np.testing.assert_array_equal(model.sample(5), model.sample(5))
    with pytest.raises(ValueError, match="at least 1"):
        model.sample(0)


@pytest.mark.parametrize("family", ["gaussians", "mixed"])
def test_the_improved_rule_beats_the_papers_best_sigma(family):
    targets = [random_mixture(family, seed) for seed in range(500, 560)]
    X = np.stack([t.sample(5000, 1) for t in targets], axis=1)

    def losses(**settings):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # t components have outliers
            model = BasisDensity(**settings).fit(X)
        return model.loss(
            lambda x: np.stack([t.cdf(c) for t, c in zip(targets, x.T, strict=True)], 1)
        )

    best = min((losses(sigma=float(t)) for t in (1, 2, 3)), key=np.mean)
    gain = best - losses(**IMPROVED)
    assert gain.mean() > 2 * gain.std() / np.sqrt(len(gain))


# Parts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"algorithm": 1}, IMPROVED])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shards_and_batches_equal_one_pass_bit_for_bit(X, settings, dtype):
    X, settings = X.astype(dtype), {**settings, "bounds": ([-5, -30], [5, 40])}
    whole = BasisDensity(**settings).fit(X)
    parts = [BasisDensity(**settings).fit(part) for part in np.array_split(X, 5)]
    batches = BasisDensity(**settings)
    for part in np.array_split(X, 3):
        batches.partial_fit(part)
    for other in (parts[0].merge(*parts[1:]), batches):
        np.testing.assert_array_equal(other.counts_, whole.counts_)
        np.testing.assert_array_equal(other.weights_, whole.weights_)
        assert other.n_samples_seen_ == len(X)
    assert whole.weights_.dtype == dtype


def test_fit_forgets_and_partial_fit_does_not(X):
    model = BasisDensity().fit(X)
    model.partial_fit(X)
    assert model.n_samples_seen_ == 2 * len(X)
    assert model.fit(X).n_samples_seen_ == len(X)


def test_grids_that_differ_do_not_merge(X):
    model = BasisDensity().fit(X)
    for other in (BasisDensity().fit(X + 1), BasisDensity(20).fit(X)):
        with pytest.raises(ValueError, match="explicit bounds"):
            model.merge(other)
    assert model.n_samples_seen_ == len(X)


def test_later_points_outside_the_first_bounds_are_reported(X):
    model = BasisDensity().fit(X)
    with pytest.warns(UserWarning, match="1 of 1 points of feature 0 lie outside"):
        model.partial_fit([[100.0, 3.0]])
    assert model.n_outside_.tolist() == [[0, 1], [0, 0]]
    assert model.counts_.sum(1).tolist() == [2000, 2001]


# Kinds of arrays -----------------------------------------------------------------------------


@pytest.mark.parametrize("settings", VARIANTS)
def test_tensors_learn_what_arrays_learn(X, settings):
    array, tensor = (
        BasisDensity(**settings).fit(X),
        BasisDensity(**settings).fit(torch.from_numpy(X)),
    )
    for name in ("weights_", "means_", "scales_", "low_", "counts_"):
        value = getattr(tensor, name)
        assert isinstance(value, torch.Tensor), name
        np.testing.assert_allclose(value.numpy(), getattr(array, name), rtol=1e-12, atol=1e-15)
    for model in (array, tensor):  # results are of the kind that the model was fitted on
        for data in (X, torch.from_numpy(X)):
            assert isinstance(model.score_samples(data), type(model.weights_))
    assert isinstance(tensor.quantile(0.3), torch.Tensor)
    assert isinstance(tensor.sample(3), torch.Tensor)
    loss = tensor.loss(
        lambda x: torch.special.ndtr((x - torch.tensor([0, 3])) / torch.tensor([1, 5]))
    )
    np.testing.assert_allclose(loss, array.loss(lambda x: norm.cdf(x, [0, 3], [1, 5])), rtol=1e-9)


def test_float32_stays_float32(X):
    for data in (X.astype(np.float32), torch.from_numpy(X).float()):
        model = BasisDensity(**IMPROVED).fit(data)
        results = (model.weights_, model.scales_, model.score_samples(data), model.sample(2))
        assert {str(r.dtype).removeprefix("torch.") for r in results} == {"float32"}
        exact = BasisDensity(**IMPROVED).fit(X).score(X)
        assert model.score(data) == pytest.approx(exact, abs=1e-3)


def test_wrong_tensors_are_errors(X):
    model = BasisDensity().fit(X)
    with pytest.raises(ValueError, match=r"shape \(N, D\)"):
        model.fit(torch.zeros(5))
    with pytest.raises(ValueError, match="NaN or infinity"):
        model.fit(torch.tensor([[torch.nan], [1.0]]))
    with pytest.raises(ValueError, match="3 features, but BasisDensity is expecting 2"):
        model.score(torch.zeros(4, 3))


# Bad input -----------------------------------------------------------------------------------


def test_constant_features_are_an_error_that_names_the_ways_out(X):
    X[:, 1] = 7.0
    with pytest.raises(
        ValueError, match="feature 1 is constant.*bounds=.*min_range.*VarianceThreshold"
    ):
        BasisDensity().fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = BasisDensity(min_range=0.1).fit(X)
    np.testing.assert_allclose([model.low_[1], model.high_[1]], [6.95, 7.05])
    assert model.low_[0] == X[:, 0].min()
    assert np.isfinite(model.score_samples(X)).all()


def test_one_point_needs_bounds():
    with pytest.raises(ValueError, match="1 sample.*bounds"):
        BasisDensity().fit([[3.0]])
    model = BasisDensity(10, bounds=(0, 10)).fit([[3.0]])
    assert model.counts_.sum() == 1
    assert model.quantile(0.5)[0, 0] == pytest.approx(3.5, abs=0.5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_are_errors(X, bad):
    X[5, 1] = bad
    with pytest.raises(ValueError, match="NaN|infinity"):
        BasisDensity().fit(X)


def test_outliers_are_warned_of_with_the_way_out(X):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        BasisDensity().fit(X)
    X[0, 1] = 1000
    with pytest.warns(UserWarning, match="outliers.*feature 1.*bounds='robust'"):
        spoiled = BasisDensity().fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        robust = BasisDensity(bounds="robust").fit(X)

    def target(x):
        return norm.cdf(x, [0, 3], [1, 5])

    assert spoiled.loss(target)[1] > 5 * robust.loss(target)[1]
    assert robust.n_outside_[1, 1] >= 1


def test_points_outside_explicit_bounds(X):
    inside = ((X[:, 0] >= -1) & (X[:, 0] <= 1)).sum()
    settings = {"bounds": ([-1, -40], [1, 50]), "n_components": 20}
    with pytest.warns(UserWarning, match="points of feature 0 lie outside the bounds"):
        dropped = BasisDensity(**settings).fit(X)
    clipped = BasisDensity(outside="clip", **settings).fit(X)
    assert dropped.counts_[0].sum() == inside
    assert clipped.counts_[0].sum() == len(X)
    assert clipped.counts_[0, -1] == dropped.counts_[0, -1] + dropped.n_outside_[0, 1]
    with pytest.raises(ValueError, match="lie outside the bounds"):
        BasisDensity(outside="raise", **settings).fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match="no point of feature 0"):
            BasisDensity(bounds=(100, 101)).fit(X)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bounds": (1, 0)}, "low < high"),
        ({"bounds": (0, 1, 2)}, "two numbers"),
        ({"bounds": ([0, 0, 0], 1)}, r"shape \(2,\)"),
        ({"bounds": (0, np.inf)}, "finite"),
        ({"bounds": "quantile"}, "bounds"),
        ({"sigma": 0}, "sigma"),
        ({"sigma": "scott"}, "sigma"),
        ({"algorithm": 3}, "algorithm"),
        ({"n_components": 0}, "n_components"),
        ({"algorithm": 1, "learning_sigma": None, "sigma": "isj"}, "learning_sigma=None"),
    ],
)
def test_wrong_parameters_are_errors(X, settings, message):
    with pytest.raises(ValueError, match=message):
        BasisDensity(**settings).fit(X)


def test_a_fit_that_fails_leaves_what_was_learned(X):
    model = BasisDensity().fit(X)
    before = model.weights_
    with pytest.raises(ValueError, match="constant"):
        model.fit(np.ones((5, 2)))
    assert model.weights_ is before


def test_an_unfitted_model_says_so(X, tmp_path):
    for use in (
        lambda m: m.score_samples(X),
        lambda m: m.sample(),
        lambda m: m.quantile(0.5),
        lambda m: m.merge(m),
        lambda m: m.loss(norm.cdf),
        lambda m: m.save(tmp_path / "m"),
    ):
        with pytest.raises(NotFittedError):
            use(BasisDensity())


# Among scikit-learn's tools, and files -------------------------------------------------------


def test_sigma_is_found_by_a_grid_search(X):
    search = GridSearchCV(BasisDensity(bounds=(-40, 50)), {"sigma": [0.3, 1.5, 30.0]}, cv=3).fit(X)
    assert search.best_params_ == {"sigma": 1.5}
    assert clone(search.best_estimator_).get_params() == search.best_estimator_.get_params()


@pytest.mark.parametrize("settings", VARIANTS)
@pytest.mark.parametrize("tensor", [False, True])
def test_saved_models_read_as_written(X, settings, tensor, tmp_path):
    model = BasisDensity(random_state=0, **settings).fit(torch.from_numpy(X) if tensor else X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        other = load(model.save(tmp_path / "model"))
    assert isinstance(other.weights_, type(model.weights_))
    assert (other.score_samples(X) == model.score_samples(X)).all()
    assert (other.sample(3) == model.sample(3)).all()
    assert other.get_params() == model.get_params()
    model.partial_fit(X)
    other.partial_fit(X)
    assert (other.weights_ == model.weights_).all()
    assert (pickle.loads(pickle.dumps(model)).weights_ == model.weights_).all()


def test_bounds_as_arrays_are_saved(X, tmp_path):
    model = BasisDensity(bounds=(np.array([-9.0, -40.0]), np.array([9.0, 50.0]))).fit(X)
    other = load(model.save(tmp_path / "model"))
    assert other.bounds == ([-9.0, -40.0], [9.0, 50.0])
    assert (other.fit(X).weights_ == model.weights_).all()


def test_a_damaged_file_is_an_error(X, tmp_path):
    path = BasisDensity().fit(X).save(tmp_path / "model")
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="damaged or no mixflow model"):
        load(path)
