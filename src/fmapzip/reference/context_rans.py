"""Contexts for interleaved rANS, from docs/format/context-rans.md."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmapzip.errors import CorruptFrame, ReferenceMismatch, TruncatedFrame
from fmapzip.reference.context_parameters import TOKENS, Head, Parameters, Prediction, read
from fmapzip.reference.context_references import Estimates, checksum
from fmapzip.reference.rans import LaneDecoder, LaneEncoder
from fmapzip.reference.tiles import Tile, TileCodec, balanced_rows, from_bytes

TILE_VALUES = 1 << 20
ZERO_BITS, TOKEN_BITS = 12, 8
LOW_PROBABILITIES = [4, 5, 6, 8, 10, 12, 15, 19, 23, 29, 36, 45, 55, 69, 85, 106]
LOW_PROBABILITIES += [131, 162, 200, 246, 302, 370, 451, 547, 660, 791, 941, 1110, 1296, 1499, 1713, 1935]
ZERO_PROBABILITY: NDArray[np.int64] = np.array(LOW_PROBABILITIES + [4096 - p for p in reversed(LOW_PROBABILITIES)])

RUN_VALUES = 1024

Ints = NDArray[np.int64]
Place = tuple[int, slice]  # row, columns
Step = list[tuple[int, slice]]  # positions and their channels


@dataclass(frozen=True)
class Given:
    """Reference maps, [C, H, W], and the row of the map that a tile begins at."""

    maps: tuple[NDArray[Any], ...] = ()
    top: int = 0


NOTHING = Given()


class Tokens:
    """Of each table: tokens' first bytes and starts, and the token of each byte; byte 0 has none."""

    def __init__(self, p: Parameters) -> None:
        self.raw_bits, self.frequencies = p.raw_bits, p.frequencies
        lengths: Ints = 1 << p.raw_bits
        self.base: Ints = 1 + np.cumsum(lengths, 1) - lengths
        self.starts: Ints = np.cumsum(p.frequencies, 1) - p.frequencies
        self.of_slot = np.stack([np.repeat(np.arange(TOKENS), f) for f in p.frequencies])
        self.of_byte = np.stack([np.searchsorted(base, np.arange(256), side="right") - 1 for base in self.base])


def axis_of(below: int) -> tuple[int, int]:
    """Gain and place of zero of companded values."""
    if below == 0:
        return 256, 0
    if below == 128:
        return 126, 128
    product = below * (255 - below)
    gain = 65025 // (255 + 2 * (isqrt(product - 1) + 1 if product else 0))
    return gain, isqrt(gain * below)


def compand(below: int) -> Ints:
    """The companded value of each byte."""
    gain, zero = axis_of(below)
    values = [(b + below) % 256 - below for b in range(256)]
    return np.array([zero + (1 if v >= 0 else -1) * isqrt(gain * abs(v)) for v in values])


class Contexts:
    """Neighbourhoods of one tile: `companded` [R, W, C] is known up to the position in question."""

    def __init__(self, p: Parameters, shape: tuple[int, int, int]) -> None:
        channels, rows, width = shape
        self.p = p
        self.table = compand(p.below)[p.value_of]
        self.companded = np.zeros((rows, width, channels), np.int64)
        self.start = np.full(channels, self.table[0])

    def places(self) -> Iterator[Place]:
        """Row, columns and channels of the spans, in order."""
        rows, width, channels = self.companded.shape
        columns = 1 if self.p.neighbours else max(1, RUN_VALUES // channels)
        for row in range(rows):
            for first in range(0, width, columns):
                yield row, slice(first, min(first + columns, width))

    def select(self, tile: Ints, place: Place) -> Ints:
        """The values of a tile [R, W, C] that are coded at a place."""
        return tile[place].reshape(-1)

    def assign(self, tile: Ints, place: Place, values: Ints) -> None:
        """Write them."""
        tile[place] = values.reshape(tile[place].shape)

    def of(self, place: Place) -> tuple[Ints, Ints]:
        """Token tables and zero classes of a span."""
        p = self.p
        row, columns = place
        if not p.neighbours:
            count = columns.stop - columns.start
            return np.tile(p.table_of, count), np.tile(p.zero_class_of, count)
        column = columns.start
        w, n, nw, ne = self._neighbours(row, column)
        weights = p.weights if p.channel_weights is None else p.channel_weights
        mean = _saturated((np.stack([w, n, nw, ne], -1) * weights).sum(-1))
        mean = _saturated(mean + (p.offset if p.offsets is None else p.offsets))
        distances = np.abs(np.stack([w - n, w - nw, n - nw, n - ne], -1))
        spread = _saturated(_saturated(distances @ p.spread_weights) + p.spread_biases)
        cell = p.levels[np.clip(mean >> 8, 0, 63)] + p.spread_levels[np.clip(spread >> 8, 0, 63)]
        return p.table_of[cell], np.clip(p.zero_class_of[cell] + p.zero_biases, 0, 63)

    def put(self, place: Place, indices: Ints) -> None:
        """What a span turned out to be."""
        values = self.table[indices]
        self.companded[place] = values.reshape(self.companded[place].shape)

    def _neighbours(self, row: int, column: int) -> tuple[Ints, Ints, Ints, Ints]:
        """W, N, NW and NE; outside the tile the nearest that is inside and known."""
        if row == 0:
            w = self.companded[0, column - 1] if column else self.start
            return w, w, w, w
        above = self.companded[row - 1]
        last = above.shape[0] - 1
        w = self.companded[row, column - 1] if column else above[0]
        return w, above[column], above[max(column - 1, 0)], above[min(column + 1, last)]


class Predictions:
    """Contexts of one tile whose channels predict channels: a span's place is (position, channels)."""

    def __init__(
        self, p: Parameters, prediction: Prediction, shape: tuple[int, int, int], given: Given = NOTHING
    ) -> None:
        channels, rows, width = shape
        self.p, self.prediction, self.width = p, prediction, width
        self.table = compand(p.below)[p.value_of]
        self.companded = np.zeros((rows * width, channels), np.int64)
        self.start = np.full(channels, self.table[0])
        self.own_means = np.zeros((rows * width, channels), np.int64)
        self.sums = np.zeros((rows * width, prediction.rank), np.int64)
        self.magnitudes = np.zeros(rows * width, np.int64)
        # With a head: what its values were expected to be, their errors, and factors after each span.
        self.means = np.zeros((rows * width, channels), np.int64)
        self.errors = np.zeros((rows * width, channels), np.int64)
        self.estimates = None
        if prediction.references is not None:
            self.estimates = Estimates(prediction.references, given.maps, shape, axis_of(p.below), given.top)
        self.sums_after = np.zeros((-(-channels // prediction.width), rows * width, prediction.rank), np.int64)

    def places(self) -> Iterator[Step]:
        """The spans of each step."""
        positions, channels = self.companded.shape
        width = self.prediction.width
        spans = [slice(c, min(c + width, channels)) for c in range(0, channels, width)]
        for step in range(positions + len(spans) - 1):
            yield [(step - s, span) for s, span in enumerate(spans) if 0 <= step - s < positions]

    def select(self, tile: Ints, places: Step) -> Ints:
        """The values of a tile [R, W, C] that are coded in a step."""
        flat = tile.reshape(self.companded.shape)
        return np.concatenate([flat[place] for place in places])

    def assign(self, tile: Ints, places: Step, values: Ints) -> None:
        """Write them."""
        flat = tile.reshape(self.companded.shape)
        for place, part in self._parted(places, values):
            flat[place] = part

    def of(self, places: Step) -> tuple[Ints, Ints]:
        """Token tables and zero classes of a step's values."""
        found = [self._span(position, span) for position, span in places]
        return np.concatenate([table for table, _ in found]), np.concatenate([zero for _, zero in found])

    def put(self, places: Step, indices: Ints) -> None:
        """What the values of a step turned out to be."""
        for (position, span), here in self._parted(places, indices):
            self.companded[position, span] = self.table[here]
            residuals = np.clip(self.table[here] - (self.own_means[position, span] + 32 >> 6), -64, 63)
            self.sums[position] += residuals @ self.prediction.gather[span]
            self.magnitudes[position] += np.abs(residuals).sum()
            if self.prediction.head is not None:
                self.sums_after[span.start // self.prediction.width, position] = self.sums[position]
                error = np.abs(self.table[here] - (self.means[position, span] + 32 >> 6))
                self.errors[position, span] = [log(i) >> 1 for i in np.minimum(error, 127).tolist()]

    def _parted(self, places: Step, values: Ints) -> Iterator[tuple[tuple[int, slice], Ints]]:
        ends = np.cumsum([span.stop - span.start for _, span in places])
        yield from zip(places, np.split(values, ends[:-1]), strict=True)

    def _span(self, position: int, span: slice) -> tuple[Ints, Ints]:
        p, q = self.p, self.prediction
        if q.head is not None:
            return self._headed(position, span, q.head)
        w, n, nw, ne, ww, nn, _ = x = [neighbour[span] for neighbour in self._neighbours(position)]
        mean = 8 * q.offsets[span] + (np.stack(x, -1) * q.own[span]).sum(-1)
        self.own_means[position, span] = mean
        mean = mean + 8 * q.shifts[span]
        activity = q.first_activity
        if span.start:
            factors = np.clip(self.sums[position] >> q.gather_shift, -64, 63)
            mean = mean + (q.spread[span] @ factors >> q.spread_shift)
            activity = log(min(4 * int(self.magnitudes[position]) // span.start, 127))
        distances = np.abs(np.stack([w - n, w - nw, n - nw, n - ne, w - ww, n - nn], -1))
        distance = distances @ q.distance_weights + q.distance_offset
        logs = np.array([log(i) for i in np.clip(distance >> 8, 0, 127).tolist()], np.int64)
        half = mean >> 5
        spread = 8 * q.spread_bias[span] + q.spread_of_log * logs + q.spread_of_mean * half
        spread += q.spread_of_activity * activity
        present = np.minimum(np.abs(np.stack([w, n, nw, ne], -1) - self.table[0]), 8)
        zero = 8 * q.zero_bias[span] + q.zero_of_log * logs + q.zero_of_mean[span] * half
        zero += q.zero_of_activity * activity + present @ q.zero_of_present
        zero += 8 * q.zero_of_fold * np.abs(half - q.fold_origin)
        cell = p.levels[np.clip(mean + 64 * q.origin >> 8, 0, 63)] + p.spread_levels[np.clip(spread >> 8, 0, 63)]
        moved = np.clip((zero >> 8) + 32, 0, 127) + p.zero_class_of[cell] - 64
        return p.table_of[cell], np.clip(moved, 0, 63)

    def _headed(self, position: int, span: slice, head: Head) -> tuple[Ints, Ints]:
        q = self.prediction
        w, n, nw, ne, ww, nn, _ = x = [neighbour[span] for neighbour in self._neighbours(position)]
        own = 8 * q.offsets[span] + (np.stack(x, -1) * q.own[span]).sum(-1)
        if self.estimates is not None and q.references is not None:
            estimate = self.estimates.values[position, span]
            own = own + (q.references.own[span] * estimate >> 6)
        self.own_means[position, span] = own
        t, last = span.start // q.width, len(self.sums_after) - 1
        west, north = position % self.width != 0, position >= self.width
        left = self.sums_after[t, position - 1] if west else 0 * self.sums[0]
        above = self.sums_after[min(t + self.width - 1, last), position - self.width] if north else 0 * self.sums[0]
        projected = head.west[span] @ self._factors(left) + head.north[span] @ self._factors(above)
        activity = q.first_activity
        if span.start:
            projected += q.spread[span] @ self._factors(self.sums[position])
            activity = log(min(4 * int(self.magnitudes[position]) // span.start, 127))
        mean = own + 8 * q.shifts[span] + (projected >> q.spread_shift)
        self.means[position, span] = mean
        whole = mean + 32 >> 6
        distances = np.abs(np.stack([w - n, w - nw, n - nw, n - ne, w - ww, n - nn], -1))
        distance = distances @ q.distance_weights + q.distance_offset
        logs = np.array([log(i) for i in np.clip(distance >> 8, 0, 127).tolist()], np.int64)
        inputs = [64 + neighbour - whole for neighbour in (w, n, nw, ne, ww, nn)]
        inputs += [mean + 64 * q.origin >> 7, 64 + (own + 32 >> 6) - whole]
        inputs += [e[span] for e in self._around(position, self.errors, 0 * self.start)[:4]]
        inputs += [logs >> 1, np.full_like(logs, activity >> 1), head.traits[span, 0], head.traits[span, 1]]
        inputs += [8 * np.minimum(np.abs(neighbour - self.table[0]), 8) for neighbour in (w, n, nw, ne)]
        if self.estimates is not None:
            inputs += [64 + (estimate + 32 >> 6) - whole, self.estimates.seen[position, span]]
        u = np.clip(np.stack(inputs, -1), 0, 127)
        units = np.clip(u @ head.units.T + 16 * head.unit_bias >> head.unit_shift, 0, 127)
        g = units @ head.of_units.T + u @ head.of_inputs.T + 64 * head.output_bias >> head.output_shifts
        step = np.clip(mean + g[:, 0] + 64 * q.origin >> 7, 0, 127)
        spread = np.clip(8 * q.spread_bias[span] + g[:, 1] >> 10, 0, 15)
        zero = 8 * q.zero_bias[span] + q.zero_of_mean[span] * (mean >> 5) + g[:, 2]
        return head.table_of[16 * step + spread], np.clip(zero >> 8, 0, 63)

    def _factors(self, sums: Ints) -> Ints:
        factors: Ints = np.clip(sums >> self.prediction.gather_shift, -64, 63)
        return factors

    def _neighbours(self, position: int) -> list[Ints]:
        return self._around(position, self.companded, self.start)

    def _around(self, position: int, x: Ints, start: Ints) -> list[Ints]:
        """W, N, NW, NE, WW, NN and NEE; outside the tile the nearest that is inside and known, or `start`."""
        row, column = divmod(position, self.width)
        width = self.width
        n = x[position - width] if row else None
        w = x[position - 1] if column else start if n is None else n
        ww = x[position - 2] if column > 1 else w
        if n is None:
            return [w, w, w, w, ww, w, w]
        right = width - 1 - column
        above = position - width
        nw = x[above - 1] if column else n
        nn = x[above - width] if row > 1 else n
        return [w, n, nw, x[above + min(right, 1)], ww, nn, x[above + min(right, 2)]]


def log(i: int) -> int:
    """32 log2(i + 1), rounded down."""
    return int((i + 1) ** 32).bit_length() - 1


def contexts_of(p: Parameters, shape: tuple[int, int, int], given: Given) -> Any:
    """Where a tile's contexts come from."""
    return Predictions(p, p.prediction, shape, given) if p.prediction else Contexts(p, shape)


def encode(tile: Tile, below: int, parameters: bytes, given: Given = NOTHING) -> bytes:
    """The body of a tile."""
    p, shape = _fitting(below, parameters, tile.shape)
    tokens, lanes = Tokens(p), lanes_of(p, shape)
    indices = np.ascontiguousarray(p.index_of[tile % 256].transpose(1, 2, 0))
    contexts = contexts_of(p, shape, given)
    steps = []
    for place in contexts.places():
        tables, classes = contexts.of(place)
        here = contexts.select(indices, place)
        steps.append((here, tables, classes))
        contexts.put(place, here)
    encoder = LaneEncoder(lanes)
    for here, tables, classes in reversed(steps):
        present = np.flatnonzero(here)
        for part in reversed(_parts(present, lanes)):
            table, value = tables[part], here[part]
            which = table, tokens.of_byte[table, value]
            raw = value - tokens.base[which]
            encoder.advance(tokens.frequencies[which], tokens.starts[which], TOKEN_BITS, raw, tokens.raw_bits[which])
        zero = ZERO_PROBABILITY[classes]
        frequencies: Ints = np.where(here == 0, zero, 4096 - zero)
        begins: Ints = np.where(here == 0, 0, zero)
        for part in reversed(_parts(np.arange(len(here)), lanes)):
            none = np.zeros(len(part), np.int64)
            encoder.advance(frequencies[part], begins[part], ZERO_BITS, none, none)
    return (checksum(given.maps) if p.prediction and p.prediction.references else b"") + encoder.to_bytes()


def decode(
    body: bytes,
    shape: tuple[int, int, int],
    below: int,
    parameters: bytes,
    make_decoder: Callable[[bytes, int], LaneDecoder] = LaneDecoder,
    given: Given = NOTHING,
) -> Tile:
    """The tile of a body; `make_decoder` is another way to make its lanes, which may note what they do."""
    p, _ = _fitting(below, parameters, shape)
    tokens, lanes = Tokens(p), lanes_of(p, shape)
    contexts = contexts_of(p, shape, given)
    if p.prediction and p.prediction.references:
        if len(body) < 4:
            raise TruncatedFrame("a tile ends early")
        if body[:4] != checksum(given.maps):
            raise ReferenceMismatch("the maps given are not those that this one was encoded with")
        body = body[4:]
    decoder = make_decoder(body, lanes)
    indices = np.zeros((shape[1], shape[2], shape[0]), np.int64)
    for place in contexts.places():
        tables, classes = contexts.of(place)
        here = np.zeros(len(tables), np.int64)
        for part in _parts(np.arange(len(here)), lanes):
            zero, slots = ZERO_PROBABILITY[classes[part]], decoder.slots(len(part), ZERO_BITS)
            here[part] = slots >= zero
            frequencies: Ints = np.where(here[part] == 0, zero, 4096 - zero)
            decoder.advance(frequencies, slots - zero * here[part], ZERO_BITS, np.zeros(len(part), np.int64))
        for part in _parts(np.flatnonzero(here), lanes):
            table, slots = tables[part], decoder.slots(len(part), TOKEN_BITS)
            which = table, tokens.of_slot[table, slots]
            offsets = slots - tokens.starts[which]
            raw = decoder.advance(tokens.frequencies[which], offsets, TOKEN_BITS, tokens.raw_bits[which])
            here[part] = (tokens.base[which] + raw) % 256
        contexts.put(place, here)
        contexts.assign(indices, place, here)
    decoder.close()
    if ((indices != 0) & (p.value_of[indices] == 0)).any():
        raise CorruptFrame("an index stands for no value")
    return from_bytes(p.value_of[indices].transpose(2, 0, 1), below)


def rows(shape: tuple[int, int, int], parameters: bytes = b"") -> int:
    """Rows a tile."""
    del parameters
    return balanced_rows(shape, TILE_VALUES)


def _fitting(below: int, parameters: bytes, shape: tuple[int, ...]) -> tuple[Parameters, tuple[int, int, int]]:
    p = read(parameters)
    if p.below != below or p.channels not in (0, shape[0]):
        raise CorruptFrame("the parameters are for other maps")
    return p, (shape[0], shape[1], shape[2])


def lanes_of(p: Parameters, shape: tuple[int, int, int]) -> int:
    """Coder states of a tile."""
    channels, height, width = shape
    most = channels
    if not p.neighbours and not p.prediction:
        most = channels * min(max(1, RUN_VALUES // channels), width)
    lanes = 1
    while lanes < min(64, most) and 2048 * lanes <= channels * height * width:
        lanes *= 2
    return lanes


def _parts(positions: Ints, lanes: int) -> list[Ints]:
    """Positions in groups, the first of each on lane 0."""
    return [positions[first : first + lanes] for first in range(0, len(positions), lanes)]


def _saturated(x: Ints) -> Ints:
    return np.clip(x, -32768, 32767)


CONTEXT_RANS = TileCodec(encode, decode, rows)


def referring(maps: Sequence[NDArray[Any]], top: int) -> TileCodec:
    """The codec for a tile that begins at row `top` of a map that refers to others [C, H, W]."""
    given = Given(tuple(maps), top)
    return TileCodec(partial(encode, given=given), partial(decode, given=given), rows)
