"""General-purpose codecs through their packages, on planar and channels-last bytes, the shorter one kept."""

from __future__ import annotations

import lzma
import zlib
from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fmapzip.baselines.base import Baseline, IntegerMap, Shape, choose, module
from fmapzip.errors import InvalidInput

LAYOUTS = ("planar", "channels-last")


@dataclass(frozen=True, repr=False)
class General(Baseline):
    """A codec for any bytes. The map's order in memory is a setting: planar [C, H, W] or channels-last [H, W, C]."""

    layouts: ClassVar[tuple[str, ...]] = LAYOUTS
    speed_meaningful: ClassVar[bool] = True

    layout: str = "planar"

    def __post_init__(self) -> None:
        choose("layout", self.layout, LAYOUTS)

    def encode(self, q: IntegerMap, side: bytes = b"") -> bytes:
        """The package's stream; turning a map to channels-last counts into the time."""
        return self.compress(np.ascontiguousarray(self._ordered(q)))  # type: ignore[arg-type]

    def decode(self, data: bytes, shape: Shape, dtype: np.dtype[Any], side: bytes = b"") -> IntegerMap:
        """The map."""
        return self.decode_to(data, np.empty(shape, dtype))

    def decode_to(self, data: bytes, out: IntegerMap, side: bytes = b"") -> IntegerMap:
        """The map, in `out` where the package can write there."""
        if self.layout == "planar" or out.ndim == 1:
            return self.decompress(data, out.reshape(-1)).reshape(out.shape)
        stored = self.decompress(data, np.empty(out.size, out.dtype)).reshape(*out.shape[1:], out.shape[0])
        np.copyto(out, np.moveaxis(stored, -1, 0))
        return out

    def _ordered(self, q: IntegerMap) -> IntegerMap:
        return q if self.layout == "planar" or q.ndim == 1 else np.moveaxis(q, 0, -1)

    @abstractmethod
    def compress(self, values: IntegerMap) -> bytes:
        """The stream of a contiguous array."""

    @abstractmethod
    def decompress(self, data: bytes, out: NDArray[Any]) -> NDArray[Any]:
        """The values of a stream, flat: in `out` where the package can write there; else in memory of its own."""


def _integer(name: str, value: int, low: int, high: int) -> None:
    if not isinstance(value, int) or not low <= value <= high:
        raise InvalidInput(f"{name} is a whole number from {low} to {high}, not {value!r}")


@dataclass(frozen=True, repr=False)
class Deflate(General):
    """Raw deflate (no zlib header) by the standard library's zlib."""

    id: ClassVar[str] = "deflate"
    source: ClassVar[str] = "RFC 1951; zlib"

    level: int = 9

    def __post_init__(self) -> None:
        super().__post_init__()
        _integer("level", self.level, 1, 9)

    def compress(self, values: IntegerMap) -> bytes:
        """One raw deflate stream."""
        stream = zlib.compressobj(self.level, zlib.DEFLATED, -15)
        return stream.compress(values.data) + stream.flush()

    def decompress(self, data: bytes, out: NDArray[Any]) -> NDArray[Any]:
        """The values."""
        return np.frombuffer(zlib.decompress(data, -15, out.size), out.dtype)


@dataclass(frozen=True, repr=False)
class Zstd(General):
    """Zstandard, one frame without checksum."""

    id: ClassVar[str] = "zstd"
    source: ClassVar[str] = "RFC 8878; package zstandard"
    package: ClassVar[str] = "zstandard"

    level: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        _integer("level", self.level, 1, 22)

    @cached_property
    def _coder(self) -> tuple[Any, Any]:
        zstandard = module("zstandard")
        return zstandard.ZstdCompressor(self.level, write_checksum=False), zstandard.ZstdDecompressor()

    def compress(self, values: IntegerMap) -> bytes:
        """One frame."""
        return bytes(self._coder[0].compress(values))

    def decompress(self, data: bytes, out: NDArray[Any]) -> NDArray[Any]:
        """The values."""
        with self._coder[1].stream_reader(data) as stream:
            read = stream.readinto(out)
        if read != out.size:
            raise ValueError("the frame holds fewer values")
        return out


@dataclass(frozen=True, repr=False)
class Lz4(General):
    """LZ4 block; level 0 is the fast mode, 1 to 12 the high-compression modes."""

    id: ClassVar[str] = "lz4"
    source: ClassVar[str] = "lz4.org block format; package lz4"
    package: ClassVar[str] = "lz4"

    level: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        _integer("level", self.level, 0, 12)

    def compress(self, values: IntegerMap) -> bytes:
        """One block."""
        block = module("lz4.block")
        if self.level == 0:
            return bytes(block.compress(values, store_size=False))
        return bytes(block.compress(values, "high_compression", compression=self.level, store_size=False))

    def decompress(self, data: bytes, out: NDArray[Any]) -> NDArray[Any]:
        """The values."""
        return np.frombuffer(module("lz4.block").decompress(data, uncompressed_size=out.size), out.dtype)


@dataclass(frozen=True, repr=False)
class Blosc2(General):
    """Blosc2 chunk: lz4 or zstd on blocks, with or without bitshuffle of the 8-bit values."""

    id: ClassVar[str] = "blosc2"
    source: ClassVar[str] = "Blosc2 chunk format; package blosc2"
    package: ClassVar[str] = "blosc2"

    cname: str = "lz4"
    shuffle: str = "bit"
    level: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        choose("cname", self.cname, ("lz4", "zstd"))
        choose("shuffle", self.shuffle, ("none", "bit"))
        _integer("level", self.level, 1, 9)

    def compress(self, values: IntegerMap) -> bytes:
        """One chunk."""
        blosc2 = module("blosc2")
        codec = blosc2.Codec.LZ4 if self.cname == "lz4" else blosc2.Codec.ZSTD
        kind = blosc2.Filter.BITSHUFFLE if self.shuffle == "bit" else blosc2.Filter.NOFILTER
        settings = {"codec": codec, "clevel": self.level, "typesize": 1, "nthreads": 1}
        return bytes(blosc2.compress2(values, **settings, filters=[kind], filters_meta=[0]))

    def decompress(self, data: bytes, out: NDArray[Any]) -> NDArray[Any]:
        """The values."""
        module("blosc2").decompress2(data, dst=out, nthreads=1)
        return out


@dataclass(frozen=True, repr=False)
class Brotli(General):
    """Brotli with the largest standard window."""

    id: ClassVar[str] = "brotli"
    source: ClassVar[str] = "RFC 7932; package brotli"
    package: ClassVar[str] = "brotli"

    quality: int = 9

    def __post_init__(self) -> None:
        super().__post_init__()
        _integer("quality", self.quality, 0, 11)

    def compress(self, values: IntegerMap) -> bytes:
        """One stream."""
        return bytes(module("brotli").compress(values.tobytes(), quality=self.quality, lgwin=24))

    def decompress(self, data: bytes, out: NDArray[Any]) -> NDArray[Any]:
        """The values."""
        return np.frombuffer(module("brotli").decompress(data), out.dtype)


@dataclass(frozen=True, repr=False)
class Xz(General):
    """Raw LZMA2 by the standard library, with literal contexts for bytes: a slow bound."""

    id: ClassVar[str] = "xz"
    source: ClassVar[str] = "xz-utils' LZMA2; standard library"

    preset: int = 6

    def __post_init__(self) -> None:
        super().__post_init__()
        _integer("preset", self.preset, 0, 9)

    @property
    def _filters(self) -> list[dict[str, int]]:
        return [{"id": lzma.FILTER_LZMA2, "preset": self.preset, "pb": 0, "lp": 0, "lc": 4}]

    def compress(self, values: IntegerMap) -> bytes:
        """One raw LZMA2 stream."""
        return lzma.compress(values.tobytes(), lzma.FORMAT_RAW, filters=self._filters)

    def decompress(self, data: bytes, out: NDArray[Any]) -> NDArray[Any]:
        """The values."""
        return np.frombuffer(lzma.decompress(data, lzma.FORMAT_RAW, filters=self._filters), out.dtype)
