"""PCA over channels, uniform quantization, Huffman coding by variance (Chmiel et al.)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fmapzip.baselines import prefix
from fmapzip.baselines.base import Baseline, IntegerMap, Shape
from fmapzip.baselines.bits import pack, walk, windows
from fmapzip.baselines.eigenbasis import columns_of, eigenbasis
from fmapzip.errors import InvalidInput

_CLASSES, _REACH = 12, 127
"""Variance classes with a Huffman table each, and the largest level; larger ones saturate."""
_ALPHABET = 2 * _REACH + 1


@dataclass(frozen=True)
class _Basis:
    """What calibration finds: the side information of one tap."""

    mean: NDArray[np.float32]
    vectors: NDArray[np.float32]  # [components, channels], orthonormal rows up to float16 rounding
    step: np.float32
    variance_class: NDArray[np.uint8]  # of each component
    lengths: NDArray[np.int64]  # [classes, alphabet]

    def to_bytes(self) -> bytes:
        tables = b"".join(prefix.write_table(row) for row in self.lengths)
        head = struct.pack("<If", self.mean.size, self.step)
        return (
            head
            + self.mean.astype("<f2").tobytes()
            + self.vectors.astype("<f2").tobytes()
            + bytes(self.variance_class)
            + tables
        )


@lru_cache(maxsize=64)
def _read(side: bytes) -> _Basis:
    channels, step = struct.unpack_from("<If", side)
    offset = 8
    mean = np.frombuffer(side, "<f2", channels, offset).astype(np.float32)
    offset += 2 * channels
    vectors = np.frombuffer(side, "<f2", channels * channels, offset).astype(np.float32)
    offset += 2 * channels * channels
    classes = np.frombuffer(side, np.uint8, channels, offset)
    offset += channels
    rows = []
    for _ in range(_CLASSES):
        lengths, size = prefix.read_table(side[offset:], _ALPHABET)
        rows.append(lengths)
        offset += size
    return _Basis(mean, vectors.reshape(channels, channels), np.float32(step), classes, np.array(rows))


@dataclass(frozen=True, repr=False)
class Pca(Baseline):
    """PCA over channels: one step for all components, so that bits follow the variance; Huffman by variance class.

    The step spans the range that is best for a Laplacian of the first component with `bits` bits, as published. The
    eigenbasis is that of the calibration maps at the tap: after the activation function, where the tap is.
    """

    id: ClassVar[str] = "pca"
    source: ClassVar[str] = "Chmiel et al.: Feature Map Transform Coding for Energy-Efficient CNN Inference, IJCNN 2020"

    bits: int = 8

    def __post_init__(self) -> None:
        if not isinstance(self.bits, int) or not 2 <= self.bits <= 8:
            raise InvalidInput(f"bits is a whole number from 2 to 8, not {self.bits!r}")

    @property
    def lossless(self) -> bool:
        """Never."""
        return False

    @property
    def trained(self) -> bool:
        """The eigenbasis comes from calibration."""
        return True

    def error_bound(self, shape: Shape) -> float:
        """None: levels beyond the range saturate."""
        return float(np.inf)

    def train(self, maps: IntegerMap) -> bytes:
        """Mean, eigenvectors (float16), step, variance classes and their Huffman tables."""
        found = eigenbasis(maps)
        centred, basis = found.centred, found.vectors
        deviation = np.sqrt(np.maximum(found.variances, 0))
        first = float(np.abs(basis[0] @ centred).mean())
        step = np.float32(max(2 * laplace_range(self.bits) * first / (2**self.bits - 1), 1e-3))
        classes = _classify(deviation / step)
        levels = _quantize(basis @ centred, step)
        lengths = np.array([_table(levels[classes == k]) for k in range(_CLASSES)])
        return _Basis(found.mean, basis, step, classes, lengths).to_bytes()

    def encode(self, q: IntegerMap, side: bytes = b"") -> bytes:
        """The codes of the components in order, each component's positions in order."""
        basis = _read(side)
        levels = _quantize(basis.vectors @ (columns_of(q) - basis.mean[:, None]), basis.step) + _REACH
        lengths = basis.lengths[basis.variance_class[:, None], levels]
        codes = np.stack([prefix.canonical_codes(row) for row in basis.lengths])
        return pack(codes[basis.variance_class[:, None], levels].reshape(-1), lengths.reshape(-1))

    def decode(self, data: bytes, shape: Shape, dtype: np.dtype[Any], side: bytes = b"") -> IntegerMap:
        """The map, rounded and clipped to the range of its type."""
        basis = _read(side)
        channels = shape[0]
        positions = int(np.prod(shape)) // channels
        window = windows(data + bytes(2))
        levels = np.zeros((channels, positions), np.float32)
        offset = 0
        for k in np.unique(basis.variance_class):
            # Components of one class follow each other: they are sorted by variance.
            rows = np.flatnonzero(basis.variance_class == k)
            table_lengths, table_symbols = prefix.decoding_tables(basis.lengths[k])
            advance = table_lengths[window[offset:]]
            places = walk(advance.tobytes(), rows.size * positions)
            levels[rows] = (table_symbols[window[offset:][places]] - _REACH).reshape(rows.size, positions)
            offset += int(places[-1]) + int(advance[places[-1]])
        values = np.rint(basis.vectors.T @ (levels * basis.step) + basis.mean[:, None]).reshape(shape)
        limits = np.iinfo(dtype)
        return np.clip(values, limits.min, limits.max).astype(dtype)


def laplace_range(bits: int) -> float:
    """The clipping range, in mean absolute values, with the least squared error of a Laplacian at so many bits.

    Clipping beyond a costs ``2 exp(-a)`` and steps cost ``a**2 / (3 * 4**bits)`` of the squared mean absolute value.
    """
    ranges = np.linspace(0.5, 20, 4000)
    return float(ranges[np.argmin(2 * np.exp(-ranges) + ranges**2 / (3 * 4.0**bits))])


def _quantize(coefficients: NDArray[np.float32], step: np.float32) -> NDArray[np.int64]:
    return np.asarray(np.clip(np.rint(coefficients / step), -_REACH, _REACH), np.int64)


def _classify(deviation: NDArray[Any]) -> NDArray[np.uint8]:
    """Variance classes of octaves, from the largest deviation in steps (class 0) down."""
    octave = np.floor(np.log2(np.maximum(deviation, 1e-9)))
    return np.asarray(np.clip(6 - octave, 0, _CLASSES - 1), np.uint8)


def _table(levels: NDArray[np.int64]) -> NDArray[np.int64]:
    """A code in which every level up to the reach can be written, whatever calibration saw."""
    if not levels.size:
        return np.zeros(_ALPHABET, np.int64)
    return prefix.code_lengths(np.bincount((levels + _REACH).reshape(-1), minlength=_ALPHABET) * 64 + 1)
