"""Image files as Pillow reads them, and what is too large or damaged refused by name."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from fmapzip.errors import InvalidInput, MissingExtra
from fmapzip.eval.places import is_local

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS = 178_956_970
"""The most pixels of an image: where Pillow suspects a decompression bomb."""
MAX_ASPECT = 128
"""The longer side over the shorter, at most: scaled to its shorter side, an image has up to 256 x 32768 pixels."""


def require_pillow() -> None:
    """Refuse to go on without Pillow.

    Raises
    ------
    MissingExtra
        It is not installed.
    """
    try:
        import PIL  # noqa: F401
    except ImportError as error:
        raise MissingExtra("reading images needs Pillow: pip install 'fmapzip[torch]'") from error


def open_image(path: Path, max_aspect: float = math.inf) -> Image.Image:
    """The image in RGB; what is too large is refused before its pixels are read.

    Raises
    ------
    InvalidInput
        No image, a damaged one, one of too many pixels, or one side is more than `max_aspect` times the other.
    """
    return _opened(path, path, max_aspect, lambda file: file.convert("RGB"))


def image_of_bytes(data: bytes, name: str, max_aspect: float = math.inf) -> Image.Image:
    """The same of an image file's bytes; `name` is for errors.

    Raises
    ------
    InvalidInput
        As for `open_image`.
    """
    return _opened(io.BytesIO(data), name, max_aspect, lambda file: file.convert("RGB"))


def open_mask(path: Path) -> Image.Image:
    """An image of class indexes: a palette's numbers or grey levels as they are.

    Raises
    ------
    InvalidInput
        As for `open_image`, or it has several channels.
    """

    def indexes(file: Image.Image) -> Image.Image:
        if file.mode not in ("P", "L", "1", "I;16", "I"):
            raise InvalidInput(f"{path}: a mask has one channel of class indexes, this one is {file.mode}")
        return file.convert("I") if file.mode in ("I;16", "I") else file.copy()

    return _opened(path, path, math.inf, indexes)


def check_size(name: object, size: tuple[int, int], max_aspect: float) -> None:
    """Refuse an image of too many pixels, or of an extreme aspect."""
    width, height = size
    if width * height > MAX_PIXELS:
        raise InvalidInput(f"{name}: {width} x {height} pixels; an image has at most {MAX_PIXELS}")
    if max(width, height) > max_aspect * min(width, height):
        raise InvalidInput(f"{name}: {width} x {height} pixels; one side is at most {max_aspect:g} times the other")


def _opened(
    source: Path | io.BytesIO, name: object, max_aspect: float, convert: Callable[[Image.Image], Image.Image]
) -> Image.Image:
    from PIL import Image, UnidentifiedImageError

    try:
        if not isinstance(source, io.BytesIO) and not is_local(source):
            source = io.BytesIO(source.read_bytes())
        with Image.open(source) as file:
            check_size(name, file.size, max_aspect)
            return convert(file)
    except (InvalidInput, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise InvalidInput(f"{name}: not an image that Pillow can read") from error
    except OSError as error:
        raise InvalidInput(f"{name}: {error.strerror or error}") from error
    except Exception as error:  # what Pillow raises of a damaged file is of many kinds: SyntaxError, struct.error, ...
        raise InvalidInput(f"{name}: {error or type(error).__name__}") from error
