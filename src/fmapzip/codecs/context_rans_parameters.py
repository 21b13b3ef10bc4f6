"""The parameters of `context-rans` as bytes (docs/format/context-rans.md)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from fmapzip.codecs.context_rans_head_parameters import SPREAD_STEPS, HeadParameters
from fmapzip.codecs.context_rans_reference_parameters import ReferenceParameters
from fmapzip.codecs.varint import varint
from fmapzip.zero_point import SIGNED, UNSIGNED

TOKENS = 16
TOKEN_BITS = 8
MAX_RAW_BITS = 7
MAX_LOG_FREQUENCY = 64
ZERO_BITS = 12
# 4096 / (1 + exp(0.22 (31.5 - k))) rounded
_LOW_ZERO_PROBABILITIES = (
    *(4, 5, 6, 8, 10, 12, 15, 19, 23, 29, 36, 45, 55, 69, 85, 106, 131, 162, 200, 246, 302, 370, 451, 547, 660, 791),
    *(941, 1110, 1296, 1499, 1713, 1935),
)
ZERO_PROBABILITIES = (*_LOW_ZERO_PROBABILITIES, *((1 << ZERO_BITS) - p for p in reversed(_LOW_ZERO_PROBABILITIES)))
CONTEXT_STEPS = 64  # of a mean or a spread
OFFSET_UNIT = 32
WEIGHT_ONE = 64
GROUP = 4  # channels of a span come in these, where channels predict channels
RANK_UNIT = 16
MAX_SPANS = 64
MAX_WIDTH = 255 * GROUP
ZERO_NUMBERS = 128  # predicted zero classes, from 32 below the first

_NEIGHBOURS, _SIGNED, _OFFSETS, _PREDICTED, _REQUANTIZED, _POINTS, _ZERO_POINT = 1, 2, 4, 8, 16, 32, 64
_MORE = 128  # with offsets weights of channels, with a prediction a head, and then _OFFSETS: reference maps
_RICE_ESCAPE = 15

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class PredictionParameters:
    """Channels predict channels: the numbers of docs/format/context-rans.md, by the names that it gives them.

    `own` is [C, 7], `gather` and `spread` are [C, rank], and the arrays between them [C].
    """

    width: int
    gather_shift: int
    spread_shift: int
    origin: int
    first_activity: int
    distance_weights: tuple[int, ...]
    distance_offset: int
    own: Ints
    offsets: Ints
    shifts: Ints
    spread_bias: Ints
    zero_bias: Ints
    zero_of_mean: Ints
    gather: Ints
    spread: Ints
    # Without a head:
    zero_of_present: tuple[int, ...] = (0, 0, 0, 0)
    zero_of_fold: int = 0
    spread_of_log: int = 0
    spread_of_mean: int = 0
    spread_of_activity: int = 0
    zero_of_log: int = 0
    zero_of_activity: int = 0
    fold_origin: int = 0

    def fields(self, head: HeadParameters | None) -> bytes:
        """What comes before the arrays."""
        out = bytes([self.width // GROUP, self.gather.shape[1] // RANK_UNIT, self.gather_shift, self.spread_shift])
        out += bytes([self.origin, self.first_activity])
        if head is not None:
            out += struct.pack("<6bh", *self.distance_weights, self.distance_offset)
            return out + bytes([head.unit_shift, *head.output_shifts])
        out += struct.pack("<11b", *self.distance_weights, *self.zero_of_present, self.zero_of_fold)
        of_spread = (self.spread_of_log, self.spread_of_mean, self.spread_of_activity)
        of_zero = (self.zero_of_log, self.zero_of_activity)
        return out + struct.pack("<7h", self.distance_offset, *of_spread, *of_zero, self.fold_origin)

    def arrays(self) -> tuple[Ints, ...]:
        """The arrays, in order."""
        of_channels = (self.offsets, self.shifts, self.spread_bias, self.zero_bias, self.zero_of_mean)
        return self.own, *of_channels, self.gather, self.spread


@dataclass(frozen=True)
class ChannelParameters:
    """What channels have of their own, beside offsets.

    Attributes
    ----------
    weights
        Of the mean, [C, 4], in 1/64.
    spread_biases
        In units of 32/64, [C].
    zero_biases
        Added to the zero class of the cell, [C].
    """

    weights: Ints
    spread_biases: Ints
    zero_biases: Ints


@dataclass(frozen=True)
class ContextParameters:
    """Everything a decoder of `context-rans` needs besides the frame's header.

    Attributes
    ----------
    below
        How many of the 256 values are negative.
    step, points
        Re-quantization: reconstruction points of the magnitudes 1, 2, ..., and those of the negative values after
        them; empty for step 1, and where the points are the middles of their intervals.
    weights, spread_weights
        Of W, N, NW, NE and of |W-N|, |W-NW|, |N-NW|, |N-NE|, in 1/64; None without neighbours.
    offset, channel_offsets
        Of the mean, in 1/64, and what each channel adds to it in units of 32/64.
    of_channels
        What channels have besides, where they have offsets.
    thresholds, spread_thresholds
        Ascending; how many of them a mean or a spread reaches is its level.
    table_of, zero_class_of
        Of each cell (level times spread levels + spread level), or of each channel without neighbours.
    raw_bits
        [tables, 16]: a token stands for 2^n consecutive bytes, the first of them for those from 1 on.
    log_frequencies
        [tables, 16], in eighths of an octave.
    """

    below: int
    table_of: Ints
    zero_class_of: Ints
    raw_bits: Ints
    log_frequencies: Ints
    step: Fraction = Fraction(1)
    points: tuple[int, ...] = ()
    weights: tuple[int, ...] | None = None
    spread_weights: tuple[int, ...] = (0, 0, 0, 0)
    offset: int = 0
    channel_offsets: Ints | None = None
    of_channels: ChannelParameters | None = None
    thresholds: tuple[int, ...] = ()
    spread_thresholds: tuple[int, ...] = ()
    prediction: PredictionParameters | None = None
    head: HeadParameters | None = None
    references: ReferenceParameters | None = None

    def to_bytes(self) -> bytes:
        """The bytes that the core reads."""
        zero_pointed = self.below not in (UNSIGNED, SIGNED)
        flags = _SIGNED * (self.below == SIGNED) + _ZERO_POINT * zero_pointed
        flags += _REQUANTIZED * bool(self.step != 1) + _POINTS * bool(self.points)
        flags += _NEIGHBOURS * (self.weights is not None)
        flags += _OFFSETS * (self.channel_offsets is not None or self.references is not None)
        flags += _MORE * (self.of_channels is not None or self.head is not None)
        flags += _PREDICTED * (self.prediction is not None)
        out = bytearray([flags, len(self.log_frequencies) - 1])
        if self.prediction is not None:
            out += varint(len(self.prediction.own))
        elif self.weights is None:
            out += varint(len(self.table_of))
        elif self.channel_offsets is not None:
            out += varint(len(self.channel_offsets))
        if zero_pointed:
            out.append(self.below)
        if self.step != 1:
            out += varint(self.step.numerator) + varint(self.step.denominator) + bytes(self.points)
        if self.weights is not None:
            out += struct.pack("<4b4bh", *self.weights, *self.spread_weights, self.offset)
        if self.prediction is not None:
            out += self.prediction.fields(self.head)
        if self.references is not None:
            out += self.references.fields()
        if self.head is None and (self.weights is not None or self.prediction is not None):
            out += bytes([len(self.thresholds) + 1, len(self.spread_thresholds) + 1])
            out += bytes(self.thresholds) + bytes(self.spread_thresholds)
        return bytes(out) + self._arrays()

    def _arrays(self) -> bytes:
        bits = _BitWriter()
        for numbers in (self.raw_bits, self.log_frequencies):
            bits.rice_array(np.diff(numbers, axis=0, prepend=0).reshape(-1))
        if self.head is not None:
            pass  # its cells come last
        elif self.weights is None and self.prediction is None:
            for table, zero_class in zip(self.table_of, self.zero_class_of, strict=True):
                bits.put(int(table) | int(zero_class) << 6, 12)
        else:
            columns = len(self.spread_thresholds) + 1
            bits.rice_array(_cell_residuals(self.table_of, columns))
            bits.rice_array(_cell_residuals(self.zero_class_of, columns))
        if self.channel_offsets is not None:
            bits.rice_array(self.channel_offsets)
        if self.of_channels is not None:
            own = self.of_channels
            for array in (own.weights - np.array(self.weights), own.spread_biases, own.zero_biases):
                bits.rice_array(array.reshape(-1))
        if self.prediction is not None:
            for array in self.prediction.arrays():
                bits.rice_array(array.reshape(-1))
        if self.head is not None:
            for array in self.head.arrays():
                bits.rice_array(array.reshape(-1))
            bits.rice_array(_cell_residuals(self.head.table_of, SPREAD_STEPS))
        if self.references is not None:
            for array in self.references.arrays():
                bits.rice_array(array.reshape(-1))
        return bits.to_bytes()


def _cell_residuals(cells: Ints, columns: int) -> Ints:
    """Each cell against the one before it in its row; the first of a row against the one above."""
    grid = cells.reshape(-1, columns)
    predicted = np.zeros_like(grid)
    predicted[:, 1:] = grid[:, :-1]
    predicted[1:, 0] = grid[:-1, 0]
    return (grid - predicted).reshape(-1)


def level_of(parameters: bytes) -> str:
    """The level that parameters for a plan are of: ``max``, ``ultra``, or ``default`` for all others and for none."""
    flags = parameters[0] if parameters else 0
    if not flags & _PREDICTED:
        return "default"
    return "ultra" if flags & _MORE else "max"


class _BitWriter:
    """Bits, least significant first."""

    def __init__(self) -> None:
        self._parts: list[NDArray[np.uint8]] = []

    def put(self, value: int, count: int) -> None:
        self._parts.append(np.array([value >> i & 1 for i in range(count)], np.uint8))

    def rice_array(self, values: Ints) -> None:
        """A 4-bit Rice parameter, the cheapest, and the codes."""
        unsigned = np.where(values < 0, -2 * values - 1, 2 * values)
        k = min(range(15), key=lambda k: int(_rice_lengths(unsigned, k).sum()))
        self.put(k, 4)
        for u in unsigned.tolist():
            quotient = u >> k
            if quotient >= _RICE_ESCAPE:
                self.put((1 << _RICE_ESCAPE) - 1 | u << _RICE_ESCAPE, _RICE_ESCAPE + 16)
            else:
                self.put((1 << quotient) - 1 | (u & (1 << k) - 1) << (quotient + 1), quotient + 1 + k)

    def to_bytes(self) -> bytes:
        bits = np.concatenate(self._parts) if self._parts else np.zeros(0, np.uint8)
        return np.packbits(bits, bitorder="little").tobytes()


def _rice_lengths(unsigned: Ints, k: int) -> Ints:
    quotients = unsigned >> k
    return np.where(quotients >= _RICE_ESCAPE, _RICE_ESCAPE + 16, quotients + 1 + k)
