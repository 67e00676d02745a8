import gzip
import shutil

import numpy as np
import pytest

from mixflow.datasets import DatasetError, get, load_mnist, load_norb, load_split, locate, read_idx
from mixflow.datasets.images import CLOTHES, DIGITS

VALUES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


def idx(values, *, magic=b"\0\0\x08"):
    sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
    return magic + bytes([values.ndim]) + sizes + values.tobytes()


@pytest.fixture
def write(tmp_path):
    def write(content, *, zipped=True):
        path = tmp_path / "some-idx3-ubyte"
        path.write_bytes(gzip.compress(content) if zipped else content)
        return path

    return write


@pytest.mark.parametrize("zipped", [True, False])
def test_idx_round_trip(write, zipped):
    read = read_idx(write(idx(VALUES), zipped=zipped), ndim=3)
    assert np.array_equal(read, VALUES)
    assert read.flags.writeable
    assert read.dtype == np.uint8


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (idx(VALUES, magic=b"\0\0\x0d"), "magic number begins with 00000d"),
        (idx(VALUES, magic=b"\x89PN"), "expected 000008"),
        (b"", "nothing"),
        (idx(VALUES)[:7], "header is cut"),
        (idx(VALUES)[:-1], r"promises 24 values of shape \(2, 3, 4\), the file holds 23"),
        (idx(VALUES) + b"\0", "the file holds 25"),
        (idx(VALUES[0]), "3 dimensions, got 2"),
    ],
)
def test_idx_that_is_wrong(write, content, message):
    with pytest.raises(DatasetError, match=message):
        read_idx(write(content), ndim=3)


def test_truncated_or_damaged_gzip(write):
    path = write(idx(VALUES))
    content = path.read_bytes()
    path.write_bytes(content[:-10])
    with pytest.raises(DatasetError, match=f"{path}: truncated or damaged gzip"):
        read_idx(path)
    path.write_bytes(content[:-5] + bytes([content[-5] ^ 1]) + content[-4:])
    with pytest.raises(DatasetError, match="truncated or damaged gzip"):
        read_idx(path)


def test_absent_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "absent")


@pytest.mark.parametrize(
    ("name", "classes", "train", "test"),
    [
        (
            "mnist",
            DIGITS,
            [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
            [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
        ),
        ("fashion-mnist", CLOTHES, [6000] * 10, [1000] * 10),
    ],
)
def test_mnist_like(real, name, classes, train, test):
    split = load_split(real(name))
    assert split.x_train.shape == (60000, 1, 28, 28)
    assert split.x_test.shape == (10000, 1, 28, 28)
    assert split.x_train.dtype == np.uint8
    assert (split.x_train.min(), split.x_train.max()) == (0, 255)
    assert split.classes == classes
    assert np.bincount(split.y_train).tolist() == train
    assert np.bincount(split.y_test).tolist() == test


def test_mnist_images_are_upright(real):
    real("mnist")
    split = load_mnist()
    # The first training image is a five; ones are taller than they are wide.
    assert split.y_train[0] == 5
    ones = split.x_test[split.y_test == 1, 0].mean(0)
    assert np.ptp(np.flatnonzero(ones.max(1) > 64)) > np.ptp(np.flatnonzero(ones.max(0) > 128))


def test_norb(real):
    real("norb")
    split = load_norb()
    for x, y in ((split.x_train, split.y_train), (split.x_test, split.y_test)):
        assert x.shape == (24300, 2, 32, 32)
        assert x.dtype == np.uint8
        assert y.dtype == np.int64
        assert np.bincount(y).tolist() == [4860] * 5
        assert y[:6].tolist() == [0, 1, 2, 3, 4, 0]
    assert split.classes == ("animal", "human", "airplane", "truck", "car")
    # Five toys of each class, from all sides and in all lights: 972 pairs of each.
    toys, counts = np.unique([split.y_train, split.group_train], axis=1, return_counts=True)
    assert toys.tolist() == [np.repeat(range(5), 5).tolist(), [4, 6, 7, 8, 9] * 5]
    assert counts.tolist() == [972] * 25


@pytest.fixture
def real_labels(real):
    return locate(real("mnist"), "t10k-labels-idx1-ubyte.gz")


# `real_labels` comes first: `folders` then hides the real files.
def test_truncated_copy_of_a_real_file(real_labels, folders):
    item = get("mnist").file("t10k-labels-idx1-ubyte.gz")
    copy = folders["data"] / item.path
    copy.parent.mkdir()
    shutil.copyfile(real_labels, copy)
    assert locate("mnist", item.name) == copy
    copy.write_bytes(real_labels.read_bytes()[:-100])
    with pytest.raises(DatasetError, match="t10k-labels-idx1-ubyte.gz is corrupt"):
        locate("mnist", item.name)
