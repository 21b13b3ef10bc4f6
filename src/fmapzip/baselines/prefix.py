"""Canonical prefix codes: optimal lengths of at most 15 bits, their table in bytes, coding and decoding."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmapzip.baselines.bits import pack, pack_fixed, unpack_fixed, walk, windows

LIMIT = 15
"""Bits of the longest code."""


def code_lengths(counts: NDArray[Any]) -> NDArray[np.int64]:
    """Bits of each symbol in the best prefix code of at most `LIMIT` bits (Larmore, Hirschberg: package-merge).

    Parameters
    ----------
    counts : integers [N], N <= 2**LIMIT
        Zero for symbols that do not occur; those get the length 0. A symbol that is alone gets one bit.
    """
    symbols = np.flatnonzero(counts)
    lengths = np.zeros(len(counts), np.int64)
    if symbols.size <= 1:
        lengths[symbols] = 1
        return lengths
    order = symbols[np.argsort(counts[symbols], kind="stable")]
    weights = [int(w) for w in counts[order]]
    # Each item is its weight and how often every symbol (in sorted order) is inside it.
    singles: list[tuple[int, tuple[int, ...]]] = [(w, (i,)) for i, w in enumerate(weights)]
    level = singles
    for _ in range(LIMIT - 1):
        packages = [(a[0] + b[0], a[1] + b[1]) for a, b in zip(level[::2], level[1::2], strict=False)]
        level = sorted(singles + packages, key=lambda item: item[0])
    for _, members in level[: 2 * len(order) - 2]:
        for i in members:
            lengths[order[i]] += 1
    return lengths


def canonical_codes(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """The code of each symbol: shorter codes are smaller, equal lengths in the order of the symbols."""
    codes = np.zeros(len(lengths), np.int64)
    code = previous = 0
    for symbol in np.lexsort((np.arange(len(lengths)), lengths)):
        length = int(lengths[symbol])
        if length:
            code <<= length - previous
            codes[symbol] = code
            code, previous = code + 1, length
    return codes


def write_table(lengths: NDArray[np.int64]) -> bytes:
    """One bit a symbol that says whether it occurs, then four bits of length for each that does."""
    return np.packbits(lengths > 0).tobytes() + pack_fixed(lengths[lengths > 0], 4)


def read_table(data: bytes, alphabet: int) -> tuple[NDArray[np.int64], int]:
    """Lengths from what `write_table` wrote, and the bytes it took."""
    bitmap = (alphabet + 7) // 8
    present = np.unpackbits(np.frombuffer(data[:bitmap], np.uint8))[:alphabet] == 1
    lengths = np.zeros(alphabet, np.int64)
    size = bitmap + (int(present.sum()) + 1) // 2
    lengths[present] = unpack_fixed(data[bitmap:size], 4, int(present.sum()))
    return lengths, size


def encode(symbols: NDArray[Any], lengths: NDArray[np.int64]) -> bytes:
    """The codes of the symbols, one after another."""
    return pack(canonical_codes(lengths)[symbols], lengths[symbols])


def decoding_tables(lengths: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Length and symbol of the code that leads each of the 65536 windows of 16 bits; length 0 where there is none."""
    table_lengths, table_symbols = np.zeros(1 << 16, np.uint8), np.zeros(1 << 16, np.int64)
    codes = canonical_codes(lengths)
    for symbol in np.flatnonzero(lengths):
        length = int(lengths[symbol])
        first = int(codes[symbol]) << (16 - length)
        table_lengths[first : first + (1 << (16 - length))] = length
        table_symbols[first : first + (1 << (16 - length))] = symbol
    return table_lengths, table_symbols


def decode(data: bytes, lengths: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The first `count` symbols; `ValueError` where the data does not hold them."""
    table_lengths, table_symbols = decoding_tables(lengths)
    window = windows(data)
    advance = table_lengths[window]
    positions = walk(advance.tobytes(), count)
    if count and not advance[positions].all():
        raise ValueError("bits that no code has")
    return table_symbols[window[positions]]
