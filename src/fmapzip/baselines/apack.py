"""APack: an arithmetic code of 16 value ranges, and the offset of each value in its range as plain bits."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fmapzip.baselines import range_coder
from fmapzip.baselines.base import Baseline, Bytes, IntegerMap, Parts, Shape, as_bytes, from_bytes
from fmapzip.baselines.bits import at, pack, pack_fixed, spread, unpack_fixed
from fmapzip.baselines.rans import quantized_frequencies

RANGES = 16
_FIELDS = (8, 4, 10)
"""Bits of a range in the table: its smallest value, the length of its offsets, its share of `range_coder.TOTAL`."""
_VALUES_PER_STREAM, _MOST_STREAMS = 2048, 256


@dataclass(frozen=True, eq=False)
class Ranges:
    """The table of a tap: `RANGES` rows in the order of values, which together hold all 256.

    Attributes
    ----------
    first
        The smallest value of each.
    bits
        Bits of an offset in it.
    shares
        Of `range_coder.TOTAL`, at least 1.
    """

    first: NDArray[np.int64]
    bits: NDArray[np.int64]
    shares: NDArray[np.int64]

    @property
    def of_value(self) -> NDArray[np.int64]:
        """The range of each of the 256 values."""
        return np.searchsorted(self.first, np.arange(256), "right") - 1

    def to_bytes(self) -> bytes:
        """The table as a decoder keeps it."""
        columns = zip((self.first, self.bits, self.shares), _FIELDS, strict=True)
        return b"".join(pack_fixed(column, width) for column, width in columns)

    @classmethod
    def from_bytes(cls, data: bytes) -> Ranges:
        """The inverse of `to_bytes`."""
        columns, place = [], 0
        for width in _FIELDS:
            size = RANGES * width // 8
            columns.append(unpack_fixed(data[place : place + size], width, RANGES))
            place += size
        return cls(*columns)


def best_ranges(counts: NDArray[Any]) -> Ranges:
    """The ranges of the fewest bits for a histogram of 256 values.

    The cost of a cut is the sum of its ranges' (entropy of the range, and plain offset bits), so that dynamic
    programming over (first value, ranges left) finds the best of all cuts.
    """
    cost, last = _costs(counts), np.zeros((RANGES, 257), np.int64)
    least = np.where(np.arange(257) == 256, 0.0, np.inf)  # of the values from v on, in the ranges that are left
    for row in range(RANGES - 1, -1, -1):
        totals = cost + least
        last[row] = np.append(totals.argmin(1), 256)
        least = np.append(totals.min(1), np.inf)
    starts = [0]
    for row in range(RANGES - 1):
        starts.append(int(last[row, starts[-1]]))
    first = np.array(starts, np.int64)
    widths = np.diff(np.append(first, 256))
    inside = np.maximum(np.add.reduceat(counts, first), 1)  # unseen values must have a code too
    return Ranges(first, _offset_bits(widths), quantized_frequencies(inside, range_coder.TOTAL))


def _costs(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Bits of all values in a range [first, end), by first (256) and end (257); infinite where it is empty."""
    before = np.concatenate([[0], np.cumsum(counts)]).astype(np.float64)
    inside = before[None, :] - before[:256, None]
    widths = np.arange(257)[None, :] - np.arange(256)[:, None]
    shares = np.maximum(inside / max(before[-1], 1.0), 1 / range_coder.TOTAL)
    bits = inside * (_offset_bits(np.maximum(widths, 1)) - np.log2(shares))
    return np.where(widths > 0, bits, np.inf)


def _offset_bits(widths: NDArray[Any]) -> NDArray[np.int64]:
    return np.asarray(np.ceil(np.log2(widths)), np.int64)


@dataclass(frozen=True, repr=False)
class APack(Baseline):
    """A table of 16 value ranges for each tap; ranges are coded arithmetically, offsets in them as they are.

    A map is cut into streams of at least 2048 values, which are coded side by side.
    """

    id: ClassVar[str] = "apack"
    source: ClassVar[str] = "Delmas Lascorz, Mahmoud, Moshovos: APack, arXiv:2201.08830, 2022"

    @property
    def trained(self) -> bool:
        """It is: the table comes from profiled maps."""
        return True

    def train(self, maps: IntegerMap) -> bytes:
        """The table of the maps' histogram."""
        return best_ranges(np.bincount(as_bytes(maps), minlength=256)).to_bytes()

    def encode(self, q: IntegerMap, side: bytes = b"") -> bytes:
        """The length of each stream (32 bits), the arithmetic codes of the streams, then the offsets of all values."""
        table, values = Ranges.from_bytes(side), as_bytes(q)
        rows = table.of_value[values]
        codes = range_coder.encode(rows, table.shares, _streams(values.size))
        bits = table.bits[rows]
        lengths = np.array([len(code) for code in codes], "<u4")
        return lengths.tobytes() + b"".join(codes) + pack(values - table.first[rows], bits)

    def decode(self, data: bytes, shape: Shape, dtype: np.dtype[Any], side: bytes = b"") -> IntegerMap:
        """The map."""
        table, size = Ranges.from_bytes(side), prod(shape)
        codes, end = _codes(data, _streams(size))
        rows = range_coder.decode(codes, table.shares, size)
        return from_bytes(_with_offsets(data[end:], table, rows), shape, dtype)

    def parts(self, data: bytes, shape: Shape) -> Parts:
        """Codes with offsets, and the lengths of the streams."""
        headers = 4 * _streams(prod(shape))
        return {"payload": len(data) - headers, "headers": headers}


def _streams(size: int) -> int:
    return max(1, min(_MOST_STREAMS, size // _VALUES_PER_STREAM))


def _codes(data: bytes, streams: int) -> tuple[list[bytes], int]:
    """The arithmetic code of each stream, and where they end."""
    if len(data) < 4 * streams:
        raise ValueError("the data ends early")
    ends = np.cumsum(np.frombuffer(data[: 4 * streams], "<u4").astype(np.int64)) + 4 * streams
    if ends[-1] > len(data):
        raise ValueError("the data ends early")
    return [data[a:b] for a, b in zip([4 * streams, *ends[:-1]], ends, strict=True)], int(ends[-1])


def _with_offsets(data: bytes, table: Ranges, rows: NDArray[np.int64]) -> Bytes:
    bits = table.bits[rows]
    ends = np.cumsum(bits)
    if ends.size and ends[-1] > 8 * len(data):
        raise ValueError("the offsets end early")
    values, starts, read = table.first[rows], ends - bits, spread(data)
    for width in range(1, 9):
        here = bits == width
        values[here] += at(read, starts[here], width)
    return values.astype(np.uint8)
