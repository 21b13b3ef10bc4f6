"""Arithmetic coding of Witten, Neal and Cleary (CACM 30(6), 1987) with 16-bit bounds, many streams side by side."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fmapzip.baselines.bits import at, pack, spread

TOTAL_BITS = 10
TOTAL = 1 << TOTAL_BITS
"""What the shares of all symbols sum to."""
_TOP, _LOWER, _WHOLE = 0x8000, 0x7FFF, 0xFFFF
_MOST_PENDING = 31  # bits of one piece of a stream, without the first

_Integers = NDArray[np.int64]
_BIT_LENGTH: _Integers = np.array([i.bit_length() for i in range(_WHOLE + 1)], np.int64)


def encode(symbols: _Integers, shares: _Integers, streams: int) -> list[bytes]:
    """The code of each stream; stream s holds the symbols s, s + streams, ...

    Parameters
    ----------
    symbols
        Below ``len(shares)``.
    shares
        Of each symbol, at least 1 where it occurs; they sum to `TOTAL`.
    streams
        How many there are.
    """
    ends = np.cumsum(shares)
    low, high = np.zeros(streams, np.int64), np.full(streams, _WHOLE, np.int64)
    pending = np.zeros(streams, np.int64)
    pieces: list[tuple[_Integers, _Integers]] = []
    for step in range(-(-symbols.size // streams)):
        part = symbols[step * streams : (step + 1) * streams]
        now = slice(0, part.size)
        low[now], high[now] = _narrowed(low[now], high[now], ends[part] - shares[part], ends[part])
        settled = 16 - _BIT_LENGTH[low ^ high]
        _write(pieces, low >> 15, pending, settled > 0)
        rest = np.maximum(settled - 1, 0)
        pieces.append(((low >> (16 - settled)) & ((1 << rest) - 1), rest))
        low, high = _shifted(low, high, settled)
        low, high, held = _spread_apart(low, high)
        pending += held
    pending += 1
    _write(pieces, (low >= _TOP // 2).astype(np.int64), pending, np.ones(streams, bool))
    codes, lengths = (np.stack(column, 1) for column in zip(*pieces, strict=True))
    return [pack(codes[i], lengths[i]) for i in range(streams)]


def decode(codes: list[bytes], shares: _Integers, size: int) -> _Integers:
    """The symbols of streams that `encode` wrote."""
    streams = len(codes)
    ends, symbol_of = np.cumsum(shares), np.repeat(np.arange(len(shares)), shares)
    if symbol_of.size != TOTAL:
        raise ValueError("not a table of shares")
    read = spread(b"".join(codes) + bytes(8))
    last = 8 * (len(read) - 1)
    lengths = np.array([len(code) for code in codes], np.int64)
    place = 8 * (np.cumsum(lengths) - lengths)
    low, high = np.zeros(streams, np.int64), np.full(streams, _WHOLE, np.int64)
    code, place = at(read, place, 16), place + 16
    symbols = np.empty(size, np.int64)
    for step in range(-(-size // streams)):
        part = symbols[step * streams : (step + 1) * streams]
        now = slice(0, part.size)
        width = high[now] - low[now] + 1
        part[:] = symbol_of[((code[now] - low[now] + 1) * TOTAL - 1) // width]
        low[now], high[now] = _narrowed(low[now], high[now], ends[part] - shares[part], ends[part])
        settled = 16 - _BIT_LENGTH[low ^ high]
        low, high = _shifted(low, high, settled)
        low, high, held = _spread_apart(low, high)
        wanted = settled + held
        following = at(read, np.minimum(place, last), 32) >> (32 - wanted)
        place += wanted
        code = ((code << settled) & _WHOLE) | (following >> held)
        code = (code & _TOP) | ((code << held) & _LOWER) | (following & ((1 << held) - 1))
    return symbols


def _narrowed(low: _Integers, high: _Integers, start: _Integers, end: _Integers) -> tuple[_Integers, _Integers]:
    """The bounds of a symbol within those of what came before."""
    width = high - low + 1
    return low + (width * start >> TOTAL_BITS), low + (width * end >> TOTAL_BITS) - 1


def _shifted(low: _Integers, high: _Integers, settled: _Integers) -> tuple[_Integers, _Integers]:
    """The bounds without the leading bits that they share."""
    return (low << settled) & _WHOLE, ((high << settled) | ((1 << settled) - 1)) & _WHOLE


def _spread_apart(low: _Integers, high: _Integers) -> tuple[_Integers, _Integers, _Integers]:
    """Bounds that begin 01.. and 10.. without their second bits, and how many of those there were."""
    held = 15 - _BIT_LENGTH[~(low & ~high) & _LOWER]
    return (low << held) & _LOWER, ((high << held) & _LOWER) | ((1 << held) - 1) | _TOP, held


def _write(
    pieces: list[tuple[_Integers, _Integers]], bit: _Integers, pending: _Integers, where: NDArray[np.bool_]
) -> None:
    """A bit, then as many opposite ones as are pending, which that settles."""
    first, opposite = where.astype(np.int64), 1 - bit
    while True:
        run = np.where(where, np.minimum(pending, _MOST_PENDING), 0)
        ones = (1 << run) - 1
        pieces.append(((first * bit << run) | (opposite * ones), first + run))
        pending -= run
        first = np.zeros_like(first)
        if not (where & (pending > 0)).any():
            return
