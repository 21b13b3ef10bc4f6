"""Bit strings in NumPy: codes of varying length packed most significant bit first, and found again."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_CODE = 32
"""Bits that one code may have."""


def pack(codes: NDArray[Any], lengths: NDArray[Any]) -> bytes:
    """Concatenate codes, each most significant bit first, zero-padded to a whole byte.

    Parameters
    ----------
    codes : unsigned integers [N]
        Each below ``2**length``.
    lengths : integers [N]
        Bits of each, 0 to `MAX_CODE`.

    Examples
    --------
    >>> pack(np.array([0b1, 0b01, 0b11111]), np.array([1, 2, 5])).hex()
    'bf'
    """
    ends = np.cumsum(lengths, dtype=np.int64)
    total = int(ends[-1]) if ends.size else 0
    starts = ends - lengths
    word = starts >> 5
    shift = (64 - (starts & 31) - lengths).astype(np.uint64)
    placed = codes.astype(np.uint64) << shift
    count = (total >> 5) + 2
    # The bits of different codes never overlap: their sum is their union, and below 2**32 it is exact in float64.
    words = np.bincount(word, (placed >> np.uint64(32)).astype(np.float64), count)
    words += np.bincount(word + 1, (placed & np.uint64(0xFFFFFFFF)).astype(np.float64), count)
    return words.astype(np.uint32).astype(">u4").tobytes()[: (total + 7) // 8]


def pack_fixed(codes: NDArray[Any], width: int) -> bytes:
    """Concatenate codes of `width` bits each."""
    return pack(codes, np.full(codes.size, width, np.int64))


def unpack_fixed(data: bytes, width: int, count: int) -> NDArray[np.int64]:
    """The first `count` codes of `width` bits each; `ValueError` where the data is too short."""
    if len(data) * 8 < count * width:
        raise ValueError("the data ends early")
    return at(spread(data), np.arange(count, dtype=np.int64) * width, width)


def spread(data: bytes) -> NDArray[np.int64]:
    """For each byte of the data, it and the next four as one integer (zeros after the end)."""
    padded = np.frombuffer(data + bytes(5), np.uint8)
    out = np.zeros(len(data) + 1, np.int64)
    for i in range(5):
        out = (out << 8) | padded[i : i + len(data) + 1]
    return out


def at(spread_data: NDArray[np.int64], positions: NDArray[np.int64], width: int) -> NDArray[np.int64]:
    """The `width` bits (up to `MAX_CODE`) that begin at each bit position."""
    byte, offset = positions >> 3, positions & 7
    return np.asarray((spread_data[byte] >> (40 - width - offset)) & ((1 << width) - 1))


def windows(data: bytes) -> NDArray[np.uint16]:
    """The 16 bits that begin at every bit of the data (zeros after its end)."""
    padded = np.frombuffer(data + bytes(2), np.uint8).astype(np.uint32)
    three = (padded[:-2] << 16) | (padded[1:-1] << 8) | padded[2:]
    out = np.empty((len(data), 8), np.uint16)
    for offset in range(8):
        out[:, offset] = (three >> (8 - offset)) & 0xFFFF
    return out.reshape(-1)


def walk(advance: bytes, count: int) -> NDArray[np.int64]:
    """Bit positions of `count` codes in a row.

    Parameters
    ----------
    advance
        For each bit position, the length of the code that would begin there.
    count
        How many codes there are.

    Raises
    ------
    ValueError
        The codes run past the end.
    """
    positions = [0] * count
    position = 0
    try:
        for i in range(count):
            positions[i] = position
            position += advance[position]
    except IndexError:
        raise ValueError("the codes run past the end of the data") from None
    if position > len(advance):
        raise ValueError("the last code runs past the end of the data")
    return np.array(positions, np.int64)
