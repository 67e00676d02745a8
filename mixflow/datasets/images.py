"""Data sets of images: MNIST, Fashion-MNIST, small NORB and scikit-learn's digits.

Images are uint8 in the order sample, channel, row, column, with values as published.
"""

from __future__ import annotations

import gzip
import math
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mixflow.datasets.fetch import locate
from mixflow.datasets.registry import DatasetError
from mixflow.datasets.split import Split, check_seed

DIGITS = tuple("0123456789")
CLOTHES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
_UNSIGNED_BYTE = 0x08


def read_idx(path: str | Path, *, ndim: int | None = None) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes, compressed with gzip or not.

    The format is two zero bytes, the type (8), the number of dimensions, each dimension
    as a big-endian 32-bit number, then the values with the last dimension fastest.

    Parameters
    ----------
    path
        The file.
    ndim
        Number of dimensions it must have: 3 for images (magic number 2051), 1 for
        labels (2049); None takes any.

    Returns
    -------
    numpy.ndarray
        The values, uint8, in the shape that the file states; writable.

    Raises
    ------
    DatasetError
        Truncated or damaged compression, a wrong magic number, or more or fewer values
        than the header promises.
    OSError
        The file cannot be read.

    Notes
    -----
    The format is described on http://yann.lecun.com/exdb/mnist/.
    """
    content = _decompressed(Path(path))
    shape, start = _idx_header(content, path)
    if ndim is not None and len(shape) != ndim:
        raise DatasetError(f"{path}: expected an IDX file with {ndim} dimensions, got {len(shape)}")
    expected = math.prod(shape)
    if len(content) - start != expected:
        raise DatasetError(
            f"{path}: the IDX header promises {expected} values of shape {shape}, "
            f"the file holds {len(content) - start}"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def load_mnist() -> Split:
    """Load MNIST with its official split.

    Returns
    -------
    Split
        (60000, 1, 28, 28) and (10000, 1, 28, 28) uint8: grey level, 0 is background and
        255 is ink. Labels are the digits.

    Raises
    ------
    DatasetError
        A data file is missing or corrupt.

    Notes
    -----
    Y. LeCun et al., Proc. IEEE 86 (1998), https://doi.org/10.1109/5.726791.
    """
    return _idx_split("mnist", DIGITS)


def load_fashion_mnist() -> Split:
    """Load Fashion-MNIST with its official split.

    Returns
    -------
    Split
        (60000, 1, 28, 28) and (10000, 1, 28, 28) uint8: grey level, 0 is background;
        6000 and 1000 images of each of the ten classes.

    Raises
    ------
    DatasetError
        A data file is missing or corrupt.

    Notes
    -----
    H. Xiao, K. Rasul, R. Vollgraf (2017), https://arxiv.org/abs/1708.07747.
    """
    return _idx_split("fashion-mnist", CLOTHES)


def load_norb() -> Split:
    """Load small NORB, reduced to 32x32, with its official split by toy.

    Returns
    -------
    Split
        Two parts of (24300, 2, 32, 32) uint8: channel 0 is the left camera and channel 1
        the right one, grey levels from 0 to 255; 4860 pairs of each of the five classes.
        ``group_train`` numbers the five toys of a class that its training pairs show.

    Raises
    ------
    DatasetError
        The file is missing or corrupt; `mixflow.datasets.make_norb` makes it.

    Notes
    -----
    Y. LeCun, F. J. Huang, L. Bottou, CVPR (2004), https://doi.org/10.1109/CVPR.2004.1315150.
    """
    path = locate("norb", "smallnorb-2x32x32.npz")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            names = ("x_train", "y_train", "x_test", "y_test", "instance_train")
            x_train, y_train, x_test, y_test, toy = (arrays[name] for name in names)
            classes = tuple(str(item) for item in arrays["categories"])
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise DatasetError(f"{path} is not the NORB archive it should be: {error}") from error
    y_train, y_test = (y.astype(np.int64) for y in (y_train, y_test))
    return Split(x_train, y_train, x_test, y_test, "norb", classes, group_train=toy)


def load_digit_images(*, split_seed: int = 0) -> Split:
    """Load scikit-learn's digits as images, with a stratified split 2:1.

    Parameters
    ----------
    split_seed
        Seed of the split.

    Returns
    -------
    Split
        (1198, 1, 8, 8) and (599, 1, 8, 8) uint8: ink from 0 to 16.

    Raises
    ------
    ValueError
        Bad seed.

    Notes
    -----
    E. Alpaydin, C. Kaynak, UCI (1998), https://doi.org/10.24432/C50P49.
    """
    # Imported here, because scikit-learn takes long to import and only this needs it.
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    seed = check_seed(split_seed)
    x, y = load_digits(return_X_y=True)
    x = x.astype(np.uint8).reshape(-1, 1, 8, 8)
    x_train, x_test, y_train, y_test = train_test_split(
        x, y.astype(np.int64), test_size=1 / 3, stratify=y, random_state=seed
    )
    return Split(x_train, y_train, x_test, y_test, "digits", DIGITS)


def _idx_split(name: str, classes: tuple[str, ...]) -> Split:
    """Return the four IDX files of an MNIST-like data set as one split."""
    return Split(*_idx_part(name, "train"), *_idx_part(name, "t10k"), name, classes)


def _idx_part(name: str, part: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the images (N, 1, H, W) and labels (N,) of one part."""
    images = read_idx(locate(name, f"{part}-images-idx3-ubyte.gz"), ndim=3)
    labels = read_idx(locate(name, f"{part}-labels-idx1-ubyte.gz"), ndim=1)
    return images[:, None], labels.astype(np.int64)


def _decompressed(path: Path) -> bytearray:
    """Return a file's content, decompressed if it is gzip; writable, to back an array."""
    with path.open("rb") as stream:
        zipped = stream.read(2) == b"\x1f\x8b"
    if not zipped:
        return bytearray(path.read_bytes())
    try:
        with gzip.open(path, "rb") as unzipped:
            return bytearray(unzipped.read())
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DatasetError(f"{path}: truncated or damaged gzip file: {error}") from error


def _idx_header(content: bytearray, path: str | Path) -> tuple[tuple[int, ...], int]:
    """Return the shape that an IDX header states and where the values start."""
    zeros, kind, ndim = content[:2], content[2:3], int.from_bytes(content[3:4], "big")
    if zeros != b"\0\0" or kind != bytes([_UNSIGNED_BYTE]):
        raise DatasetError(
            f"{path}: not an IDX file of unsigned bytes: the magic number begins with "
            f"{content[:3].hex() or 'nothing'}, expected 000008"
        )
    start = 4 + 4 * ndim
    if len(content) < start:
        raise DatasetError(f"{path}: the IDX header is cut after {len(content)} bytes")
    sizes = (int.from_bytes(content[at : at + 4], "big") for at in range(4, start, 4))
    return tuple(sizes), start
