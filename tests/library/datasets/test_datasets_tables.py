import numpy as np
import pytest

from mixflow import datasets
from mixflow.datasets import DatasetError, Split, load_split, tables


def test_letter_as_published(real):
    real("letter")
    x, y = datasets.load_letter()
    assert (x.shape, x.dtype) == ((20000, 16), np.float64)
    assert (x.min(), x.max()) == (0, 15)
    assert y.shape == (20000,)
    # First row of the published file: T,2,8,3,5,1,8,13,0,6,6,10,8,0,8,0,8.
    assert y[0] == "T"
    assert x[0].tolist() == [2, 8, 3, 5, 1, 8, 13, 0, 6, 6, 10, 8, 0, 8, 0, 8]
    assert np.unique(y).tolist() == list(tables.LETTERS)


def test_letter_split_is_a_partition(real):
    real("letter")
    split = load_split("letter", split_seed=3)
    x, _ = datasets.load_letter()
    assert split.x_train.shape == (13333, 16)
    assert split.x_test.shape == (6667, 16)
    assert split.classes == tables.LETTERS
    both = np.concatenate((split.x_train, split.x_test))
    assert np.array_equal(both[np.lexsort(both.T)], x[np.lexsort(x.T)])
    assert set(split.y_train.tolist()) == set(range(26))


def test_letter_labels_follow_their_rows(real):
    real("letter")
    split = load_split("letter")
    x, y = datasets.load_letter()
    order = np.random.default_rng(0).permutation(20000)
    assert np.array_equal(split.x_train, x[order[:13333]])
    assert [split.classes[k] for k in split.y_train] == y[order[:13333]].tolist()


def test_letter_split_depends_on_the_seed_only(real):
    real("letter")
    first, same, other = (load_split("letter", split_seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.x_train, same.x_train)
    assert not np.array_equal(first.x_train, other.x_train)


def test_satimage_official_split(real):
    real("satimage")
    split = load_split("satimage", split_seed=5)
    assert split.x_train.shape == (4435, 36)
    assert split.x_test.shape == (2000, 36)
    assert split.x_train.dtype == np.float64
    assert (split.x_train.min(), split.x_train.max()) == (27, 157)
    assert split.classes == tables.SOILS
    # Counts from the published description, classes 1, 2, 3, 4, 5, 7.
    assert np.bincount(split.y_train).tolist() == [1072, 479, 961, 415, 470, 1038]
    assert np.bincount(split.y_test).tolist() == [461, 224, 397, 211, 237, 470]


def test_digits_split_is_stratified():
    split = load_split("digits", split_seed=1)
    images = datasets.load_digit_images(split_seed=1)
    assert split.x_train.shape == (1198, 64)
    assert split.x_test.shape == (599, 64)
    assert (split.x_train.dtype, split.x_train.max()) == (np.float64, 16)
    assert images.x_train.shape == (1198, 1, 8, 8)
    assert images.x_test.dtype == np.uint8
    assert np.array_equal(images.x_test.reshape(599, 64), split.x_test)
    assert np.array_equal(images.y_test, split.y_test)
    shares = np.bincount(split.y_train) / np.bincount(np.r_[split.y_train, split.y_test])
    assert shares == pytest.approx(2 / 3, abs=0.01)


def test_digits_split_depends_on_the_seed_only():
    first, same, other = (load_split("digits", split_seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.x_train, same.x_train)
    assert not np.array_equal(first.x_train, other.x_train)


def test_unknown_split():
    with pytest.raises(ValueError, match="did you mean 'satimage'"):
        load_split("satimages")
    with pytest.raises(ValueError, match=r"generated: call mixflow\.datasets\.circles"):
        load_split("circles")


@pytest.mark.parametrize("seed", [-1, 0.5, "0", None, True])
def test_bad_seed(seed):
    with pytest.raises(ValueError, match="split_seed"):
        load_split("digits", split_seed=seed)
    with pytest.raises(ValueError, match="split_seed"):
        datasets.load_digit_images(split_seed=seed)


def test_numpy_seed_is_fine():
    assert load_split("digits", split_seed=np.int64(0)).n_classes == 10


def test_table_that_is_none(tmp_path):
    path = tmp_path / "table"
    path.write_text("1 2\n3\n")
    with pytest.raises(DatasetError, match="not the table it should be"):
        tables._read(path)


def _split(**changes):
    parts = {
        "x_train": np.zeros((3, 2)),
        "y_train": np.array([0, 1, 1]),
        "x_test": np.zeros((1, 2)),
        "y_test": np.array([0]),
    }
    return Split(**(parts | changes), name="toy", classes=("a", "b"))


def test_split_describes_itself():
    split = _split()
    assert split.n_classes == 2
    assert split.event_shape == (2,)
    assert repr(split) == "Split('toy': 3 train + 1 test, event (2,) float64, 2 classes)"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_train": np.array([0, 1])}, "3 train samples need labels"),
        ({"y_test": np.array([2])}, r"test labels must lie in 0\.\.1, got 2\.\.2"),
        ({"y_train": np.array([0, -1, 1])}, "train labels must lie in"),
        ({"y_test": np.array([0.0])}, "must be integers"),
        ({"x_test": np.zeros((1, 3))}, "must be equal"),
        ({"group_train": np.zeros(2)}, "3 training samples need as many groups"),
    ],
)
def test_split_rejects_what_does_not_fit(changes, message):
    with pytest.raises(ValueError, match=message):
        _split(**changes)
