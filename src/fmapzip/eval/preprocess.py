"""Image file to network input, by the protocols the usual CNNs were trained with."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fmapzip.arrays import load_npy
from fmapzip.errors import InvalidInput, MissingExtra

if TYPE_CHECKING:
    from PIL import Image

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)
SHORTER_SIDE, CROP = 256, 224
MAX_PIXELS = 178_956_970
"""The most pixels of an image: where Pillow suspects a decompression bomb."""
MAX_ASPECT = 128
"""The longer side over the shorter, at most: scaled to its shorter side, an image has up to 256 x 32768 pixels."""

Pixels = NDArray[np.float32]
"""One image as the network reads it: ``float32 [C, H, W]``."""


def imagenet(path: Path) -> Pixels:
    """RGB, shorter side to 256 (bilinear), centre crop 224, to [0, 1], less mean, over std."""
    from PIL import Image

    image = _opened(path, MAX_ASPECT)
    shorter = min(image.size)
    width, height = (round(SHORTER_SIDE * side / shorter) for side in image.size)
    left, top = (width - CROP) // 2, (height - CROP) // 2
    box = (left, top, left + CROP, top + CROP)
    return _normalised(np.asarray(image.resize((width, height), Image.Resampling.BILINEAR).crop(box)))


def cifar(path: Path) -> Pixels:
    """RGB at its own size, to [0, 1], less ImageNet's mean, over its std."""
    return _normalised(_rgb(path))


def none(path: Path) -> Pixels:
    """RGB at its own size to [0, 1], nothing else; a ``.npy`` file of ``[C, H, W]`` floats as it is."""
    if path.suffix.lower() == ".npy":
        return _array(path)
    return _planar(_rgb(path).astype(np.float32) / np.float32(255))


PREPROCESSES: dict[str, Callable[[Path], Pixels]] = {"imagenet": imagenet, "cifar": cifar, "none": none}


def preprocess(name: str) -> Callable[[Path], Pixels]:
    """The function of that name, from image file to ``float32 [C, H, W]``.

    Raises
    ------
    InvalidInput
        There is none of that name (the message lists them), or the file it is called with is no image.
    MissingExtra
        Pillow is not installed.

    Examples
    --------
    >>> preprocess("imagenet")(Path("cat.jpg")).shape  # doctest: +SKIP
    (3, 224, 224)
    """
    if name not in PREPROCESSES:
        raise InvalidInput(f"unknown preprocessing {name!r}; there are: {', '.join(PREPROCESSES)}")
    try:
        import PIL  # noqa: F401
    except ImportError as error:
        raise MissingExtra("reading images needs Pillow: pip install 'fmapzip[torch]'") from error
    return PREPROCESSES[name]


def _opened(path: Path, max_aspect: float = math.inf) -> Image.Image:
    """The image in RGB; what is too large is refused before its pixels are read."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as file:
            width, height = file.size
            if width * height > MAX_PIXELS:
                raise InvalidInput(f"{path}: {width} x {height} pixels; an image has at most {MAX_PIXELS}")
            if max(width, height) > max_aspect * min(width, height):
                raise InvalidInput(
                    f"{path}: {width} x {height} pixels; one side is at most {max_aspect:g} times the other"
                )
            return file.convert("RGB")
    except (InvalidInput, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise InvalidInput(f"{path}: not an image that Pillow can read") from error
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror or error}") from error
    except Exception as error:  # what Pillow raises of a damaged file is of many kinds: SyntaxError, struct.error, ...
        raise InvalidInput(f"{path}: {error or type(error).__name__}") from error


def _rgb(path: Path) -> NDArray[np.uint8]:
    return np.asarray(_opened(path))


def _array(path: Path) -> Pixels:
    try:
        values = load_npy(path)
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror or error}") from error
    except (ValueError, EOFError) as error:
        raise InvalidInput(f"{path}: {error}") from error
    if values.ndim != 3 or values.dtype.kind != "f":
        raise InvalidInput(f"{path}: expected floats [C, H, W], found {values.dtype} {list(values.shape)}")
    return np.ascontiguousarray(values, np.float32)


def _normalised(rgb: NDArray[np.uint8]) -> Pixels:
    scaled = rgb.astype(np.float32) / np.float32(255)
    return _planar((scaled - MEAN) / STD)


def _planar(image: NDArray[np.float32]) -> Pixels:
    return np.ascontiguousarray(image.transpose(2, 0, 1))
