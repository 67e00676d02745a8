"""The data of table II, as each model takes them."""

import numpy as np
import pytest
from scipy.stats import norm

from companion.em_gm.table_2 import data as table_2_data
from companion.em_gm.table_2.data import (
    Cell,
    load_cell,
    n_validation,
    normalised,
    over_views,
    side_by_side,
    validation_rows,
    views,
)
from mixflow.datasets import DatasetError
from mixflow.datasets.split import Split


@pytest.fixture
def satimage():
    """A loader of cells; skips where the data are not."""

    def load(model):
        try:
            return load_cell("satimage", model)
        except DatasetError as error:
            pytest.skip(f"no data: {error}")

    return load


def norb_cell(dataset, model, monkeypatch):
    """Two toys of each of five classes, four pairs of each."""
    x = np.random.default_rng(0).integers(0, 256, (40, 2, 32, 32)).astype(np.uint8)
    y, toy = np.repeat(np.arange(5), 8), np.tile([4, 4, 6, 6], 10)
    split = Split(x, y, x[:10], y[:10], "norb", tuple("abcde"), group_train=toy)
    asked = []
    monkeypatch.setattr(
        table_2_data, "load_split", lambda name, split_seed: asked.append(name) or split
    )
    return load_cell(dataset, model), asked, x


@pytest.mark.parametrize(
    ("dataset", "model", "n_pixels", "centred"),
    [
        ("norb", "GenMM as published", 2048, True),
        ("norb", "GenMM", 512, True),
        ("norb-8x16", "GenMM", 128, False),
        ("norb-8x16", "kNN", 128, False),
        ("norb-8x16-normalised", "GenMM", 128, False),
    ],
)
def test_norb_comes_as_its_models_take_it(dataset, model, n_pixels, centred, monkeypatch):
    cell, asked, x = norb_cell(dataset, model, monkeypatch)
    assert asked == ["norb"]
    assert cell.x_train.shape == (40, n_pixels)
    assert cell.log_unit == pytest.approx(n_pixels * np.log(255) if centred else 0.0)
    if dataset.endswith("normalised"):
        np.testing.assert_allclose(cell.x_train.mean(1), 0, atol=1e-6)
        np.testing.assert_allclose(cell.x_train.std(1), 1, rtol=1e-5)
        return
    grey = (cell.x_train + 0.5) * 255 if centred else cell.x_train
    np.testing.assert_allclose(grey.mean(1), x.mean((1, 2, 3)), rtol=1e-5)


def test_normalising_takes_brightness_and_contrast_out():
    image = np.random.default_rng(0).integers(60, 120, (1, 128)).astype(np.float32)
    found = normalised(np.concatenate([image, 2 * image - 30]))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5, atol=1e-6)
    assert normalised(np.full((1, 4), 7.0)).tolist() == [[0.0] * 4]


def test_whole_toys_choose_the_epoch(monkeypatch):
    cell, *_ = norb_cell("norb-8x16", "GenMM", monkeypatch)
    for seed, toy in ((0, 4), (1, 6), (2, 4)):
        rows, held = validation_rows(cell, 0.1, seed)
        assert set(cell.group[held]) == {toy}
        assert set(cell.group[rows]) == {4, 6} - {toy}
        assert np.bincount(cell.y_train[held]).tolist() == [4] * 5


def test_a_share_of_every_class_chooses_where_samples_show_no_objects():
    y = np.repeat([0, 1], 20)
    rows, held = validation_rows(Cell(y, y, y, y, 0.0, np.ones(2)), 0.1, 0)
    assert np.bincount(y[held]).tolist() == [2, 2]
    assert sorted([*rows, *held]) == list(range(40))


def test_two_cameras_standside_by_side():
    """A block of pixels is averaged within one camera; left stays left, in every row."""
    x = np.zeros((1, 2, 32, 32), dtype=np.uint8)
    x[0, 0, 4, 6], x[0, 1, 31, 31] = 40, 80
    whole = side_by_side(x, (1, 32, 64)).reshape(32, 64)
    assert (whole[4, 6], whole[31, 63], whole.sum()) == (40, 80, 120)
    reduced = side_by_side(x, (1, 16, 32)).reshape(16, 32)
    assert (reduced[2, 3], reduced[15, 31], reduced.sum()) == (10, 20, 30)


def test_a_density_averaged_over_views_is_a_density_and_does_not_change_with_them():
    """Of a Gaussian around a random window; its mass is measured by importance sampling."""
    rng = np.random.default_rng(0)
    proposal, own = norm(0, 1.3), norm(rng.normal(scale=0.3, size=36), 1)
    averaged = over_views(lambda x: own.logpdf(x).sum(1, keepdims=True), "satimage")
    x = proposal.rvs((20_000, 36), random_state=rng)
    ratio = np.exp(averaged(x)[:, 0] - proposal.logpdf(x).sum(1))
    assert ratio.mean() == pytest.approx(1, abs=4 * ratio.std() / len(x) ** 0.5)
    for view in views(x[:9], "satimage"):
        np.testing.assert_allclose(averaged(view), averaged(x[:9]))
    assert not np.allclose(own.logpdf(x[:9]), own.logpdf(views(x[:9], "satimage")[1]))


def test_published_features_are_centred_images():
    cell = load_cell("digits", "GenMM as published")
    assert (cell.x_train.min(), cell.x_train.max()) == (-0.5, 0.5)
    assert cell.log_unit == pytest.approx(64 * np.log(16))


@pytest.mark.parametrize("model", ["GenMM", "GenMM as published", "GMM full covariance"])
def test_published_model_decides_by_likelihood_alone(satimage, model):
    prior = satimage(model).class_prior
    assert prior.sum() == pytest.approx(1)
    assert (np.ptp(prior) < 1e-12) == (model == "GenMM as published")


def test_satimage_is_a_centred_image_as_published(satimage):
    cell = satimage("GenMM as published")
    assert cell.x_train.shape == (4435, 36)
    assert (cell.x_train.min(), cell.x_train.max()) == (-0.5, 0.5)
    assert cell.log_unit == pytest.approx(36 * np.log(130))


@pytest.mark.parametrize("dataset", ["digits", "letter", "satimage", "norb"])
def test_the_number_of_rows_that_choose_is_known_without_the_data(dataset):
    try:
        cell = load_cell(dataset, "GenMM")
    except DatasetError as error:
        pytest.skip(f"no data: {error}")
    for fraction, seed in ((0.1, 0), (0.15, 1)):
        assert len(validation_rows(cell, fraction, seed)[1]) == n_validation(dataset, fraction)
