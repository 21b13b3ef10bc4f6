"""Lossless image codecs through imagecodecs: the channels of a map are laid out as one grey image."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from math import isqrt, prod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fmapzip.baselines.base import Baseline, Bytes, IntegerMap, Shape, choose, module
from fmapzip.errors import InvalidInput

LAYOUTS = ("stacked", "tiled")


@dataclass(frozen=True, repr=False)
class GreyImage(Baseline):
    """A codec of grey images. The channels stand one above the other (``stacked``), or in rows of a square (``tiled``).

    What a square of channels lacks is filled with zeros. Signed values are moved up by 128, so that neighbours in value
    are neighbours as grey levels too.
    """

    layouts: ClassVar[tuple[str, ...]] = LAYOUTS
    package: ClassVar[str] = "imagecodecs"
    speed_meaningful: ClassVar[bool] = True

    layout: str = "stacked"

    def __post_init__(self) -> None:
        choose("layout", self.layout, LAYOUTS)

    def encode(self, q: IntegerMap, side: bytes = b"") -> bytes:
        """The package's file; laying the channels out counts into the time."""
        channels, height, width = _planes(q.shape)
        rows, columns = self._grid(channels)
        grey = np.zeros((rows * columns, height, width), np.uint8)
        grey[:channels] = _levels(q).reshape(channels, height, width)
        image = grey.reshape(rows, columns, height, width).transpose(0, 2, 1, 3).reshape(rows * height, columns * width)
        return self.compress(np.ascontiguousarray(image))

    def decode(self, data: bytes, shape: Shape, dtype: np.dtype[Any], side: bytes = b"") -> IntegerMap:
        """The map."""
        channels, height, width = _planes(shape)
        rows, columns = self._grid(channels)
        image = self.decompress(data).reshape(rows, height, columns, width)
        grey = np.ascontiguousarray(image.transpose(0, 2, 1, 3)).reshape(rows * columns, height, width)[:channels]
        return _integers(grey.reshape(shape), dtype)

    def _grid(self, channels: int) -> tuple[int, int]:
        columns = isqrt(channels - 1) + 1 if self.layout == "tiled" else 1
        return -(-channels // columns), columns

    @abstractmethod
    def compress(self, image: Bytes) -> bytes:
        """The file of an image [H, W]."""

    @abstractmethod
    def decompress(self, data: bytes) -> NDArray[np.uint8]:
        """The image of a file."""


def _planes(shape: Shape) -> Shape:
    """[channels, height, width] of a map of any rank: what lies between channels and columns are rows."""
    return (shape[0], prod(shape[1:-1]), shape[-1]) if len(shape) > 1 else (shape[0], 1, 1)


def _levels(q: IntegerMap) -> Bytes:
    return q if q.dtype == np.uint8 else q.view(np.uint8) ^ np.uint8(128)  # type: ignore[return-value]


def _integers(levels: Bytes, dtype: np.dtype[Any]) -> IntegerMap:
    return levels if dtype == np.uint8 else (levels ^ np.uint8(128)).view(np.int8)


@dataclass(frozen=True, repr=False)
class JpegLs(GreyImage):
    """JPEG-LS, lossless, by CharLS."""

    id: ClassVar[str] = "jpeg-ls"
    source: ClassVar[str] = "Weinberger, Seroussi, Sapiro: LOCO-I, 2000 (ITU-T T.87); CharLS in the package imagecodecs"

    def compress(self, image: Bytes) -> bytes:
        """One file; noise takes more bytes than it has, which the package does not make room for by itself."""
        return bytes(module("imagecodecs").jpegls_encode(image, out=2 * image.nbytes + 1024))

    def decompress(self, data: bytes) -> NDArray[np.uint8]:
        """The image."""
        return np.asarray(module("imagecodecs").jpegls_decode(data))


@dataclass(frozen=True, repr=False)
class JpegXl(GreyImage):
    """JPEG XL, lossless (modular mode), by libjxl on one thread; `effort` from 1 (fast) to 9."""

    id: ClassVar[str] = "jpeg-xl"
    source: ClassVar[str] = "ISO/IEC 18181-1, 2022; libjxl in the package imagecodecs"

    effort: int = 7

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.effort, int) or not 1 <= self.effort <= 9:
            raise InvalidInput(f"effort is a whole number from 1 to 9, not {self.effort!r}")

    def compress(self, image: Bytes) -> bytes:
        """One codestream without a container."""
        encode = module("imagecodecs").jpegxl_encode
        return bytes(encode(image, lossless=True, effort=self.effort, usecontainer=False, numthreads=1))

    def decompress(self, data: bytes) -> NDArray[np.uint8]:
        """The image."""
        return np.asarray(module("imagecodecs").jpegxl_decode(data, numthreads=1))
