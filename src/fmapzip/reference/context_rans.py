"""Contexts for interleaved rANS, from FORMAT.md, "context-rans"."""

from __future__ import annotations

from collections.abc import Iterator
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmapzip.errors import CorruptFrame
from fmapzip.reference.context_parameters import TOKENS, Parameters, read
from fmapzip.reference.rans import LaneDecoder, LaneEncoder
from fmapzip.reference.tiles import Tile, TileCodec

TILE_VALUES = 1 << 20
ZERO_BITS, TOKEN_BITS = 12, 10
LOW_PROBABILITIES = [4, 5, 6, 8, 10, 12, 15, 19, 23, 29, 36, 45, 55, 69, 85, 106]
LOW_PROBABILITIES += [131, 162, 200, 246, 302, 370, 451, 547, 660, 791, 941, 1110, 1296, 1499, 1713, 1935]
ZERO_PROBABILITY: NDArray[np.int64] = np.array(LOW_PROBABILITIES + [4096 - p for p in reversed(LOW_PROBABILITIES)])

Ints = NDArray[np.int64]


class Alphabet:
    """Tokens as bytes of first values and numbers of raw bits, and the token and raw bits of each byte."""

    def __init__(self, signed: bool) -> None:
        runs = [(0, 6), (1, 2), (2, 2), (3, 2), (4, 2), (5, 2)] if signed else [(0, 12), *((n, 4) for n in range(1, 6))]
        tokens: list[tuple[int, int]] = []
        magnitude = 1
        for raw_bits, count in runs:
            for _ in range(count):
                tokens.append((magnitude, raw_bits))
                magnitude += 1 << raw_bits
        if signed:
            tokens += [(1 - first - (1 << raw_bits), raw_bits) for first, raw_bits in tokens]
        self.base = np.array([first for first, _ in tokens])
        self.raw_bits = np.array([raw_bits for _, raw_bits in tokens])
        self.token_of, self.raw_of = np.zeros(256, np.int64), np.zeros(256, np.int64)
        for token, (first, raw_bits) in enumerate(tokens):
            for raw in range(1 << raw_bits):
                value = first + raw
                if (-128 if signed else 1) <= value <= (127 if signed else 255) and value * first > 0:
                    self.token_of[value % 256], self.raw_of[value % 256] = token, raw


def compand(signed: bool) -> Ints:
    """The companded value of each byte."""
    if not signed:
        return np.array([isqrt(256 * v) for v in range(256)])
    return np.array([128 + (1 if b < 128 else -1) * isqrt(126 * min(b, 256 - b)) for b in range(256)])


class Contexts:
    """Neighbourhoods of one tile: `companded` [R, W, C] is known up to the position in question."""

    def __init__(self, p: Parameters, shape: tuple[int, int, int]) -> None:
        channels, rows, width = shape
        self.p = p
        self.table = compand(p.signed)[p.value_of]
        self.companded = np.zeros((rows, width, channels), np.int64)
        self.start = np.full(channels, self.table[0])
        self.factors = np.zeros(p.rank, np.int64)
        self.sums = np.zeros(channels, np.int64)

    def spans(self) -> Iterator[slice]:
        """The channels of one position, in the groups that are coded together."""
        channels = self.companded.shape[2]
        width = self.p.width if self.p.rank else channels
        for first in range(0, channels, width):
            yield slice(first, min(first + width, channels))

    def of(self, row: int, column: int, span: slice) -> tuple[Ints, Ints]:
        """Token table and zero class of a span's channels."""
        p = self.p
        if not p.neighbours:
            return p.table_of[span], p.zero_class_of[span]
        w, n, nw, ne = (neighbour[span] for neighbour in self._neighbours(row, column))
        mean = _saturated(np.stack([w, n, nw, ne], -1) @ p.weights)
        mean = _saturated(mean + (p.offset if p.offsets is None else p.offsets[span]))
        if p.rank:
            self.sums[span] = mean
            factors = _saturated(self.factors >> p.gather_shift)
            mean = _saturated(mean + _saturated(p.spread[span] @ factors >> p.spread_shift))
        distances = np.abs(np.stack([w - n, w - nw, n - nw, n - ne], -1))
        spread = _saturated(distances @ p.spread_weights)
        cell = p.levels[np.clip(mean >> 6, 0, 255)] + p.spread_levels[np.clip(spread >> 6, 0, 255)]
        return p.table_of[cell], p.zero_class_of[cell]

    def begin(self) -> None:
        """Before the first span of a position."""
        self.factors[:] = 0

    def put(self, row: int, column: int, span: slice, indices: Ints) -> None:
        """What a span turned out to be."""
        values = self.table[indices]
        self.companded[row, column, span] = values
        if self.p.rank:
            residuals = np.clip(values - ((self.sums[span] >> 6) - self.p.origin), -64, 63)
            self.factors += residuals @ self.p.gather[span]

    def _neighbours(self, row: int, column: int) -> tuple[Ints, Ints, Ints, Ints]:
        """W, N, NW and NE; outside the tile the nearest that is inside and known."""
        if row == 0:
            w = self.companded[0, column - 1] if column else self.start
            return w, w, w, w
        above = self.companded[row - 1]
        last = above.shape[0] - 1
        w = self.companded[row, column - 1] if column else above[0]
        return w, above[column], above[max(column - 1, 0)], above[min(column + 1, last)]


def encode(tile: Tile, parameters: bytes) -> bytes:
    """The body of a tile."""
    p, shape = _fitting(tile.dtype, parameters, tile.shape)
    alphabet, lanes = Alphabet(p.signed), lanes_of(p, shape)
    indices = p.index_of[np.ascontiguousarray(tile).view(np.uint8)].transpose(1, 2, 0)
    contexts = Contexts(p, shape)
    steps = []
    for row, column in np.ndindex(indices.shape[:2]):
        contexts.begin()
        for span in contexts.spans():
            tables, classes = contexts.of(row, column, span)
            here = indices[row, column, span]
            steps.append((here, tables, classes))
            contexts.put(row, column, span, here)
    starts: Ints = np.cumsum(p.frequencies, 1) - p.frequencies
    encoder = LaneEncoder(lanes)
    for here, tables, classes in reversed(steps):
        present = np.flatnonzero(here)
        for part in reversed(_parts(present, lanes)):
            table, token = tables[part], alphabet.token_of[here[part]]
            raw, raw_bits = alphabet.raw_of[here[part]], alphabet.raw_bits[token]
            encoder.advance(p.frequencies[table, token], starts[table, token], TOKEN_BITS, raw, raw_bits)
        zero = ZERO_PROBABILITY[classes]
        frequencies: Ints = np.where(here == 0, zero, 4096 - zero)
        begins: Ints = np.where(here == 0, 0, zero)
        for part in reversed(_parts(np.arange(len(here)), lanes)):
            none = np.zeros(len(part), np.int64)
            encoder.advance(frequencies[part], begins[part], ZERO_BITS, none, none)
    return encoder.to_bytes()


def decode(body: bytes, shape: tuple[int, int, int], dtype: np.dtype[Any], parameters: bytes) -> Tile:
    """The tile of a body."""
    p, _ = _fitting(dtype, parameters, shape)
    alphabet, lanes = Alphabet(p.signed), lanes_of(p, shape)
    symbols = np.stack([np.repeat(np.arange(TOKENS), f) for f in p.frequencies])
    starts: Ints = np.cumsum(p.frequencies, 1) - p.frequencies
    contexts, decoder = Contexts(p, shape), LaneDecoder(body, lanes)
    indices = np.zeros((shape[1], shape[2], shape[0]), np.int64)
    for row, column in np.ndindex(indices.shape[:2]):
        contexts.begin()
        for span in contexts.spans():
            tables, classes = contexts.of(row, column, span)
            here = np.zeros(len(tables), np.int64)
            for part in _parts(np.arange(len(here)), lanes):
                zero, slots = ZERO_PROBABILITY[classes[part]], decoder.slots(len(part), ZERO_BITS)
                here[part] = slots >= zero
                frequencies: Ints = np.where(here[part] == 0, zero, 4096 - zero)
                decoder.advance(frequencies, slots - zero * here[part], ZERO_BITS, np.zeros(len(part), np.int64))
            for part in _parts(np.flatnonzero(here), lanes):
                table, slots = tables[part], decoder.slots(len(part), TOKEN_BITS)
                token = symbols[table, slots]
                offsets = slots - starts[table, token]
                raw = decoder.advance(p.frequencies[table, token], offsets, TOKEN_BITS, alphabet.raw_bits[token])
                here[part] = (alphabet.base[token] + raw) % 256
            contexts.put(row, column, span, here)
            indices[row, column, span] = here
    decoder.close()
    return np.ascontiguousarray(p.value_of[indices].transpose(2, 0, 1).astype(np.uint8)).view(dtype)


def rows(shape: tuple[int, int, int], parameters: bytes = b"") -> int:
    """Rows a tile."""
    del parameters
    channels, height, width = shape
    most = min(max(TILE_VALUES // (channels * width), 1), height)
    tiles = -(-height // most)
    return -(-height // tiles)


def _fitting(
    dtype: np.dtype[Any], parameters: bytes, shape: tuple[int, ...]
) -> tuple[Parameters, tuple[int, int, int]]:
    p = read(parameters)
    if p.signed != (dtype == np.int8) or p.channels not in (0, shape[0]):
        raise CorruptFrame("the parameters are for other maps")
    return p, (shape[0], shape[1], shape[2])


def lanes_of(p: Parameters, shape: tuple[int, int, int]) -> int:
    """Coder states of a tile."""
    channels, height, width = shape
    most = min(p.width, channels) if p.rank else channels
    lanes = 1
    while lanes < min(64, most) and 4096 * lanes <= channels * height * width:
        lanes *= 2
    return lanes


def _parts(positions: Ints, lanes: int) -> list[Ints]:
    """Positions in groups, the first of each on lane 0."""
    return [positions[first : first + lanes] for first in range(0, len(positions), lanes)]


def _saturated(x: Ints) -> Ints:
    return np.clip(x, -32768, 32767)


CONTEXT_RANS = TileCodec(encode, decode, rows)
