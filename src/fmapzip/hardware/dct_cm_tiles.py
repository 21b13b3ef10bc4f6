"""What software tells the blocks of the mask path about a tile, and the beats of its values."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from fmapzip.errors import InvalidInput
from fmapzip.hardware.dct_cm_classes import COUNT_BITS, TILE
from fmapzip.hardware.streams import beat, words
from fmapzip.hardware.tiles import Tile
from fmapzip.reference.bit_blocks import ABSENT, split_costs
from fmapzip.reference.dct_cm_parameters import Parameters, parse
from fmapzip.reference.dct_cm_values import block_positions, nearest_codes, point_values
from fmapzip.reference.tiles import from_bytes


def tile_word(tile: Tile, load: bool = False) -> int:
    """The descriptor of a tile; with `load` a table follows.

    Raises
    ------
    InvalidInput
        It is of another path or coding, or has more planes or blocks than the descriptor holds.

    Examples
    --------
    >>> import numpy as np
    >>> word = tile_word(Tile("dct-cm", np.zeros((3, 10, 10), np.uint8), 0, b""))
    >>> TILE.from_bits(word).size, TILE.from_bits(word).blocks
    (50, 2)
    """
    listed = _listed_points(tile)
    if listed is not None and not load:
        raise InvalidInput("the tile's values have points: only blocks with a table take it")
    planes, positions = _planes(tile)
    size = block_positions(positions)
    blocks = -(-positions // size)
    if max(planes, blocks) >> COUNT_BITS:
        raise InvalidInput(f"a tile of {planes} planes of {blocks} blocks is too large for the blocks of dct-cm")
    both = min(tile.below, 255 - tile.below)
    fields = {
        "planes": planes,
        "blocks": blocks,
        "size": size,
        "last_size": positions - (blocks - 1) * size,
        "points": 256 if listed is None else int(listed.sum()),
        "both": both,
        "negative": int(tile.below > 127),
        "load": int(load),
    }
    return int(TILE.const(fields).as_value().value)


def value_words(tile: Tile, values: int) -> list[int]:
    """The beats of a tile's values, which end with each block."""
    blocks = list(_blocks(tile))
    last = 1 << beat(values).size - 1
    found = [word & ~last for block in blocks for word in words(block, values)]
    found[-1] |= last
    return found


def body_bits(tile: Tile) -> int:
    """Bits of a body, without the padding of its last byte."""
    codes = nearest_codes(point_values(_listed_points(tile), tile.below))
    values = from_bytes(tile.values.reshape(-1), tile.below) + 255
    planes, positions = _planes(tile)
    size = block_positions(positions)
    short = -positions % size
    padded = np.pad(codes[values].reshape(planes, positions), ((0, 0), (0, short)), constant_values=ABSENT)
    return int((split_costs(padded.reshape(-1, size)).min(axis=0) + 8).sum())


def value_table(tile: Tile) -> list[int]:
    """The value of each rank, as a byte: what a decoder's table holds."""
    return [int(value) % 256 for value in point_values(_listed_points(tile), tile.below)]


def rank_table(tile: Tile) -> list[int]:
    """The rank of each byte's value, or of the point that stands for it: what an encoder's table holds."""
    codes = nearest_codes(point_values(_listed_points(tile), tile.below))
    return [int(codes[value + 255]) for value in from_bytes(np.arange(256), tile.below)]


def _listed_points(tile: Tile) -> NDArray[np.bool_] | None:
    found = parse(tile.parameters) if tile.parameters else Parameters(transform=False)
    if found.transform or found.rans:
        raise InvalidInput("the blocks of dct-cm take the mask path with bitmap coding")
    return found.points


def _planes(tile: Tile) -> tuple[int, int]:
    """Planes and positions in each: a vector is one plane."""
    channels, rows, width = tile.values.shape
    return (1, channels) if rows * width == 1 else (channels, rows * width)


def _blocks(tile: Tile) -> Iterator[bytes]:
    planes, positions = _planes(tile)
    size = block_positions(positions)
    for plane in tile.values.reshape(planes, positions):
        for at in range(0, positions, size):
            yield plane[at : at + size].tobytes()
