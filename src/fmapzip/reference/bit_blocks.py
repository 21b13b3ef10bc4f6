"""Block coding of docs/format/dct-cm.md, "Blocks": bitmaps and packed values of up to 64 codes.

The encoder lists every field of the stream as (value, width) for all blocks at once and writes the bits last;
the decoder walks the stream block by block.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fmapzip.errors import CorruptFrame, TruncatedFrame

BLOCK = 64
MAX_CODE_BITS = 14
ABSENT = -1  # marks the places that a block of fewer than 64 positions does not have

# How a block splits its codes into classes: (zero bitmap, width a, selectors L), by the header's high four bits.
SPLITS = (
    *((0, 0, 0), (1, 0, 0), (1, 0, 2), (1, 1, 3), (1, 2, 3), (1, 3, 3), (1, 4, 2), (0, 1, 1)),
    *((0, 1, 3), (0, 2, 1), (0, 2, 3), (0, 3, 1), (0, 3, 3), (0, 4, 1), (0, 4, 3), (0, 5, 1)),
)
MASK_MIXED, MASK_NO_ZEROS, MASK_ALL_ZEROS = 0, 1, 2

Codes = NDArray[np.int32]


class Fields(NamedTuple):
    """Fields of a bit stream: ``value`` in ``width`` bits, to be written in ascending order of ``key``."""

    key: NDArray[np.int64]
    value: NDArray[np.int64]
    width: NDArray[np.int64]


def _fields(row: Any, section: int, position: Any, value: Any, width: Any) -> Fields:
    key = (np.asarray(row, np.int64) * 8 + section) * BLOCK + position
    key, value, width = np.broadcast_arrays(key, np.asarray(value, np.int64), np.asarray(width, np.int64))
    return Fields(key.ravel(), value.ravel(), width.ravel())


def bit_length(x: NDArray[Any]) -> NDArray[np.int64]:
    """Bits needed for each element of ``x`` (0 for values below 1)."""
    exponents: NDArray[np.int64] = np.frexp(np.maximum(x, 0).astype(np.float64))[1].astype(np.int64)
    return exponents


def split_costs(codes: Codes) -> NDArray[np.int64]:
    """Bits that each block (a row of ``codes``) needs without its header, by split: int64 [len(SPLITS), rows]."""
    largest = np.maximum(codes.max(axis=1), 0)
    costs = []
    for zero_bitmap, a, selectors in SPLITS:
        threshold, cost, rest = 0, np.zeros(len(codes), np.int64), (codes >= 0).sum(axis=1)
        for width in [0] * zero_bitmap + [a] * selectors:
            threshold += 1 << width
            larger = (codes >= threshold).sum(axis=1)
            cost += rest + (rest - larger) * width
            rest = larger
        costs.append(cost + rest * bit_length(largest - threshold))
    return np.stack(costs)


def block_fields(codes: Codes, rows: NDArray[np.int64]) -> list[Fields]:
    """Fields of blocks of codes: int32 [len(rows), 64], ``ABSENT`` where a block has no such position."""
    split = split_costs(codes).argmin(axis=0)
    zero_bitmap, a, selectors = (np.array(SPLITS, np.int64)[split, i][:, None] for i in range(3))
    last = zero_bitmap + (selectors << a)
    b = bit_length(codes.max(axis=1, keepdims=True) - last)
    at, present = np.arange(BLOCK), codes >= 0
    out = [_fields(rows, 0, 0, split * 16 + b[:, 0], 8)]
    out.append(_fields(rows[:, None], 1, at, codes > 0, present * zero_bitmap))
    for level in range(3):
        start = zero_bitmap + (level << a)
        tested = present & (codes >= start) & (level < selectors)
        out.append(_fields(rows[:, None], 2 + level, at, codes >= start + (1 << a), tested))
    small = present & (codes >= zero_bitmap) & (codes < last)
    out.append(_fields(rows[:, None], 5, at, (codes - zero_bitmap) & ((1 << a) - 1), small * a))
    out.append(_fields(rows[:, None], 6, at, codes - last, (present & (codes >= last)) * b))
    return out


def mask_fields(nonzero: Codes, rows: NDArray[np.int64]) -> list[Fields]:
    """Fields of rows of a zero mask: int32 [len(rows), 64] of 1 (not zero), 0 (zero) and ``ABSENT``."""
    present = nonzero >= 0
    all_zero = ~(nonzero > 0).any(axis=1)
    none_zero = ~(nonzero == 0).any(axis=1)
    mode = np.where(none_zero, MASK_NO_ZEROS, np.where(all_zero, MASK_ALL_ZEROS, MASK_MIXED))
    bits = _fields(rows[:, None], 1, np.arange(BLOCK), nonzero, present & (mode == MASK_MIXED)[:, None])
    return [_fields(rows, 0, 0, mode, 2), bits]


def write(fields: list[Fields]) -> bytes:
    """The stream of ``fields`` in order of their keys, least significant bit first, padded with zero bits."""
    if not fields:
        return b""
    key, value, width = (np.concatenate(part) for part in zip(*fields, strict=True))
    key, value, width = (part[width > 0] for part in (key, value, width))
    order = np.argsort(key)
    value, width = value[order], width[order]
    start = np.cumsum(width) - width
    bits = np.zeros(int(width.sum()), np.uint8)
    for i in range(int(width.max(initial=0))):
        wide = width > i
        bits[start[wide] + i] = (value[wide] >> i) & 1
    return np.packbits(bits, bitorder="little").tobytes()


class Reader:
    """Reads a stream written by :func:`write`; raises `FrameError` where it ends early or is not padded with zeros."""

    def __init__(self, body: bytes) -> None:
        self._bits = np.unpackbits(np.frombuffer(body, np.uint8), bitorder="little")
        self._at = 0

    @property
    def place(self) -> int:
        """Bits that were read."""
        return self._at

    def bits(self, count: int) -> NDArray[np.uint8]:
        """The next ``count`` bits."""
        self._at += count
        if self._at > len(self._bits):
            raise TruncatedFrame("the tile body ends inside a block")
        return self._bits[self._at - count : self._at]

    def values(self, count: int, width: int) -> NDArray[np.int64]:
        """The next ``count`` values of ``width`` bits each."""
        return self.bits(count * width).reshape(count, width) @ (1 << np.arange(width))

    def block(self, positions: int) -> NDArray[np.int64]:
        """The codes of one block."""
        header = int(self.values(1, 8)[0])
        (zero_bitmap, a, selectors), b = SPLITS[header >> 4], header & 15
        if b > MAX_CODE_BITS:
            raise CorruptFrame("a block has a reserved width")
        codes = np.zeros(positions, np.int64)
        rest = np.arange(positions)
        if zero_bitmap:
            rest = rest[self.bits(positions).astype(bool)]
            codes[rest] = 1
        small = np.zeros(positions, bool)
        small[rest] = True
        for _ in range(selectors):
            rest = rest[self.bits(len(rest)).astype(bool)]
            codes[rest] += 1 << a
        small[rest] = False
        codes[small] += self.values(int(small.sum()), a)
        codes[rest] += self.values(len(rest), b)
        return codes

    def mask(self, positions: int) -> NDArray[np.bool_]:
        """One row of a zero mask: where values are not zero."""
        mode = int(self.values(1, 2)[0])
        if mode == MASK_MIXED:
            return self.bits(positions).astype(bool)
        if mode > MASK_ALL_ZEROS:
            raise CorruptFrame("a zero mask has the reserved mode 3")
        return np.full(positions, mode == MASK_NO_ZEROS)

    def finish(self) -> None:
        """Check that only the padding of the last byte is left, and that it is zero."""
        rest = self._bits[self._at :]
        if len(rest) >= 8 or rest.any():
            raise CorruptFrame("the tile body is longer than its blocks, or its padding bits are not zero")
