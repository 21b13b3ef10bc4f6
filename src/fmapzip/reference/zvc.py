"""Zero-value coding, from docs/format/zvc.md."""

from __future__ import annotations

from math import prod

import numpy as np

from fmapzip.errors import CorruptFrame, TruncatedFrame
from fmapzip.reference.tiles import Tile, TileCodec, from_bytes


def encode(tile: Tile, below: int, parameters: bytes) -> bytes:
    """The bitmap, then the nonzero values."""
    del below, parameters
    values = (tile.reshape(-1) % 256).astype(np.uint8)
    bitmap = np.packbits(values != 0, bitorder="little")
    return bytes(bitmap) + bytes(values[values != 0])


def decode(body: bytes, shape: tuple[int, int, int], below: int, parameters: bytes) -> Tile:
    """The tile of a body."""
    del parameters
    count = prod(shape)
    size = (count + 7) // 8
    if len(body) < size:
        raise TruncatedFrame("the tile ends inside its bitmap")
    bits = np.unpackbits(np.frombuffer(body[:size], np.uint8), bitorder="little")
    if bits[count:].any():
        raise CorruptFrame("spare bits of the bitmap are set")
    nonzero = bits[:count].astype(bool)
    if len(body) - size != nonzero.sum():
        raise CorruptFrame("the bitmap and the number of values disagree")
    values = np.zeros(count, np.uint8)
    values[nonzero] = np.frombuffer(body[size:], np.uint8)
    return from_bytes(values, below).reshape(shape)


ZVC = TileCodec(encode, decode)
