"""Tables that spoil a density: rounded, discrete, collinear, with cells far out; named columns."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from mixflow import BasisDensity, GenMM, LatMM, MixtureClassifier, RotatedBasisDensity, VMoNF, load
from mixflow.basis import spacings

SMALL = {"n_layers": 1, "hidden_features": 4, "hidden_layers": 1, "max_epochs": 1}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(500, 3))
Y = (X[:, 0] > 0).astype(int)
MODELS = {
    "GenMM": GenMM(random_state=0, **SMALL),
    "LatMM": LatMM(random_state=0, **SMALL),
    "MixtureClassifier": MixtureClassifier(random_state=0, **SMALL),
    "VMoNF": VMoNF(2, init="kmeans", random_state=0, **SMALL),
    "RotatedBasisDensity": RotatedBasisDensity(random_state=0),
}


def spoiled(column, values):
    out = pd.DataFrame(X, columns=["height", "weight", "age"])
    out[column] = values
    return out


TABLES = {
    "'age' has values far out, such as 1e.06": spoiled("age", np.r_[1e6, X[1:, 2]]),
    "'age' has values far out, such as -999": spoiled("age", np.r_[[-999.0] * 9, X[9:, 2]]),
    "'weight' has values far out": spoiled("weight", RNG.standard_cauchy(500)),
    "'age' has 2 distinct values in 500 rows": spoiled("age", np.arange(500) % 2),
    "'weight' has 12 distinct values": spoiled("weight", RNG.integers(0, 12, 500)),
    "'height', column 'weight' are collinear": spoiled("weight", 2 * X[:, 0]),
    "'height', column 'weight', column 'age' are collinear": spoiled("age", 1 - X[:, :2].sum(1)),
    "50% of the rows repeat others": pd.DataFrame(np.repeat(X[:250], 2, axis=0)),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("message", TABLES)
def test_a_table_that_spoils_a_density_is_warned_of_by_column(name, message):
    with pytest.warns(UserWarning, match=message) as caught:
        clone(MODELS[name]).fit(TABLES[message], Y if name == "MixtureClassifier" else None)
    assert {warning.filename for warning in caught} == {__file__}


@pytest.mark.parametrize("name", MODELS)
def test_sound_tables_are_fitted_without_a_word(name):
    skewed = np.c_[np.exp(X[:, 0]), X[:, 1].round(2), np.where(X[:, 2] > 0, X[:, 2], 0.0)]
    for table in (X, X[:30], skewed):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            clone(MODELS[name]).fit(table, Y[: len(table)] if name == "MixtureClassifier" else None)


def test_arrays_have_numbers_instead_of_names():
    with pytest.warns(UserWarning, match="^feature 1 has 2 distinct values"):
        GenMM(**SMALL).fit(np.c_[X[:, 0], Y])


def test_noise_is_the_remedy_for_discrete_columns():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        GenMM(noise=0.3, **SMALL).fit(np.c_[X[:, 0], Y])


@pytest.mark.parametrize("model", [*MODELS.values(), BasisDensity(20)])
def test_constant_columns_are_named(model):
    with pytest.raises(ValueError, match="column 'age' is constant"):
        clone(model).fit(spoiled("age", 1.0), Y)


def test_grids_name_columns():
    table = spoiled("age", np.r_[1e6, X[1:, 2]])
    with pytest.warns(UserWarning, match="the grid of column 'age'"):
        BasisDensity(20).fit(table)
    with pytest.raises(ValueError, match="points of column 'age' lie outside"):
        BasisDensity(20, bounds=(-6, 6), outside="raise").fit(table)


# Rounded data ------------------------------------------------------------------------------------


def ratio(model, centre, scale):
    """Return the density over that of a normal distribution, within two sds."""
    z = np.linspace(-2, 2, 801)
    log_truth = -0.5 * z**2 - 0.5 * np.log(2 * np.pi) - np.log(scale)
    return np.exp(model.score_samples((centre + scale * z)[:, None]) - log_truth)


@pytest.mark.parametrize("em_steps", [0, 1])
@pytest.mark.parametrize(
    ("centre", "scale", "digits", "n"),
    [(0, 1, 1, 10_000), (0, 1, 1, 3000), (60, 15, 0, 5000), (1e6, 1e4, -3, 20_000)],
)
def test_bandwidths_do_not_follow_the_rounding(em_steps, centre, scale, digits, n):
    x = np.random.default_rng(1).normal(centre, scale, size=(n, 1)).round(digits)
    with pytest.warns(UserWarning, match="feature 0 is rounded"):
        model = BasisDensity(sigma="isj", em_steps=em_steps).fit(x)
    off = ratio(model, centre, scale)
    assert off.min() > 0.7
    assert off.max() < 1.4


def test_bandwidths_of_other_data_are_the_rules(tmp_path):
    x = RNG.normal(size=(5000, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = BasisDensity(sigma="isj").fit(x)
    assert (model.spacing_ == 0).all()
    rounded = BasisDensity(sigma="isj", bounds=(-5, 5)).fit(x.round(1))
    np.testing.assert_allclose(rounded.spacing_, 0.1)
    other = load(rounded.save(tmp_path / "a")).partial_fit(x[:10])
    assert (other.scales_ >= 0.1 - 1e-12).all()


def test_rotated_coordinates_that_stay_rounded_are_as_wide():
    x = np.random.default_rng(1).normal(size=(20_000, 1)).round(1)
    model = RotatedBasisDensity(rotation="none", sigma="isj").fit(x)
    off = ratio(model, 0, 1)
    assert off.min() > 0.7
    assert off.max() < 1.4


def test_spacings_are_those_of_values_that_recur():
    x = RNG.normal(size=3000)
    table = np.c_[x, x.round(1), 0.1 * np.round(x * 10) + 1e-15 * x, np.where(x > 0, x, 0)]
    np.testing.assert_allclose(spacings(table), [0, 0.1, 0.1, 0], atol=1e-9)
    assert spacings(np.zeros((5, 1))).tolist() == [0]


# Directions without extent -----------------------------------------------------------------------


@pytest.mark.parametrize("sigma", ["silverman", "isj", 2.0])
@pytest.mark.parametrize("rotation", ["pca", "ica"])
def test_directions_without_extent_are_as_wide_as_min_scale(rotation, sigma):
    x = np.c_[X[:, :1], 2 * X[:, :1]]
    model = RotatedBasisDensity(rotation=rotation, sigma=sigma, random_state=0)
    with pytest.warns(UserWarning, match="collinear"):
        model.fit(x)
    near = model.score_samples(x + [1e-3, 0])
    assert (near > model.score_samples(x) - 2).all()
    shares = np.random.default_rng(0).dirichlet([2, 2, 2], 1000)
    with pytest.warns(UserWarning, match="collinear"):
        model.fit(shares)
    assert (model.score_samples(shares + [3e-4, 0, 0]) > model.score_samples(shares) - 3).all()
