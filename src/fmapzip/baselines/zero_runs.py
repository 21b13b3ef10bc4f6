"""Zero run-length coding: Eyeriss's run/level words, and prefix codes with short bursts."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fmapzip.baselines.base import Baseline, IntegerMap, Parts, Shape, as_bytes, choose, from_bytes
from fmapzip.baselines.bits import at, pack, pack_fixed, spread, unpack_fixed, windows

PAIRS = 3
_RUN_BITS = 5


def run_level_pairs(values: NDArray[np.uint8], max_run: int) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Cut a sequence into pairs (zeros, the value after them); a value is zero where a run exceeds `max_run`.

    Zeros at the end become pairs too, whose level is the last of their zeros.
    """
    nonzero = np.flatnonzero(values)
    ends = np.append(nonzero, values.size - 1) if values.size and values[-1] == 0 else nonzero
    gaps = np.diff(ends, prepend=-1) - 1
    full = gaps // (max_run + 1)
    counts = full + 1
    last = np.cumsum(counts) - 1
    runs = np.full(int(counts.sum()), max_run, np.int64)
    levels = np.zeros(runs.size, np.uint8)
    runs[last] = gaps - full * (max_run + 1)
    levels[last] = values[ends]
    return runs, levels


def expand_pairs(runs: NDArray[np.int64], levels: NDArray[Any], size: int) -> NDArray[np.uint8]:
    """The sequence of `size` values that the pairs stand for; pairs after its end must be padding."""
    places = np.cumsum(runs + 1) - 1
    inside = places < size
    if (inside.sum() and places[inside][-1] != size - 1 and inside.all()) or levels[~inside].any():
        raise ValueError("the pairs do not fill the map")
    values = np.zeros(size, np.uint8)
    values[places[inside]] = levels[inside]
    return values


@dataclass(frozen=True, repr=False)
class EyerissRlc(Baseline):
    """Run-length compression of Eyeriss: 5-bit runs of zeros and levels, three pairs and a final bit in a word.

    Published for 16-bit values: three pairs of 5 + 16 bits and one bit that marks the last word make 64 bits. For
    8-bit values the word keeps its three pairs and its final bit, and is 3 * (5 + 8) + 1 = 40 bits long.
    """

    id: ClassVar[str] = "eyeriss-rlc"
    source: ClassVar[str] = "Chen, Krishna, Emer, Sze: Eyeriss, JSSC 52(1), 2017, section V-B"

    level_bits: int = 8

    def __post_init__(self) -> None:
        choose("level_bits", self.level_bits, (8, 16))

    @property
    def word_bits(self) -> int:
        """Bits of a word."""
        return PAIRS * (_RUN_BITS + self.level_bits) + 1

    def encode(self, q: IntegerMap, side: bytes = b"") -> bytes:
        """Words, most significant bit first: the first pair's run and level lead, the final bit is last."""
        runs, levels = run_level_pairs(as_bytes(q), (1 << _RUN_BITS) - 1)
        pad = -runs.size % PAIRS
        pairs = (np.pad(runs, (0, pad)) << self.level_bits) | np.pad(levels, (0, pad))
        words = pairs.size // PAIRS
        codes = np.zeros((words, PAIRS + 1), np.int64)
        codes[:, :PAIRS] = pairs.reshape(words, PAIRS)
        codes[-1, PAIRS] = 1
        lengths = np.tile([_RUN_BITS + self.level_bits] * PAIRS + [1], words)
        return pack(codes.reshape(-1), lengths)

    def decode(self, data: bytes, shape: Shape, dtype: np.dtype[Any], side: bytes = b"") -> IntegerMap:
        """The map."""
        words, rest = divmod(len(data) * 8, self.word_bits)
        starts = np.arange(words, dtype=np.int64) * self.word_bits
        bits = spread(data)
        final = at(bits, starts + self.word_bits - 1, 1)
        if rest or not words or final[:-1].any() or not final[-1]:
            raise ValueError("not whole words of which only the last has its final bit set")
        width = _RUN_BITS + self.level_bits
        pairs = at(bits, (starts[:, None] + width * np.arange(PAIRS)).reshape(-1), width)
        runs, levels = pairs >> self.level_bits, pairs & ((1 << self.level_bits) - 1)
        return from_bytes(expand_pairs(runs, levels, prod(shape)), shape, dtype)


@dataclass(frozen=True, repr=False)
class ZeroBursts(Baseline):
    """A zero bit and four bits for a burst of 1 to 16 zeros, or a one bit and the eight bits of a value.

    The zero run-length code that EBPC is compared with in its paper.
    """

    id: ClassVar[str] = "zero-bursts"
    source: ClassVar[str] = "Cavigelli, Rutishauser, Benini: EBPC, JETCAS 9(4), 2019 (zero-RLE baseline)"

    burst_bits: int = 4

    def __post_init__(self) -> None:
        choose("burst_bits", self.burst_bits, (1, 2, 3, 4, 5, 6, 7))

    def encode(self, q: IntegerMap, side: bytes = b"") -> bytes:
        """One bit string."""
        codes, lengths = burst_codes(as_bytes(q), self.burst_bits)
        literal = lengths == 1
        values = as_bytes(q).astype(np.int64)
        codes[literal] = (1 << 8) | values[values != 0]
        lengths[literal] = 9
        return pack(codes, lengths)

    def decode(self, data: bytes, shape: Shape, dtype: np.dtype[Any], side: bytes = b"") -> IntegerMap:
        """The map."""
        size = prod(shape)
        values = np.zeros(size, np.uint8)
        places, positions = parse_bursts(data, size, self.burst_bits, 9)
        values[places] = at(spread(data), positions + 1, 8)
        return from_bytes(values, shape, dtype)


def burst_codes(values: NDArray[np.uint8], burst_bits: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Codes and lengths of the zero/nonzero stream: "1" for a nonzero value, "0" and length - 1 for a burst."""
    longest = 1 << burst_bits
    nonzero = np.flatnonzero(values)
    gaps = np.diff(nonzero, prepend=-1, append=values.size) - 1
    full, rest = np.divmod(gaps, longest)
    counts = full + (rest > 0) + 1
    counts[-1] -= 1  # no value follows the last gap
    codes = np.full(int(counts.sum()), longest - 1, np.int64)
    lengths = np.full(codes.size, 1 + burst_bits, np.int64)
    ends = np.cumsum(counts)
    literal = ends[:-1] - 1
    codes[literal], lengths[literal] = 1, 1
    partial = ends - 2
    partial[-1] += 1
    has_rest = rest > 0
    codes[partial[has_rest]] = rest[has_rest] - 1
    return codes, lengths


def parse_bursts(
    data: bytes, size: int, burst_bits: int, literal_bits: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places of the nonzero values among `size`, and the bit positions of their codes."""
    first = np.unpackbits(np.frombuffer(data, np.uint8))
    advance = np.where(first, literal_bits, 1 + burst_bits).astype(np.uint8).tobytes()
    zeros = ((windows(data) >> (15 - burst_bits)) & ((1 << burst_bits) - 1)) + 1
    covers = np.where(first, 1, zeros).astype(np.uint8).tobytes()
    positions, place, position = [], 0, 0
    try:
        while place < size:
            positions.append(position)
            place += covers[position]
            position += advance[position]
    except IndexError:
        raise ValueError("the codes run past the end of the data") from None
    if place != size or (position + 7) // 8 != len(data):
        raise ValueError("the codes do not fill the map")
    found = np.array(positions, np.int64)
    steps = np.frombuffer(covers, np.uint8)[found]
    literal = first[found] == 1
    return (np.cumsum(steps) - 1)[literal], found[literal]


@dataclass(frozen=True, repr=False)
class Csc(Baseline):
    """Compressed sparse column: 4-bit counts of the zeros before each value, and the values.

    More than 15 zeros in a row take a stored zero with the count 15. With ``columns="map"`` the whole map is one
    column; with "channel" each channel is one, and a 32-bit pointer a channel says where it begins.
    """

    id: ClassVar[str] = "csc"
    source: ClassVar[str] = "Han et al.: EIE, ISCA 2016, section III; Chen et al.: Eyeriss v2, JETCAS 9(2), 2019"

    columns: str = "map"

    def __post_init__(self) -> None:
        choose("columns", self.columns, ("map", "channel"))

    def _columns(self, shape: Shape) -> int:
        return shape[0] if self.columns == "channel" else 1

    def encode(self, q: IntegerMap, side: bytes = b"") -> bytes:
        """Pointers (one past each column's last entry), then counts, then values."""
        columns = as_bytes(q).reshape(self._columns(q.shape), -1)
        found = [_column_entries(column) for column in columns]
        pointers = np.cumsum([runs.size for runs, _ in found]).astype("<u4")
        runs = np.concatenate([runs for runs, _ in found])
        levels = np.concatenate([levels for _, levels in found])
        return pointers.tobytes() + pack_fixed(runs, 4) + levels.tobytes()

    def decode(self, data: bytes, shape: Shape, dtype: np.dtype[Any], side: bytes = b"") -> IntegerMap:
        """The map."""
        columns = self._columns(shape)
        pointers = np.frombuffer(data[: 4 * columns], "<u4").astype(np.int64)
        entries = int(pointers[-1])
        middle = 4 * columns + (entries + 1) // 2
        runs = unpack_fixed(data[4 * columns : middle], 4, entries)
        levels = np.frombuffer(data[middle:], np.uint8)
        if levels.size != entries:
            raise ValueError("counts and values differ in number")
        length = prod(shape) // columns
        values = np.zeros((columns, length), np.uint8)
        for column, begin, end in zip(values, np.append(0, pointers[:-1]), pointers, strict=True):
            column[np.cumsum(runs[begin:end] + 1) - 1] = levels[begin:end]
        return from_bytes(values.reshape(-1), shape, dtype)

    def parts(self, data: bytes, shape: Shape) -> Parts:
        """Values, counts ("masks") and pointers ("tables")."""
        tables = 4 * self._columns(shape)
        entries = int(np.frombuffer(data[tables - 4 : tables], "<u4")[0])
        return {"payload": entries, "masks": (entries + 1) // 2, "tables": tables}


def _column_entries(column: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    nonzero = np.flatnonzero(column)
    return run_level_pairs(column[: nonzero[-1] + 1] if nonzero.size else column[:0], 15)
