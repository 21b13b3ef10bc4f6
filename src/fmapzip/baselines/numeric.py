"""Codecs for numbers: pcodec and zfp."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fmapzip.baselines.base import Baseline, IntegerMap, Shape, choose, module
from fmapzip.baselines.general import General
from fmapzip.errors import InvalidInput


@dataclass(frozen=True, repr=False)
class Pcodec(General):
    """Pcodec's standalone format on the 8-bit values themselves (its 8-bit mode)."""

    id: ClassVar[str] = "pcodec"
    source: ClassVar[str] = "Loncaric, Jeppesen, Zinberg: Pcodec, arXiv:2502.06112; package pcodec"
    package: ClassVar[str] = "pcodec"

    level: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        choose("level", self.level, tuple(range(13)))

    def compress(self, values: IntegerMap) -> bytes:
        """One standalone file."""
        pcodec = module("pcodec")
        settings = pcodec.ChunkConfig(compression_level=self.level, enable_8_bit=True)
        return bytes(pcodec.standalone.simple_compress(values.reshape(-1), settings))

    def decompress(self, data: bytes, out: NDArray[Any]) -> NDArray[Any]:
        """The values."""
        module("pcodec").standalone.simple_decompress_into(data, out)
        return out


@dataclass(frozen=True, repr=False)
class Zfp(Baseline):
    """zfp on the values as floats: a fixed rate in bits a value, or a tolerance in integer steps; rounded back.

    ``dims=2`` codes the channels one above the other in 4x4 blocks, ``dims=3`` in 4x4x4 blocks across channels.
    """

    id: ClassVar[str] = "zfp"
    source: ClassVar[str] = "Lindstrom: Fixed-rate compressed floating-point arrays, TVCG 20(12), 2014; package zfpy"
    package: ClassVar[str] = "zfpy"
    speed_meaningful: ClassVar[bool] = True

    rate: float | None = None
    tolerance: float | None = None
    dims: int = 2

    def __post_init__(self) -> None:
        if (self.rate is None) == (self.tolerance is None):
            raise InvalidInput("zfp takes either rate (bits a value) or tolerance (integer steps)")
        if not 0 < (self.rate or self.tolerance or 0) < 256:
            raise InvalidInput("zfp's rate or tolerance is above 0 and below 256")
        choose("dims", self.dims, (2, 3))

    @property
    def lossless(self) -> bool:
        """Whether rounding takes every error back: with a tolerance below a half."""
        return self.tolerance is not None and self.tolerance < 0.5

    def error_bound(self, shape: Shape) -> float:
        """The tolerance, rounded to integers; a fixed rate promises nothing."""
        return float(np.inf) if self.tolerance is None else float(np.floor(self.tolerance + 0.5))

    def _settings(self) -> dict[str, float]:
        return {"rate": self.rate} if self.rate is not None else {"tolerance": self.tolerance or 0.0}

    def _stored(self, shape: Shape) -> Shape:
        if self.dims == 3 and len(shape) == 3:
            return shape
        return (int(np.prod(shape[:-1])), shape[-1]) if len(shape) > 1 else shape

    def encode(self, q: IntegerMap, side: bytes = b"") -> bytes:
        """One stream without header: shape and settings are known."""
        values = np.ascontiguousarray(q, np.float32).reshape(self._stored(q.shape))
        return bytes(module("zfpy").compress_numpy(values, **self._settings(), write_header=False))

    def decode(self, data: bytes, shape: Shape, dtype: np.dtype[Any], side: bytes = b"") -> IntegerMap:
        """The map, rounded and clipped to the range of its type."""
        zfpy = module("zfpy")
        values = zfpy._decompress(data, zfpy.type_float, self._stored(shape), **self._settings())
        limits = np.iinfo(dtype)
        clipped: IntegerMap = np.clip(np.rint(values), limits.min, limits.max).astype(dtype)
        return clipped.reshape(shape)
