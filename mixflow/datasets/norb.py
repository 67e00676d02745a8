"""Make the reduced small-NORB file from the official download.

The official files are six gzipped arrays in a small binary format: a magic number, the
number of dimensions, at least three dimensions (missing ones are 1), then the values;
all numbers are little-endian and 32 bits wide.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mixflow.datasets import registry
from mixflow.datasets.fetch import cache_folder, sidecar
from mixflow.datasets.registry import DatasetError
from mixflow.files import open_atomically, write_atomically

OFFICIAL_URL = "https://cs.nyu.edu/~ylclab/data/norb-v1.0-small/"
CATEGORIES = ("animal", "human", "airplane", "truck", "car")
_PREFIXES = {
    "train": "smallnorb-5x46789x9x18x6x2x96x96-training",
    "test": "smallnorb-5x01235x9x18x6x2x96x96-testing",
}
_N_PAIRS = 24300
_CHUNK = 2430
_BYTE_MAGIC = 0x1E3D4C55
_INT_MAGIC = 0x1E3D4C54


def make_norb(folder: str | Path, out: str | Path | None = None) -> Path:
    """Convert the official small-NORB files to the reduced file that `load_norb` reads.

    Each image is reduced from 96x96 to 32x32 by the mean of each 3x3 block, rounded to
    nearest. The result has other bytes than the registered file, which was made from
    JPEG copies; its checksum is kept in ``<out>.sha256`` so that it can be verified.

    Parameters
    ----------
    folder
        Holds the six official ``smallnorb-5x...-{dat,cat,info}.mat.gz``.
    out
        File to write; None means the place in the user's cache where `load_norb` looks.

    Returns
    -------
    pathlib.Path
        The file written: ``x_train``, ``x_test`` (24300, 2, 32, 32) uint8, ``y_train``,
        ``y_test``, ``instance_train``, ``instance_test`` (24300,) uint8, ``categories``.

    Raises
    ------
    DatasetError
        An official file is missing, truncated or of another shape; nothing is written.
    OSError
        The result cannot be written.
    """
    paths = _official_files(Path(folder))
    arrays: dict[str, NDArray] = {"categories": np.array(CATEGORIES)}
    for part in _PREFIXES:
        arrays[f"x_{part}"] = _reduced(paths[part, "dat"])
        arrays[f"y_{part}"] = _integers(paths[part, "cat"], (_N_PAIRS,))
        # Columns: toy instance, elevation, azimuth, lighting.
        arrays[f"instance_{part}"] = _integers(paths[part, "info"], (_N_PAIRS, 4))[:, 0]
    default = cache_folder() / registry.get("norb").files[0].path
    return _write(default if out is None else Path(out), arrays)


def _official_files(folder: Path) -> dict[tuple[str, str], Path]:
    """Return the six official files by part and kind."""
    paths = {
        (part, kind): folder / f"{prefix}-{kind}.mat.gz"
        for part, prefix in _PREFIXES.items()
        for kind in ("dat", "cat", "info")
    }
    absent = [path.name for path in paths.values() if not path.is_file()]
    if absent:
        lines = "\n  ".join(absent)
        raise DatasetError(
            f"small NORB cannot be made from {folder}, which lacks\n  {lines}\n"
            f"Download them from {OFFICIAL_URL} and do not unpack them."
        )
    return paths


def _reduced(path: Path) -> NDArray[np.uint8]:
    """Return the image pairs of a ``dat`` file at a third of their size."""
    height = width = 96
    pair = 2 * height * width
    chunks = []
    # In pieces, because the unpacked file has 450 MB.
    for content in _content(path, _BYTE_MAGIC, (_N_PAIRS, 2, height, width), _CHUNK * pair):
        blocks = np.frombuffer(content, np.uint8).reshape(-1, 2, 32, 3, 32, 3)
        chunks.append(((blocks.sum((3, 5), dtype=np.uint16) + 4) // 9).astype(np.uint8))
    return np.concatenate(chunks)


def _integers(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return the small integers of a ``cat`` or ``info`` file, which fit into a byte."""
    content = b"".join(_content(path, _INT_MAGIC, shape, 1 << 20))
    return np.frombuffer(content, "<i4").astype(np.uint8).reshape(shape)


def _content(path: Path, magic: int, shape: tuple[int, ...], size: int) -> Iterator[bytes]:
    """Check the header of an official file, then give its values in pieces of `size` bytes."""
    itemsize = 1 if magic == _BYTE_MAGIC else 4
    left = itemsize * int(np.prod(shape))
    try:
        with gzip.open(path, "rb") as stream:
            _check_header(path, stream, magic, shape)
            while left:
                content = stream.read(min(size, left))
                if len(content) < min(size, left):
                    raise DatasetError(f"{path}: the file ends {left - len(content)} bytes early")
                left -= len(content)
                yield content
            if stream.read(1):
                raise DatasetError(f"{path}: the file holds more values than {shape}")
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DatasetError(f"{path}: truncated or damaged gzip file: {error}") from error


def _check_header(path: Path, stream: gzip.GzipFile, magic: int, shape: tuple[int, ...]) -> None:
    """Compare the header with what it has to be for this magic number and shape."""
    padded = shape + (1,) * (3 - len(shape))
    expected = np.array([magic, len(shape), *padded], "<u4").tobytes()
    found = stream.read(len(expected))
    if found != expected:
        raise DatasetError(
            f"{path}: not the small-NORB file it should be: expected the header "
            f"{expected.hex()} (shape {shape}), found {found.hex() or 'nothing'}"
        )


def _write(out: Path, arrays: dict[str, NDArray]) -> Path:
    """Write arrays and their checksum; whoever looks sees the whole file or none."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with open_atomically(out) as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)
        stream.seek(0)
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        write_atomically(sidecar(out), f"{digest}\n".encode())
    return out
