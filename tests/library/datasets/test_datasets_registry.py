import math
import re
import subprocess
import sys

import pytest

from mixflow import datasets
from mixflow.datasets import registry
from mixflow.datasets.registry import REGISTRY

FILE_BASED = ["letter", "satimage", "mnist", "fashion-mnist", "norb", "paintings", "vgg", "vgg19"]


def test_names_lists_all_data_sets():
    generated = ["pinwheel", "circles", "moons", "spirals"]
    assert datasets.names() == [*FILE_BASED, "digits", *generated]
    assert datasets.names("files") == FILE_BASED
    assert datasets.names("embedded") == ["digits"]
    assert datasets.names("generated") == generated


@pytest.mark.parametrize("name", datasets.names())
def test_every_record_is_complete(name):
    record = datasets.get(name)
    assert record.name == name
    assert all((record.description, record.licence, record.citation, record.where))
    assert bool(record.files) == (record.kind == "files")
    for item in record.files:
        assert item.path == f"{name}/{item.name}"
        assert item.bytes > 0
        assert re.fullmatch("[0-9a-f]{64}", item.sha256)
        assert all(url.startswith(("http://", "https://")) for url in item.urls)
        assert all(url.endswith(item.name) for url in item.urls)


@pytest.mark.parametrize("name", [n for n in datasets.names() if datasets.get(n).n_train])
def test_sizes_and_shapes_are_those_of_the_data(name, real):
    record, split = datasets.get(name), datasets.load_split(real(name))
    assert (len(split.x_train), len(split.x_test)) == (record.n_train, record.n_test)
    assert split.event_shape in (record.shape, (math.prod(record.shape),))


def test_downloadable_files_have_a_mirror():
    for name in ("letter", "satimage", "mnist", "fashion-mnist"):
        assert all(len(item.urls) == 2 for item in datasets.get(name).files)


def test_no_file_is_registered_twice():
    items = [item for record in REGISTRY.values() for item in record.files]
    assert len({item.sha256 for item in items}) == len({item.path for item in items}) == len(items)


def test_generated_sets_name_their_function():
    for name in datasets.names("generated"):
        assert datasets.get(name).where == f"mixflow.datasets.{name}"
        assert callable(getattr(datasets, name))


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("mnits", "mnist"), ("Letters", "letter"), ("fashion_mnist", "fashion-mnist")],
)
def test_unknown_name_suggests_the_closest(wrong, right):
    with pytest.raises(ValueError, match=f"unknown data set '{wrong}'; did you mean '{right}'"):
        datasets.get(wrong)


def test_name_like_nothing_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown data set 'xyz'\. Known: letter, satimage"):
        datasets.get("xyz")


def test_file_by_path_and_by_name():
    mnist = datasets.get("mnist")
    item = mnist.files[1]
    assert mnist.file(item.path) is item
    assert mnist.file(item.name) is item
    with pytest.raises(ValueError, match="unknown file of data set 'mnist' 'train-lables"):
        mnist.file("train-lables-idx1-ubyte.gz")


def test_records_cannot_be_changed():
    with pytest.raises(AttributeError):
        datasets.get("mnist").files[0].sha256 = "0" * 64


def test_import_is_light():
    code = "import sys, mixflow.datasets; print({'torch', 'sklearn', 'pooch'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_everything_exported_exists():
    assert datasets.__all__ == sorted(datasets.__all__)
    assert all(hasattr(datasets, name) for name in datasets.__all__)
    assert issubclass(registry.DatasetError, ValueError)
