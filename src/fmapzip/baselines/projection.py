"""Channels projected on a PCA basis, each component kept with bits of its own, or left out."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fmapzip.baselines.base import Baseline, IntegerMap, Shape
from fmapzip.baselines.bits import pack
from fmapzip.baselines.eigenbasis import columns_of, eigenbasis
from fmapzip.baselines.pca import laplace_range
from fmapzip.errors import InvalidInput

_MOST_BITS = 8
_POSITIONS = 1 << 14  # of the calibration maps, evenly spread, on which errors are measured


@dataclass(frozen=True)
class _Basis:
    """What calibration finds: the side information of one tap."""

    mean: NDArray[np.float32]
    vectors: NDArray[np.float32]  # [rank, channels]
    bits: NDArray[np.int64]  # of each component that is kept, 1 to 8
    steps: NDArray[np.float32]

    def to_bytes(self) -> bytes:
        head = struct.pack("<II", self.mean.size, self.bits.size)
        floats = (self.mean, self.vectors, self.steps)
        return head + bytes(self.bits.astype(np.uint8)) + b"".join(each.astype("<f2").tobytes() for each in floats)

    def levels(self, q: IntegerMap) -> NDArray[np.int64]:
        """Levels of the components, [rank, positions], each from 0 to 2**bits - 1."""
        x = self.vectors @ (columns_of(q) - self.mean[:, None])
        return _levels(x, self.steps[:, None], self.bits[:, None])

    def values(self, levels: NDArray[Any]) -> NDArray[np.float32]:
        """The channels of the middles of the levels, [channels, positions]."""
        x = (levels - 2.0 ** (self.bits[:, None] - 1) + 0.5) * self.steps[:, None]
        return np.asarray(self.vectors.T @ x + self.mean[:, None], np.float32)


@lru_cache(maxsize=64)
def _read(side: bytes) -> _Basis:
    channels, rank = struct.unpack_from("<II", side)
    bits = np.frombuffer(side, np.uint8, rank, 8).astype(np.int64)
    floats = np.frombuffer(side, "<f2", channels + rank * channels + rank, 8 + rank).astype(np.float32)
    mean, vectors, steps = np.split(floats, [channels, channels + rank * channels])
    return _Basis(mean, vectors.reshape(rank, channels), bits, steps)


@dataclass(frozen=True, repr=False)
class Projection(Baseline):
    """PCA over channels, reduced to the components that are worth a bit, each packed with as many as it is worth.

    Bits go one by one to the component whose squared error over the calibration maps falls the most by another (reverse
    water-filling in whole bits), until `bits` a value are spent or the mean squared error of a value, in integers, is
    at most `error`: rank and precisions come from one choice. Nothing is entropy-coded.
    """

    id: ClassVar[str] = "projection"
    source: ClassVar[str] = "Tai et al.: Compression-aware Projection with Greedy Dimension Reduction, arXiv:2110.08828"

    bits: float = 2
    error: float = 0

    def __post_init__(self) -> None:
        if not isinstance(self.bits, int | float) or not 0 < self.bits <= _MOST_BITS:
            raise InvalidInput(f"bits is a number above 0 and at most {_MOST_BITS}, not {self.bits!r}")
        if not isinstance(self.error, int | float) or not 0 <= self.error < np.inf:
            raise InvalidInput(f"error is a number of at least 0, not {self.error!r}")

    @property
    def lossless(self) -> bool:
        """Never."""
        return False

    @property
    def trained(self) -> bool:
        """The basis and the bits come from calibration."""
        return True

    def error_bound(self, shape: Shape) -> float:
        """None: components are left out, and levels beyond the range saturate."""
        return float(np.inf)

    def at_step(self, step: float) -> Projection:
        """As many bits as it takes for the squared error of rounding to multiples of `step`."""
        return replace(self, bits=_MOST_BITS, error=step**2 / 12)

    def train(self, maps: IntegerMap) -> bytes:
        """Mean, the vectors of the components that are kept (float16), their bits and steps."""
        found = eigenbasis(maps)
        centred, basis = found.centred, found.vectors
        components = basis @ centred[:, :: max(1, centred.shape[1] // _POSITIONS)]
        errors, steps = _errors(components)
        bits = _shared_out(errors, round(self.bits * len(basis)), self.error * len(basis))
        kept = np.flatnonzero(bits)
        chosen = steps[bits[kept], kept]
        return _Basis(found.mean, basis[kept], bits[kept], chosen.astype(np.float16).astype(np.float32)).to_bytes()

    def encode(self, q: IntegerMap, side: bytes = b"") -> bytes:
        """The levels of the components in order, each component's positions in order, packed."""
        basis = _read(side)
        levels = basis.levels(q)
        return pack(levels.reshape(-1), np.repeat(basis.bits, levels.shape[1]))

    def decode(self, data: bytes, shape: Shape, dtype: np.dtype[Any], side: bytes = b"") -> IntegerMap:
        """The map, rounded and clipped to the range of its type."""
        basis = _read(side)
        positions = int(np.prod(shape)) // shape[0]
        string = np.unpackbits(np.frombuffer(data, np.uint8))
        if len(string) < positions * int(basis.bits.sum()):
            raise ValueError("the data ends before the last component")
        levels = np.empty((basis.bits.size, positions), np.float32)
        offset = 0
        for row, bits in zip(levels, basis.bits.tolist(), strict=True):
            part = string[offset : offset + bits * positions].reshape(positions, bits)
            row[:] = part @ (1 << np.arange(bits)[::-1])
            offset += bits * positions
        limits = np.iinfo(dtype)
        return np.clip(np.rint(basis.values(levels)).reshape(shape), limits.min, limits.max).astype(dtype)


def _levels(x: NDArray[np.float32], steps: Any, bits: Any) -> NDArray[np.int64]:
    """The level that each value lies in, of 2**bits around 0."""
    half = 2.0 ** (bits - 1)
    return np.asarray(np.clip(np.floor(x / steps), -half, half - 1) + half, np.int64)


def _errors(components: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Squared error of each component at 0 to 8 bits, and its step there, both [9, channels]."""
    sizes = np.abs(components).mean(axis=1)
    errors, steps = [np.square(components).mean(axis=1, dtype=np.float64)], [np.ones_like(sizes)]
    for bits in range(1, _MOST_BITS + 1):
        step = np.maximum(2 * laplace_range(bits) * sizes / 2**bits, 1e-3)
        middles = (_levels(components, step[:, None], bits) - 2.0 ** (bits - 1) + 0.5) * step[:, None]
        errors.append(np.square(components - middles).mean(axis=1, dtype=np.float64))
        steps.append(step)
    return np.array(errors), np.array(steps)


def _shared_out(errors: NDArray[np.float64], budget: int, enough: float) -> NDArray[np.int64]:
    """Bits of each component, the next one always where the error falls the most, until the sum of errors is enough."""
    gains = errors[:-1] - errors[1:]
    # A gain that is larger than that of a bit before it comes with that one: gains of a component never rise.
    worth = np.minimum.accumulate(gains, axis=0).reshape(-1)
    order = np.argsort(-worth, kind="stable")[:budget]
    order = order[worth[order] > 0]
    before = errors[0].sum() - np.concatenate([[0.0], np.cumsum(gains.reshape(-1)[order])])[:-1]
    return np.bincount(order[before > enough] % errors.shape[1], minlength=errors.shape[1])
