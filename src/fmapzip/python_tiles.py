"""Frames of codecs that are written in Python: tiles through the codec, everything around them by the core."""

from __future__ import annotations

from math import prod
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from fmapzip import _core
from fmapzip.errors import CorruptFrame, InvalidInput, InvalidType
from fmapzip.frame import dtype_of
from fmapzip.geometry import Shape3, tile_shape, worked_shape

Header = tuple[bytes, bool, int, bytes, int]
"""Scales, whether there is one for each channel, the zero point, first bytes of the plan's hash, index of the tap."""


@runtime_checkable
class PythonTiles(Protocol):
    """A codec that turns one tile into bytes and back."""

    id: Any

    def tile_rows(self, shape: Shape3) -> int:
        """Rows a tile for a map of this (C, H, W)."""

    def encode_tile(self, tile: Any, parameters: bytes) -> bytes:
        """The body of a [C, rows, W] tile."""

    def decode_tile(self, body: bytes, shape: Shape3, dtype: np.dtype[Any], parameters: bytes) -> Any:
        """The tile of a body that may hold anything."""


def encode_in_python(q: NDArray[Any], codec: PythonTiles, parameters: bytes, header: Header) -> bytes:
    """The frame of one map; tiles that the codec does not make shorter are stored."""
    if q.dtype not in (np.uint8, np.int8):
        raise InvalidType(f"a map holds uint8 or int8 values, not {q.dtype}; quantize floats first")
    if q.size == 0:
        raise InvalidInput("a dimension of the map is zero")
    shape = worked_shape(q.shape)
    tiled = q.reshape(shape)
    rows = codec.tile_rows(shape)
    bodies = []
    for first in range(0, shape[1], rows):
        tile = tiled[:, first : first + rows]
        body = codec.encode_tile(tile, parameters)
        bodies.append(body if len(body) < tile.size else tile.tobytes())
    has_plan = bool(header[3])
    inline = b"" if has_plan else parameters
    if inline and sum(map(len, bodies)) + len(inline) >= q.size:
        inline, rows, bodies = b"", shape[1], [tiled.tobytes()]
    signed = int(q.dtype == np.int8)
    return _core.assemble(signed, q.shape, codec.id, inline, *header, rows, bodies)


def decode_in_python(frame: _core.Frame, codec: PythonTiles, parameters: bytes) -> NDArray[Any]:
    """The map of a frame."""
    dtype = dtype_of(frame)
    tiles = []
    for index, length in enumerate(frame.tile_lengths):
        shape = tile_shape(frame.shape, frame.tile_rows, index)
        body = frame.body(index)
        if length == prod(shape):
            tile = np.frombuffer(body, dtype).reshape(shape)
        else:
            tile = codec.decode_tile(body, shape, dtype, parameters)
            if tile.shape != shape or tile.dtype != dtype:
                raise CorruptFrame(f"codec {codec.id!r} decoded a tile of another shape or dtype")
        tiles.append(tile)
    return np.concatenate(tiles, axis=1).reshape(frame.shape)
