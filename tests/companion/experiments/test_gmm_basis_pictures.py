"""Pictures: sizes, names, files that are none."""

import hashlib

import numpy as np
import pytest

from companion.gmm_basis.pictures import load_picture
from mixflow import datasets
from mixflow.datasets import DatasetError, registry
from mixflow.datasets.registry import REGISTRY


def test_photographs_are_as_scikit_learn_has_them():
    china = load_picture("china")
    assert china.shape == (427, 640, 3)
    assert china.dtype == np.uint8


@pytest.mark.parametrize(
    ("square", "shape"), [(False, (64, 96, 3)), (True, (64, 64, 3))], ids=["whole", "square"]
)
def test_the_short_side_is_as_asked(square, shape):
    small = load_picture("china", short_side=64, square=square)
    assert small.shape == shape
    # Resizing keeps the mean colour, of the middle when only that is kept.
    whole = load_picture("china")
    part = whole[:, 106:533] if square else whole
    np.testing.assert_allclose(small.mean((0, 1)), part.mean((0, 1)), atol=1)


def test_the_result_can_be_written_to():
    load_picture("flower", short_side=8)[:] = 0


def test_paintings(real):
    real("paintings")
    night, flowers = load_picture("starry_night"), load_picture("sunflowers")
    assert (night.shape, flowers.shape) == ((1014, 1280, 3), (1023, 805, 3))
    assert night[..., 2].mean() > night[..., 0].mean(), "blue"
    assert flowers[..., 0].mean() > flowers[..., 2].mean(), "yellow"


def test_bad_names_and_sizes():
    with pytest.raises(ValueError, match="unknown picture 'sunflower'; did you mean 'sunflowers'"):
        load_picture("sunflower")
    with pytest.raises(ValueError, match="short_side must be at least 1 pixel, got 0"):
        load_picture("china", short_side=0)


def test_a_corrupt_painting(folders):
    path = folders["data"] / "paintings" / "starry_night.jpg"
    path.parent.mkdir()
    path.write_bytes(b"no picture")
    with pytest.raises(DatasetError, match=r"starry_night.jpg is corrupt(?s:.)*expected"):
        load_picture("starry_night")


def test_a_file_with_the_right_checksum_that_is_no_picture(folders, monkeypatch):
    path = folders["data"] / "paintings" / "starry_night.jpg"
    path.parent.mkdir()
    path.write_bytes(b"no picture")
    item = registry.DatasetFile(
        "paintings/starry_night.jpg", 10, hashlib.sha256(b"no picture").hexdigest()
    )
    record = datasets.get("paintings")
    changed = registry.Dataset(**{**vars(record), "files": (item,)})
    monkeypatch.setitem(REGISTRY, "paintings", changed)
    with pytest.raises(DatasetError, match="not a picture that can be read"):
        load_picture("starry_night")
