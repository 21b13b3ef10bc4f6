"""Order-0 rANS of the values of one map, its table counted: what entropy coding without a model of context reaches."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fmapzip.baselines.base import Baseline, IntegerMap, Parts, Shape, as_bytes, from_bytes
from fmapzip.baselines.bits import pack_fixed, unpack_fixed

SCALE_BITS = 12
_LOW = 1 << 16  # states stay in [2**16, 2**32); 16 bits leave or enter at a time
_VALUES_PER_LANE, _MAX_LANES = 2048, 256
_FREQUENCY_BITS = SCALE_BITS


def lanes(size: int) -> int:
    """Interleaved coder states for a map of `size` values: 4 bytes each, one for every 2048 values."""
    return max(1, min(_MAX_LANES, size // _VALUES_PER_LANE))


def quantized_frequencies(counts: NDArray[Any], total: int = 1 << SCALE_BITS) -> NDArray[np.int64]:
    """Frequencies that sum to `total`, at least 1 for each symbol that occurs."""
    frequencies = np.maximum(np.rint(counts * (total / counts.sum())).astype(np.int64), counts > 0)
    while excess := int(frequencies.sum()) - total:
        # Take from (or give to) the symbols that lose (or gain) least, one step each.
        step = 1 if excess < 0 else -1
        usable = frequencies > (1 if excess > 0 else 0)
        gain = np.where(
            usable, counts * np.log2(np.maximum(frequencies + step, 1) / np.maximum(frequencies, 1)), -np.inf
        )
        best = np.argsort(-gain, kind="stable")[: min(abs(excess), int(usable.sum()))]
        frequencies[best[: max(1, len(best) // 4)]] += step
    return np.asarray(frequencies)


def encode(values: NDArray[np.uint8], frequencies: NDArray[np.int64]) -> bytes:
    """States (4 bytes a lane, little endian), then 16-bit words in the order in which a decoder reads them."""
    count = lanes(values.size)
    starts = np.cumsum(frequencies) - frequencies
    steps = -(-values.size // count)
    state = np.full(count, _LOW, np.uint64)
    words = []
    for step in range(steps - 1, -1, -1):
        symbols = values[step * count : (step + 1) * count]
        active = state[: symbols.size]
        frequency = frequencies[symbols].astype(np.uint64)
        full = active >= frequency << np.uint64(32 - SCALE_BITS)
        words.append((active[full] & np.uint64(0xFFFF)).astype("<u2"))
        active = np.where(full, active >> np.uint64(16), active)
        quotient, rest = np.divmod(active, frequency)
        state[: symbols.size] = (quotient << np.uint64(SCALE_BITS)) + rest + starts[symbols].astype(np.uint64)
    return state.astype("<u4").tobytes() + b"".join(part.tobytes() for part in reversed(words))


def decode(data: bytes, frequencies: NDArray[np.int64], size: int) -> NDArray[np.uint8]:
    """The values; `ValueError` where words are left over, missing, or the states do not end where they began."""
    count = lanes(size)
    starts = (np.cumsum(frequencies) - frequencies).astype(np.uint64)
    symbol_of = np.repeat(np.arange(256, dtype=np.uint8), frequencies)
    if symbol_of.size != 1 << SCALE_BITS or len(data) < 4 * count:
        raise ValueError("not a table of frequencies, or no room for the states")
    state = np.frombuffer(data[: 4 * count], "<u4").astype(np.uint64)
    words = np.frombuffer(data[4 * count :], "<u2").astype(np.uint64)
    freq = frequencies.astype(np.uint64)
    values = np.empty(size, np.uint8)
    read, mask = 0, np.uint64((1 << SCALE_BITS) - 1)
    for step in range(-(-size // count)):
        part = values[step * count : (step + 1) * count]
        active = state[: part.size]
        slot = active & mask
        symbols = symbol_of[slot]
        part[:] = symbols
        active = freq[symbols] * (active >> np.uint64(SCALE_BITS)) + slot - starts[symbols]
        hungry = np.flatnonzero(active < _LOW)
        taken = words[read : read + hungry.size]
        if taken.size != hungry.size:
            raise ValueError("the words end early")
        active[hungry] = (active[hungry] << np.uint64(16)) | taken
        read += hungry.size
        state[: part.size] = active
    if read != words.size or (state != _LOW).any():
        raise ValueError("the coder does not end where it began")
    return values


@dataclass(frozen=True, repr=False)
class OrderZeroRans(Baseline):
    """Order-0 rANS with 12-bit frequencies fitted to each map; the table is a bitmap and 12 bits a symbol."""

    id: ClassVar[str] = "rans0"
    source: ClassVar[str] = (
        "Duda: Asymmetric numeral systems, arXiv:1311.2540, 2013; interleaving: Giesen, arXiv:1402.3392"
    )

    def encode(self, q: IntegerMap, side: bytes = b"") -> bytes:
        """Table, states, words."""
        values = as_bytes(q)
        frequencies = quantized_frequencies(np.bincount(values, minlength=256))
        present = frequencies > 0
        # A frequency of 4096 (a constant map) is written as 0.
        table = pack_fixed(frequencies[present] & ((1 << _FREQUENCY_BITS) - 1), _FREQUENCY_BITS)
        return np.packbits(present).tobytes() + table + encode(values, frequencies)

    def decode(self, data: bytes, shape: Shape, dtype: np.dtype[Any], side: bytes = b"") -> IntegerMap:
        """The map."""
        present = np.unpackbits(np.frombuffer(data[:32], np.uint8)) == 1
        size = _table_bytes(data)
        frequencies = np.zeros(256, np.int64)
        frequencies[present] = unpack_fixed(data[32:size], _FREQUENCY_BITS, int(present.sum()))
        frequencies[present & (frequencies == 0)] = 1 << SCALE_BITS
        return from_bytes(decode(data[size:], frequencies, prod(shape)), shape, dtype)

    def parts(self, data: bytes, shape: Shape) -> Parts:
        """Words and states, and the table."""
        size = _table_bytes(data)
        return {"payload": len(data) - size, "tables": size}


def _table_bytes(data: bytes) -> int:
    symbols = int(np.unpackbits(np.frombuffer(data[:32], np.uint8)).sum())
    return 32 + (symbols * _FREQUENCY_BITS + 7) // 8
