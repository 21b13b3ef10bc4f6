"""Reads the parameters of `context-rans`, from docs/format/context-rans.md."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fmapzip.errors import CorruptFrame, TruncatedFrame
from fmapzip.reference.fields import Reader

NEIGHBOURS, SIGNED, OFFSETS, PREDICTED, REQUANTIZED, POINTS, ZERO_POINT = 1, 2, 4, 8, 16, 32, 64
MORE = 128  # with offsets weights of channels, with a prediction a head
TOKENS = 16
RICE_ESCAPE = 15
MEAN_LIMIT = (1 << 20) - 1
UNITS, INPUTS, GIVEN_INPUTS, OUTPUTS = 32, 20, 22, 3
MEAN_STEPS, SPREAD_STEPS = 128, 16
OCTAVE = (64, 70, 76, 83, 91, 99, 108, 117)

Ints = NDArray[np.int64]


@dataclass
class Head:
    """The fields of a head, by their names in docs/format/context-rans.md."""

    unit_shift: int
    output_shifts: Ints
    west: Ints = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    north: Ints = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    traits: Ints = field(default_factory=lambda: np.zeros((0, 2), np.int64))
    units: Ints = field(default_factory=lambda: np.zeros((UNITS, INPUTS), np.int64))
    unit_bias: Ints = field(default_factory=lambda: np.zeros(UNITS, np.int64))
    of_units: Ints = field(default_factory=lambda: np.zeros((OUTPUTS, UNITS), np.int64))
    of_inputs: Ints = field(default_factory=lambda: np.zeros((OUTPUTS, INPUTS), np.int64))
    output_bias: Ints = field(default_factory=lambda: np.zeros(OUTPUTS, np.int64))
    table_of: Ints = field(default_factory=lambda: np.zeros(2048, np.int64))


@dataclass
class Reference:
    """What is heard of one reference map."""

    same_channel: bool
    wide: bool
    halved: bool
    signed: bool
    outside: int
    channels: int

    @property
    def inputs(self) -> int:
        """How many weights of a channel it has."""
        return (9 if self.wide else 1) * (1 if self.same_channel else self.channels)


@dataclass
class References:
    """The fields of reference maps, by their names in docs/format/context-rans.md."""

    maps: list[Reference]
    weights: Ints = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    shifts: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    biases: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    own: Ints = field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def inputs(self) -> int:
        """How many weights a channel has."""
        return sum(reference.inputs for reference in self.maps)


@dataclass
class Prediction:
    """The fields of a prediction, by their names in docs/format/context-rans.md."""

    width: int
    rank: int
    gather_shift: int
    spread_shift: int
    origin: int
    first_activity: int
    distance_weights: Ints
    distance_offset: int
    zero_of_present: Ints = field(default_factory=lambda: np.zeros(4, np.int64))
    zero_of_fold: int = 0
    spread_of_log: int = 0
    spread_of_mean: int = 0
    spread_of_activity: int = 0
    zero_of_log: int = 0
    zero_of_activity: int = 0
    fold_origin: int = 0
    head: Head | None = None
    references: References | None = None
    own: Ints = field(default_factory=lambda: np.zeros((0, 7), np.int64))
    offsets: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    shifts: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    spread_bias: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    zero_bias: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    zero_of_mean: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    gather: Ints = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    spread: Ints = field(default_factory=lambda: np.zeros((0, 0), np.int64))


@dataclass
class Parameters:
    """The fields of docs/format/context-rans.md; arrays that are indexed by a byte have 256 entries."""

    flags: int
    below: int = 0
    channels: int = 0
    index_of: Ints = field(default_factory=lambda: np.arange(256))
    value_of: Ints = field(default_factory=lambda: np.arange(256))
    weights: Ints = field(default_factory=lambda: np.zeros(4, np.int64))
    spread_weights: Ints = field(default_factory=lambda: np.zeros(4, np.int64))
    offset: int = 0
    offsets: Ints | None = None
    channel_weights: Ints | None = None
    spread_biases: Ints | int = 0
    zero_biases: Ints | int = 0
    levels: Ints = field(default_factory=lambda: np.zeros(64, np.int64))
    spread_levels: Ints = field(default_factory=lambda: np.zeros(64, np.int64))
    rows: int = 1
    columns: int = 1
    table_of: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    zero_class_of: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    raw_bits: Ints = field(default_factory=lambda: np.zeros((0, TOKENS), np.int64))
    frequencies: Ints = field(default_factory=lambda: np.zeros((0, TOKENS), np.int64))
    prediction: Prediction | None = None

    @property
    def neighbours(self) -> bool:
        """Whether contexts come from neighbours, not from the channel."""
        return bool(self.flags & NEIGHBOURS)


def read(data: bytes) -> Parameters:
    """The parameters of a frame or plan; `CorruptFrame` for what no encoder writes."""
    fields = Reader(data)
    flags, tables = fields.u8(), fields.u8() + 1
    has = flags.__and__
    headed = has(MORE) and has(PREDICTED)
    lone = (not has(NEIGHBOURS) and has(OFFSETS) and not headed) or (has(MORE) and not has(OFFSETS | PREDICTED))
    both = has(PREDICTED) and has(NEIGHBOURS)
    most = 256 if has(MORE) and has(PREDICTED) else 64
    if both or lone or (has(POINTS) and not has(REQUANTIZED)) or tables > most:
        raise CorruptFrame("forbidden flags or number of tables")
    if has(SIGNED) and has(ZERO_POINT):
        raise CorruptFrame("forbidden flags or number of tables")
    p = Parameters(flags, 128 if has(SIGNED) else 0)
    if not p.neighbours or has(OFFSETS):
        p.channels = fields.varint()
        if p.channels == 0:
            raise CorruptFrame("the number of channels is missing")
    if has(ZERO_POINT):
        p.below = fields.u8()
        if p.below in (0, 128):
            raise CorruptFrame("the range of values is that of a type")
    if has(REQUANTIZED):
        _read_requantizer(fields, p)
    if p.neighbours:
        _read_neighbours(fields, p)
    if has(PREDICTED):
        p.prediction = _read_prediction(fields, p.channels, headed=bool(has(MORE)))
        if headed and has(OFFSETS):
            p.prediction.references = _read_references(fields, p.channels)
    if p.neighbours or (p.prediction and not has(MORE)):
        _read_grid(fields, p)
    rest = data[fields.position :]
    rank = p.prediction.rank if p.prediction else 0
    inputs = p.prediction.references.inputs if p.prediction and p.prediction.references else 0
    if p.channels * max(1, (4 if has(MORE) else 2) * rank + inputs) > 8 * len(rest):
        raise TruncatedFrame("the parameters end early")
    _read_arrays(_Bits(rest), p, tables)
    return p


def step_index(magnitude: Ints, numerator: int, denominator: int) -> Ints:
    """Magnitude / step, rounded half to even."""
    down, rest = np.divmod(magnitude * denominator, numerator)
    up = (2 * rest > numerator) | ((2 * rest == numerator) & (down % 2 == 1))
    index: Ints = down + up
    return index


def _read_requantizer(fields: Reader, p: Parameters) -> None:
    numerator, denominator = fields.varint(), fields.varint()
    if denominator == 0 or numerator <= denominator or numerator > 65535:
        raise CorruptFrame("the step is not a fraction above 1")
    p.index_of, p.value_of = np.zeros(256, np.int64), np.zeros(256, np.int64)
    for sign, most in ((1, 255 - p.below), (-1, p.below)):
        magnitudes = np.arange(most + 1)
        indices = step_index(magnitudes, numerator, denominator)
        p.index_of[sign * magnitudes % 256] = sign * indices % 256
        for index in range(1, int(indices[-1]) + 1):
            inside = magnitudes[indices == index]
            point = fields.u8() if p.flags & POINTS else (inside[0] + inside[-1]) // 2
            if not inside[0] <= point <= inside[-1]:
                raise CorruptFrame("a reconstruction point lies outside its interval")
            p.value_of[sign * index % 256] = sign * point % 256


def _read_neighbours(fields: Reader, p: Parameters) -> None:
    weights = np.frombuffer(fields.take(8), np.int8).astype(np.int64)
    p.weights, p.spread_weights = weights[:4], weights[4:]
    p.offset = int.from_bytes(fields.take(2), "little", signed=True)


def _check_pairs(weights: Ints) -> None:
    if (np.abs(weights.reshape(-1, 2)).sum(1) > 128).any():
        raise CorruptFrame("a pair of weights is too large")


def _read_grid(fields: Reader, p: Parameters) -> None:
    p.rows, p.columns = fields.u8(), fields.u8()
    if not 1 <= p.rows * p.columns <= 128:
        raise CorruptFrame("there are 1 to 128 context cells")
    pairs = (p.weights, p.spread_weights, *([p.prediction.distance_weights] if p.prediction else []))
    _check_pairs(np.concatenate(pairs))
    p.levels = _levels(fields, p.rows) * p.columns
    p.spread_levels = _levels(fields, p.columns)


def _levels(fields: Reader, count: int) -> Ints:
    thresholds = np.frombuffer(fields.take(count - 1), np.uint8)
    if (np.diff(thresholds.astype(int)) < 0).any() or (thresholds > 63).any():
        raise CorruptFrame("thresholds do not ascend below 64")
    return np.searchsorted(thresholds, np.arange(64), side="right").astype(np.int64)


def _read_prediction(fields: Reader, channels: int, *, headed: bool) -> Prediction:
    width, rank, gather_shift, spread_shift, origin, first_activity = fields.take(6)
    shape = (4 * width, 16 * rank, gather_shift, spread_shift, origin, first_activity)
    distance_weights = _i8(fields, 6)
    if headed:
        p = Prediction(*shape, distance_weights, _i16(fields, 1)[0])
        shifts = np.frombuffer(fields.take(4), np.uint8).astype(np.int64)
        p.head = Head(int(shifts[0]), shifts[1:])
        _check_pairs(distance_weights)
        if (shifts > 24).any():
            raise CorruptFrame("a head is out of range")
    else:
        of_zero = _i8(fields, 5)
        offset, *numbers = _i16(fields, 7)
        p = Prediction(*shape, distance_weights, offset, of_zero[:4], int(of_zero[4]))
        p.spread_of_log, p.spread_of_mean, p.spread_of_activity, p.zero_of_log, p.zero_of_activity = numbers[:5]
        p.fold_origin = numbers[5]
    too_large = p.rank > 64 or gather_shift > 24 or spread_shift > 24 or channels > 65535
    if p.width == 0 or too_large or -(-channels // p.width) > 64:
        raise CorruptFrame("prediction across channels is out of range")
    return p


def _read_references(fields: Reader, channels: int) -> References:
    maps: list[Reference] = []
    count = fields.u8()
    if not 1 <= count <= 2:
        raise CorruptFrame("reference maps are out of range")
    for _ in range(count):
        kind, outside, of = fields.u8(), fields.u8(), fields.varint()
        if kind > 15 or not 1 <= of <= 65535 or (kind & 1 and of != channels):
            raise CorruptFrame("reference maps are out of range")
        maps.append(Reference(bool(kind & 1), bool(kind & 2), bool(kind & 4), bool(kind & 8), outside, of))
    found = References(maps)
    if found.inputs > 65535:
        raise CorruptFrame("reference maps are out of range")
    return found


def _read_reference_arrays(bits: _Bits, channels: int, r: References) -> None:
    r.weights = _numbers(bits, channels * r.inputs, 8).reshape(channels, r.inputs)
    r.shifts, r.biases, r.own = (_numbers(bits, channels, size) for size in (8, 16, 8))
    if (r.shifts < 0).any() or (r.shifts > 24).any():
        raise CorruptFrame("estimates from reference maps are malformed")


def _i8(fields: Reader, count: int) -> Ints:
    return np.frombuffer(fields.take(count), np.int8).astype(np.int64)


def _i16(fields: Reader, count: int) -> list[int]:
    numbers: list[int] = np.frombuffer(fields.take(2 * count), "<i2").astype(np.int64).tolist()
    return numbers


def _read_prediction_arrays(bits: _Bits, channels: int, p: Prediction, tables: int) -> None:
    p.own = _numbers(bits, channels * 7, 8).reshape(channels, 7)
    of_channels = [_numbers(bits, channels, 16) for _ in range(5)]
    p.offsets, p.shifts, p.spread_bias, p.zero_bias, p.zero_of_mean = of_channels
    p.gather, p.spread = (_numbers(bits, channels * p.rank, 8).reshape(channels, p.rank) for _ in range(2))
    loadings = np.abs(p.spread).sum(1)
    if p.head is not None:
        _read_head_arrays(bits, channels, p.rank, p.head, tables, GIVEN_INPUTS if p.references else INPUTS)
        loadings += np.abs(p.head.west).sum(1) + np.abs(p.head.north).sum(1)
    most = 8 * (np.abs(p.offsets) + np.abs(p.shifts)) + 255 * np.abs(p.own).sum(1)
    most += 64 * loadings >> p.spread_shift
    if p.references is not None:
        _read_reference_arrays(bits, channels, p.references)
        most += 512 * np.abs(p.references.own)
    if (np.abs(p.own[:, :6]).reshape(channels, 3, 2).sum(2) > 128).any() or (most >= MEAN_LIMIT).any():
        raise CorruptFrame("prediction across channels is malformed")


def _read_head_arrays(bits: _Bits, channels: int, rank: int, head: Head, tables: int, inputs: int) -> None:
    head.west, head.north = (_numbers(bits, channels * rank, 8).reshape(channels, rank) for _ in range(2))
    head.traits = _numbers(bits, channels * 2, 8).reshape(channels, 2)
    head.units = _numbers(bits, UNITS * inputs, 8).reshape(UNITS, inputs)
    head.unit_bias = _numbers(bits, UNITS, 16)
    head.of_units = _numbers(bits, OUTPUTS * UNITS, 8).reshape(OUTPUTS, UNITS)
    head.of_inputs = _numbers(bits, OUTPUTS * inputs, 8).reshape(OUTPUTS, inputs)
    head.output_bias = _numbers(bits, OUTPUTS, 16)
    if (head.traits < 0).any():
        raise CorruptFrame("a head is malformed")
    head.table_of = _read_cells(bits, MEAN_STEPS, SPREAD_STEPS, tables)


def _numbers(bits: _Bits, count: int, size: int) -> Ints:
    array = bits.rice_array(count)
    _check_range(array, size)
    return array


def _read_arrays(bits: _Bits, p: Parameters, tables: int) -> None:
    p.raw_bits = _read_runs(bits, tables)
    p.frequencies = _read_frequencies(bits, tables)
    if p.neighbours or (p.prediction and not p.flags & MORE):
        p.table_of = _read_cells(bits, p.rows, p.columns, tables)
        p.zero_class_of = _read_cells(bits, p.rows, p.columns, 64)
    elif not p.prediction:
        pairs = np.array([(bits.take(6), bits.take(6)) for _ in range(p.channels)])
        if (pairs[:, 0] >= tables).any():
            raise CorruptFrame("a channel's table does not exist")
        p.table_of, p.zero_class_of = pairs[:, 0], pairs[:, 1]
    if p.flags & OFFSETS and not p.prediction:
        p.offsets = p.offset + 32 * bits.rice_array(p.channels)
        _check_range(p.offsets, 16)
    if p.flags & MORE and p.flags & OFFSETS and not p.prediction:
        _read_of_channels(bits, p)
    if p.prediction:
        _read_prediction_arrays(bits, p.channels, p.prediction, tables)
    bits.close()


def _read_of_channels(bits: _Bits, p: Parameters) -> None:
    changes = _numbers(bits, 4 * p.channels, 16)
    p.spread_biases = 32 * _numbers(bits, p.channels, 16)
    p.zero_biases = _numbers(bits, p.channels, 7)
    p.channel_weights = p.weights + changes.reshape(p.channels, 4)
    _check_range(p.channel_weights, 8)
    _check_range(p.spread_biases, 16)
    _check_pairs(p.channel_weights)


def _check_range(values: Ints, bits: int) -> None:
    if (values < -(1 << bits - 1)).any() or (values >= 1 << bits - 1).any():
        raise CorruptFrame("a number does not fit its type")


def _read_table_numbers(bits: _Bits, tables: int, most: int) -> Ints:
    numbers: Ints = np.cumsum(bits.rice_array(tables * TOKENS).reshape(tables, TOKENS), 0)
    if (numbers < 0).any() or (numbers > most).any():
        raise CorruptFrame("a token table is malformed")
    return numbers


def _read_runs(bits: _Bits, tables: int) -> Ints:
    raw_bits = _read_table_numbers(bits, tables, 7)
    ends: Ints = 1 + np.cumsum(1 << raw_bits, 1)
    if (ends[:, -2] > 255).any() or (ends[:, -1] <= 255).any():
        raise CorruptFrame("the runs of a token table do not cover the values")
    return raw_bits


def _read_frequencies(bits: _Bits, tables: int) -> Ints:
    codes = _read_table_numbers(bits, tables, 64)
    weights = np.array(OCTAVE)[codes % 8] << (codes // 8)
    frequencies = np.maximum(weights * 256 // weights.sum(1, keepdims=True), 1)
    largest = frequencies.argmax(1)
    frequencies[np.arange(tables), largest] += 256 - frequencies.sum(1)
    result: Ints = frequencies.astype(np.int64)
    return result


def _read_cells(bits: _Bits, rows: int, columns: int, limit: int) -> Ints:
    cells: list[int] = []
    for i, residual in enumerate(bits.rice_array(rows * columns)):
        before = cells[i - 1] if i % columns else cells[i - columns] if i else 0
        cells.append(before + int(residual))
        if not 0 <= cells[-1] < limit:
            raise CorruptFrame("the contexts are malformed")
    return np.array(cells + [0] * (128 - len(cells)))


class _Bits:
    """Bits, least significant first."""

    def __init__(self, data: bytes) -> None:
        self.bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little").tolist()
        self.position = 0

    def take(self, count: int) -> int:
        self.position += count
        if self.position > len(self.bits):
            raise CorruptFrame("the parameters end early")
        return sum(bit << i for i, bit in enumerate(self.bits[self.position - count : self.position]))

    def rice_array(self, count: int) -> Ints:
        k = self.take(4)
        return np.array([self._signed_rice(k) for _ in range(count)], np.int64)

    def _signed_rice(self, k: int) -> int:
        quotient = 0
        while quotient < RICE_ESCAPE and self.take(1):
            quotient += 1
        u = self.take(16) if quotient == RICE_ESCAPE else quotient << k | self.take(k)
        return -(u + 1) // 2 if u % 2 else u // 2

    def close(self) -> None:
        if len(self.bits) - self.position >= 8 or any(self.bits[self.position :]):
            raise CorruptFrame("the parameters do not end where they should")
