"""Pictures in colour: the two paintings, and scikit-learn's two photographs."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

from mixflow.datasets.fetch import locate
from mixflow.datasets.registry import DatasetError, unknown_name

PAINTINGS = {"starry_night": "starry_night.jpg", "sunflowers": "sunflowers.jpg"}
PHOTOS = ("china", "flower")


def load_picture(
    name: str, *, short_side: int | None = None, square: bool = False
) -> NDArray[np.uint8]:
    """Return a picture as RGB, (height, width, 3) uint8.

    Parameters
    ----------
    name
        ``starry_night`` or ``sunflowers`` (of the data set ``paintings``), or scikit-learn's
        photographs ``china`` (a palace) or ``flower``.
    short_side
        Pixels of the shorter side after resizing (Lanczos); None leaves the picture as it is.
    square
        Cut out the middle, short side by short side.

    Raises
    ------
    ValueError
        Unknown name, or a short side below 1.
    DatasetError
        The file of a painting is missing, has another checksum, or is no picture.
    ImportError
        Pillow is not installed.
    """
    from PIL import Image

    if short_side is not None and short_side < 1:
        raise ValueError(f"short_side must be at least 1 pixel, got {short_side}")
    picture = Image.fromarray(_pixels(name))
    if square:
        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        picture = picture.crop((left, top, left + side, top + side))
    if short_side is not None:
        ratio = short_side / min(picture.size)
        size = (round(picture.width * ratio), round(picture.height * ratio))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    return np.asarray(picture).copy()


def _pixels(name: str) -> NDArray[np.uint8]:
    """Return a picture in full size."""
    if name in PHOTOS:
        from sklearn.datasets import load_sample_image

        pixels: NDArray[np.uint8] = load_sample_image(f"{name}.jpg")
        return pixels
    if name not in PAINTINGS:
        raise ValueError(unknown_name("picture", name, [*PAINTINGS, *PHOTOS]))
    from PIL import Image, UnidentifiedImageError

    path = locate("paintings", PAINTINGS[name])
    try:
        return np.asarray(Image.open(io.BytesIO(path.read_bytes())).convert("RGB"))
    except (OSError, UnidentifiedImageError) as error:
        raise DatasetError(f"{path}: not a picture that can be read ({error})") from error
