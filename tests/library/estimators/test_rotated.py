"""RotatedBasisDensity: scikit-learn's checks, densities that integrate to one, bad input, files."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

from mixflow import BasisDensity, RotatedBasisDensity, load

VARIANTS = [
    {},
    {"rotation": "ica"},
    {"rotation": "none"},
    {"n_clusters": 4},
    {"n_clusters": 3, "rotation": "ica", "sigma": "isj", "em_steps": 0},
]


@parametrize_with_checks(
    [
        RotatedBasisDensity(random_state=0),
        RotatedBasisDensity(n_clusters=2, rotation="ica", random_state=0),
    ]
)
def test_estimator_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # few points in a cluster
        check(estimator)


@pytest.fixture
def X():
    """Two bananas, far from independent."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1500, 2))
    x[:, 1] = 0.3 * x[:, 1] + x[:, 0] ** 2
    x[::2] += [6, -3]
    return x


@pytest.mark.parametrize("settings", VARIANTS)
def test_densities_integrate_to_one(X, settings):
    model = RotatedBasisDensity(40, random_state=0, **settings).fit(X)
    low, high = X.min(0) - 8, X.max(0) + 8
    axes = [np.linspace(a, b, 250) for a, b in zip(low, high, strict=True)]
    grid = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
    cell = np.prod([axis[1] - axis[0] for axis in axes])
    assert np.exp(model.score_samples(grid)).sum() * cell == pytest.approx(1, abs=5e-3)


@pytest.mark.parametrize("settings", VARIANTS)
def test_samples_follow_the_density(X, settings):
    model = RotatedBasisDensity(40, random_state=0, **settings).fit(X)
    drawn, cluster = model.sample(20_000)
    np.testing.assert_allclose(drawn.mean(0), X.mean(0), atol=0.15)
    np.testing.assert_allclose(np.bincount(cluster) / 20_000, model.weights_, atol=0.015)
    # The entropy from samples of its own, and from integrating on a grid.
    low, high = X.min(0) - 8, X.max(0) + 8
    axes = [np.linspace(a, b, 250) for a, b in zip(low, high, strict=True)]
    grid = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
    log_p = model.score_samples(grid)
    cell = np.prod([axis[1] - axis[0] for axis in axes])
    expected = (np.exp(log_p) * log_p).sum() * cell
    assert model.score(drawn) == pytest.approx(expected, abs=0.05)
    again, _ = model.sample(20_000)
    np.testing.assert_array_equal(again, drawn)


def test_without_clusters_and_rotation_it_is_the_basis_density(X):
    plain = BasisDensity(80, sigma=2.0).fit(X)
    model = RotatedBasisDensity(80, rotation="none", sigma=2.0, em_steps=0).fit(X)
    np.testing.assert_allclose(model.score_samples(X), plain.score_samples(X))
    assert (model.predict(X) == 0).all()


def test_a_rotation_of_the_data_changes_nothing():
    rng = np.random.default_rng(1)
    x = rng.gamma(2.0, size=(4000, 3)) * [1, 2, 4]
    angle = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    x = (x - x.mean(0)) / x.std(0) * [1, 2, 4] @ np.eye(3)
    scores = [
        RotatedBasisDensity(rotation=r, random_state=0).fit(x @ angle).score(x @ angle)
        for r in ("ica", "pca", "none")
    ]
    independent = BasisDensity(sigma="isj").fit(x).score(x)
    # Independent components are found again; features of rotated data are not independent.
    assert scores[0] == pytest.approx(independent, abs=0.1)
    assert scores[2] < scores[0] - 0.2


def test_clusters_and_rotations_raise_the_likelihood(X):
    def score(**settings):
        return RotatedBasisDensity(random_state=0, sigma=4.0, **settings).fit(X).score(X)

    assert score(rotation="none") + 0.1 < score(n_clusters=4, rotation="none") < score(n_clusters=4)


def test_responsibilities_are_bayes_rule(X):
    model = RotatedBasisDensity(n_clusters=3, random_state=0).fit(X)
    r = model.predict_proba(X)
    np.testing.assert_allclose(r.sum(1), 1)
    np.testing.assert_array_equal(r.argmax(1), model.predict(X))


def test_features_may_have_any_unit(X):
    one = RotatedBasisDensity(n_clusters=3, random_state=0).fit(X)
    other = RotatedBasisDensity(n_clusters=3, random_state=0).fit(X * [1000, 0.01] + 5)
    shift = np.log(1000) + np.log(0.01)
    np.testing.assert_allclose(
        one.score_samples(X), other.score_samples(X * [1000, 0.01] + 5) + shift, rtol=1e-6
    )


@pytest.mark.parametrize("settings", VARIANTS)
def test_files_keep_everything(X, settings, tmp_path):
    model = RotatedBasisDensity(random_state=0, **settings).fit(X)
    again = load(model.save(tmp_path / "model"))
    assert isinstance(again, RotatedBasisDensity)
    assert again.get_params() == model.get_params()
    np.testing.assert_array_equal(again.score_samples(X), model.score_samples(X))
    np.testing.assert_array_equal(again.sample(9)[0], model.sample(9)[0])


# Bad input -----------------------------------------------------------------------------------


def test_bad_input_is_refused(X):
    constant = X.copy()
    constant[:, 1] = 3
    missing = X.copy()
    missing[4, 0] = np.nan
    cases = [
        (constant, {}, "feature 1 is constant"),
        (missing, {}, "NaN"),
        (X[:3], {"n_clusters": 4}, "3 samples are too few"),
        (np.repeat(X[:3], 5, axis=0), {"n_clusters": 4}, "3 distinct samples"),
        (X, {"rotation": "pcb"}, "rotation"),
        (X, {"n_clusters": 0}, "n_clusters"),
    ]
    for x, settings, message in cases:
        with pytest.raises(ValueError, match=message):
            RotatedBasisDensity(**settings).fit(x)
    with pytest.raises(NotFittedError):
        RotatedBasisDensity().sample(1)
    with pytest.raises(ValueError, match="at least 1"):
        RotatedBasisDensity().fit(X).sample(0)


def test_clusters_of_few_points_are_reported_and_have_a_width():
    rng = np.random.default_rng(0)
    x = np.vstack([rng.normal(size=(50, 3)), [[100.0, 0, 0]]])
    with pytest.warns(UserWarning, match="1 points for 3 features"):
        model = RotatedBasisDensity(n_clusters=2, n_init=10, random_state=0).fit(x)
    assert np.isfinite(model.score_samples(x)).all()
    far = model.sample(2000)[0]
    far = far[far[:, 0] > 50]
    assert 0 < np.abs(far - x[-1]).max() < 1


@pytest.mark.parametrize("rotation", ["pca", "ica"])
def test_features_that_depend_on_each_other_have_a_width(rotation):
    x = np.random.default_rng(0).normal(size=(500, 2))
    x = np.column_stack([x, x.sum(1)])
    model = RotatedBasisDensity(rotation=rotation, random_state=0).fit(x)
    assert np.isfinite(model.score(x))
    drawn, _ = model.sample(500)
    assert 0 < np.abs(drawn[:, 2] - drawn[:, :2].sum(1)).max() < 0.1
