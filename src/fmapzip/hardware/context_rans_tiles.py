"""Tiles of ``context-rans`` as its blocks take them: cut to their lanes, described, with tables and beats of values."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from fmapzip import _core
from fmapzip.errors import InvalidInput
from fmapzip.frame import parse_only
from fmapzip.hardware.rans_tile import LAST_LOAD, PART_PLACE, TABLES, TILE, Part, Target, load_word
from fmapzip.hardware.streams import beat, words
from fmapzip.hardware.tiles import Tile
from fmapzip.reference.context_parameters import Parameters, read
from fmapzip.reference.context_rans import RUN_VALUES, ZERO_PROBABILITY, Tokens, compand, lanes_of

NUMBER = 4
OTHER_PLAN = b"\0" * 8
"""Parameters of a frame with a plan are not in it, so they do not make its tiles raw."""


def span_depth(lanes: int) -> int:
    """Groups of the longest span that a block of so many lanes takes."""
    return max(2048 // lanes, 64)


def row_depth(lanes: int) -> int:
    """Values of a tile's row that a block of so many lanes holds for each."""
    return 1024 if lanes < 64 else 256


HELD_GROUPS = 2048
"""Groups that an encoder holds."""


def cut(tile: Tile, lanes: int, groups: int | None = None, tables: int = TABLES) -> Iterator[Tile]:
    """A tile in tiles of the most rows that so many lanes take; those that are not shorter coded are left out.

    Where `groups` is given, they have no more than so many: what an encoder holds.

    Raises
    ------
    InvalidInput
        One row of it has more lanes or groups, or it has more tables.

    Examples
    --------
    >>> import numpy as np, fmapzip
    >>> from fmapzip.hardware.tiles import tiles
    >>> q = np.random.default_rng(0).poisson(0.3, (32, 16, 32)).astype(np.uint8)
    >>> (tile,) = tiles(fmapzip.encode(q, "context-rans", level="fast"))
    >>> [each.values.shape for each in cut(tile, 4)]
    [(32, 7, 32), (32, 7, 32), (32, 2, 32)]
    """
    channels, rows, width = tile.values.shape
    p = read(tile.parameters)
    if len(p.raw_bits) > tables:
        raise InvalidInput(f"a tile with {len(p.raw_bits)} token tables is too large for a block of {tables}")
    fits = (r for r in range(1, rows + 1) if _fits(p, (channels, r, width), lanes, groups))
    most = max(fits, default=0)
    if most == 0:
        raise InvalidInput(f"one row of {channels} channels of {width} values is too long for {lanes} lanes")
    if most == rows:
        yield tile
        return
    codec = _core.Codec(NUMBER, tile.parameters)
    for first in range(0, rows, most):
        values = np.ascontiguousarray(tile.values[:, first : first + most])
        integers = values + np.uint8(tile.below)
        frame = parse_only(_core.encode(integers, codec, b"", False, tile.below, OTHER_PLAN, 0, 1))
        body = frame.body(0)
        if len(body) < values.size:
            yield Tile(tile.codec, values, tile.below, body, tile.parameters)


def _fits(p: Parameters, shape: tuple[int, int, int], lanes: int, groups: int | None) -> bool:
    """Whether a tile has no more lanes, and where they are given groups."""
    taken = lanes_of(p, shape)
    if taken > lanes or groups is None:
        return taken <= lanes
    return shape[1] * sum(-(-size // taken) for size in span_sizes(p, shape)) <= groups


def tile_word(tile: Tile, lanes: int) -> int:
    """The descriptor of a tile, whose tables follow.

    Raises
    ------
    InvalidInput
        It takes more lanes, or its spans are longer than a block holds.
    """
    p, shape = read(tile.parameters), tile.values.shape
    _, rows, width = shape
    taken = lanes_of(p, (shape[0], rows, width))
    sizes = span_sizes(p, shape)
    groups = [-(-size // taken) for size in (sizes[0], sizes[-1])]
    if taken > lanes:
        raise InvalidInput(f"a tile of {taken} lanes is too large for a block of {lanes}")
    if max(groups) > span_depth(lanes) or max(rows, len(sizes)) >> 16:
        raise InvalidInput(f"spans of {max(sizes)} values on {taken} lanes are too long for a block of {lanes}")
    fields = {
        "rows": rows,
        "spans": len(sizes),
        "groups": groups[0],
        "rest": sizes[0] - (groups[0] - 1) * taken,
        "final_groups": groups[1],
        "final_rest": sizes[-1] - (groups[1] - 1) * taken,
        "lanes": taken.bit_length() - 1,
        "load": 1,
    }
    return int(TILE.const(fields).as_value().value)


def span_sizes(p: Parameters, shape: tuple[int, ...]) -> list[int]:
    """Values of the spans of a row."""
    channels, _, width = shape
    columns = 1 if p.neighbours else max(1, RUN_VALUES // channels)
    return [channels * min(columns, width - first) for first in range(0, width, columns)]


def value_words(tile: Tile, lanes: int) -> list[int]:
    """The beats of a tile's values: one for each group of its lanes, spans one after another."""
    p, shape = read(tile.parameters), tile.values.shape
    taken = lanes_of(p, (shape[0], shape[1], shape[2]))
    last = 1 << beat(lanes).size - 1
    flat = np.ascontiguousarray(tile.values.transpose(1, 2, 0)).tobytes()
    found, at = [], 0
    for size in span_sizes(p, shape) * shape[1]:
        for first in range(at, at + size, taken):
            found += words(flat[first : min(first + taken, at + size)], lanes)
        at += size
    found = [word & ~last for word in found]
    found[-1] |= last
    return found


def fast_table(tile: Tile, lanes: int, encodes: bool = False) -> list[int]:
    """The words of `table` that a tile of level ``fast`` needs, for a decoder or an encoder.

    Raises
    ------
    InvalidInput
        It is of another level.
    """
    p = read(tile.parameters)
    if p.neighbours or p.prediction:
        raise InvalidInput("the block takes tiles of context-rans:level=fast")
    stands = p.index_of if encodes else p.value_of
    found = [load_word(Target.VALUES, byte, int(value)) for byte, value in enumerate(stands)]
    return _ended(found + token_words(p) + _span_contexts(p, tile, lanes))


def default_table(tile: Tile, lanes: int, encodes: bool = False, channels_own: bool = False) -> list[int]:
    """The words of `table` that a tile of level ``default`` needs, for a decoder or an encoder.

    With `channels_own` they are for a block whose channels have weights and biases of their own.

    Raises
    ------
    InvalidInput
        It is of another level, its channels have weights of their own, its rows are longer than a block holds, or an
        encoder would have but one group of channels at a position.
    """
    p, (channels, rows, width) = read(tile.parameters), tile.values.shape
    if not p.neighbours:
        raise InvalidInput("the block takes tiles of context-rans:level=default")
    if p.channel_weights is not None and not channels_own:
        raise InvalidInput("the block takes one set of weights for all channels: context-rans:weights=shared")
    taken, bits = lanes_of(p, (channels, rows, width)), (lanes - 1).bit_length()
    if encodes and channels <= taken:  # it would make another body where the levels of contexts change
        raise InvalidInput(f"the encoder takes more channels than lanes: {channels} on {taken}")
    if rows > 1 and -(-channels // taken) * width > row_depth(lanes):
        raise InvalidInput(f"rows of {channels * width} values on {taken} lanes are too long for a block of {lanes}")
    table = compand(p.below)[p.value_of]
    stands = zip(p.index_of, table[p.index_of], strict=True) if encodes else zip(p.value_of, table, strict=True)
    found = [load_word(Target.VALUES, byte, int(v) | int(x) << 8) for byte, (v, x) in enumerate(stands)]
    contexts = class_bits(p) if channels_own else context_bits(p.table_of, p.zero_class_of)
    found += [load_word(Target.CONTEXTS, cell, context) for cell, context in enumerate(contexts)]
    levels = [*p.levels, *p.spread_levels]
    found += [load_word(Target.LEVELS, i, int(level)) for i, level in enumerate(levels)]
    offsets = np.full(channels, p.offset) if p.offsets is None else p.offsets
    places = [i // taken << bits | i % taken for i in range(channels)]
    found += [load_word(Target.OFFSETS, place, int(o) % 65536) for place, o in zip(places, offsets, strict=True)]
    if channels_own:
        found += _own_words(p, places)
    registers = [*p.weights, *p.spread_weights, table[0]]
    found += [load_word(Target.REGISTERS, i, int(value) % 256) for i, value in enumerate(registers)]
    return _ended(found + token_words(p))


def _own_words(p: Parameters, places: list[int]) -> list[int]:
    """The words of what each channel has of its own, by the place of its offset."""
    count = len(places)
    weights = np.broadcast_to(p.weights if p.channel_weights is None else p.channel_weights, (count, 4)) % 256
    columns = {
        Part.WEIGHTS: weights[:, 0] | weights[:, 1] << 8,
        Part.WEIGHTS + 1: weights[:, 2] | weights[:, 3] << 8,
        Part.SPREAD_BIAS: np.broadcast_to(p.spread_biases, count) % (1 << 16),
        Part.ZERO_BIAS: np.broadcast_to(p.zero_biases, count) % (1 << 7),
    }
    return [
        load_word(Target.CHANNELS, place | part << PART_PLACE, int(value))
        for part, column in columns.items()
        for place, value in zip(places, column, strict=True)
    ]


def class_bits(p: Parameters) -> list[int]:
    """Token tables and zero classes of cells."""
    return [int(t) | int(z) << 6 for t, z in zip(p.table_of, p.zero_class_of, strict=True)]


def _ended(table: list[int]) -> list[int]:
    return [*table[:-1], table[-1] | LAST_LOAD]


def token_words(p: Parameters) -> list[int]:
    """The words that fill the token tables."""
    tokens, found = Tokens(p), []
    for table in range(len(p.raw_bits)):
        for token in range(16):
            base, raw_bits = int(tokens.base[table, token]) % 256, int(p.raw_bits[table, token])
            packed = int(tokens.starts[table, token]) | base << 8 | raw_bits << 16
            found.append(load_word(Target.TOKENS, table * 16 + token, packed))
    return found


def context_bits(table: NDArray[np.int64], zero_class: NDArray[np.int64]) -> list[int]:
    """Token tables and zero classes as they stand in memory."""
    return [int(t) | int(ZERO_PROBABILITY[z]) << 6 for t, z in zip(table, zero_class, strict=True)]


def _span_contexts(p: Parameters, tile: Tile, lanes: int) -> list[int]:
    """The contexts of the longest span: value i of it on lane i modulo the tile's lanes."""
    shape = tile.values.shape
    taken, bits = lanes_of(p, (shape[0], shape[1], shape[2])), (lanes - 1).bit_length()
    of_channel = context_bits(p.table_of, p.zero_class_of)
    return [
        load_word(Target.CONTEXTS, i // taken << bits | i % taken, of_channel[i % shape[0]])
        for i in range(span_sizes(p, shape)[0])
    ]
