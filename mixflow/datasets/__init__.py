"""Data: a registry with checksums, loaders for tables and images, generated sets.

Files are looked for in the folder named by ``MIXFLOW_DATA``, then in the user's cache,
and are downloaded otherwise; every file is checked by its SHA-256 when it is loaded.
All arrays are numpy's, with the published values.
"""

from mixflow.datasets import catalogue as _catalogue  # noqa: F401 (it fills the registry)
from mixflow.datasets.fetch import (
    FileStatus,
    cache_folder,
    data_folder,
    fetch,
    locate,
    locate_file,
    verify,
)
from mixflow.datasets.images import (
    load_digit_images,
    load_fashion_mnist,
    load_mnist,
    load_norb,
    read_idx,
)
from mixflow.datasets.norb import make_norb
from mixflow.datasets.registry import Dataset, DatasetError, DatasetFile, get, names
from mixflow.datasets.split import Split
from mixflow.datasets.synthetic import circles, moons, pinwheel, spirals
from mixflow.datasets.tables import load_digits, load_letter, load_satimage, load_split

__all__ = [
    "Dataset",
    "DatasetError",
    "DatasetFile",
    "FileStatus",
    "Split",
    "cache_folder",
    "circles",
    "data_folder",
    "fetch",
    "get",
    "load_digit_images",
    "load_digits",
    "load_fashion_mnist",
    "load_letter",
    "load_mnist",
    "load_norb",
    "load_satimage",
    "load_split",
    "locate",
    "locate_file",
    "make_norb",
    "moons",
    "names",
    "pinwheel",
    "read_idx",
    "spirals",
    "verify",
]
