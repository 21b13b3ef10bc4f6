"""The frame, from FORMAT.md."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmapzip import _core
from fmapzip.errors import CorruptFrame, InvalidInput, LimitExceeded, MissingCodec, UnsupportedVersion
from fmapzip.reference.checksum import crc32c
from fmapzip.reference.context_rans import CONTEXT_RANS, referring
from fmapzip.reference.dct_cm import DCT_CM
from fmapzip.reference.fields import Reader
from fmapzip.reference.tiles import Tile, TileCodec
from fmapzip.reference.zvc import ZVC

MAGIC = b"FMAP"
VERSION = _core.FORMAT_VERSION
SIGNED, QUANTIZER, PLAN, PER_CHANNEL, ZERO_POINT = 1, 2, 4, 32, 64
NDIM_SHIFT = 3
LATER = 0b10000000
MAX_VALUES, MAX_PARAMETER_BYTES = 1 << 28, 1 << 24
_CONTEXT_RANS = 4


def _raw_encode(tile: Tile, below: int, parameters: bytes) -> bytes:
    del below, parameters
    return bytes(tile.size)  # given up


def _raw_decode(body: bytes, shape: tuple[int, int, int], below: int, parameters: bytes) -> Tile:
    raise CorruptFrame("a tile of the raw codec is not as long as its values")


CODECS: dict[int, TileCodec] = {1: TileCodec(_raw_encode, _raw_decode), 2: ZVC, 3: DCT_CM, 4: CONTEXT_RANS}


def encode(
    q: NDArray[Any],
    number: int,
    parameters: bytes = b"",
    *,
    scales: Sequence[float] = (),
    plan: tuple[bytes, int] | None = None,
    zero_point: int = 0,
    rows: int | None = None,
    references: Sequence[NDArray[Any]] = (),
) -> bytes:
    """A frame of `q` by the codec of `number`, byte for byte what `fmapzip.encode` gives.

    Parameters
    ----------
    q : uint8 or int8 array, [C, D, H, W], [C, H, W], [C, L] or [F]
    number : the codec's number in frames
    parameters : the codec's parameters; with `plan` they are not repeated in the frame
    scales : the quantizer's scales, if the frame is to hold them
    plan : first 8 bytes of a plan's hash, and the tap's index
    zero_point : the integer that stands for 0
    rows : rows a tile, where they are not to be those that the core takes
    references : the maps that this one refers to

    Examples
    --------
    >>> import numpy as np, fmapzip
    >>> q = np.eye(6, dtype=np.uint8)[None]
    >>> encode(q, number=2) == fmapzip.encode(q, "zvc")
    True
    """
    codec = CODECS[number]
    shape = _worked_shape(q.shape)
    tiled = q.reshape(shape)
    rows = codec.rows(shape, parameters) if rows is None else rows
    bodies = []
    for first in range(0, shape[1], rows):
        tile = np.ascontiguousarray(tiled[:, first : first + rows])
        codec = _referring(number, references, first)
        body = codec.encode(tile.astype(np.int16) - zero_point, _below(q.dtype, zero_point), parameters)
        bodies.append(body if len(body) < tile.size else tile.tobytes())
    inline = parameters if plan is None else b""
    if inline and len(inline) + sum(map(len, bodies)) >= q.size:
        inline, rows, bodies = b"", shape[1], [tiled.tobytes()]

    flags = SIGNED * (q.dtype == np.int8) + QUANTIZER * bool(len(scales)) + PLAN * (plan is not None)
    flags += PER_CHANNEL * (len(scales) > 1) + (q.ndim % 4 << NDIM_SHIFT) + ZERO_POINT * bool(zero_point)
    frame = MAGIC + bytes([VERSION, number, flags]) + b"".join(map(_varint, q.shape))
    frame += bytes([zero_point % 256]) * bool(zero_point)
    frame += np.asarray(scales, "<f4").tobytes()
    frame += _varint(len(inline)) + inline if plan is None else plan[0] + _varint(plan[1])
    frame += _varint(rows) + np.asarray([len(body) for body in bodies], "<u4").tobytes() + b"".join(bodies)
    return frame + struct.pack("<I", crc32c(frame))


def decode(data: bytes, parameters: bytes | None = None, references: Sequence[NDArray[Any]] = ()) -> NDArray[Any]:
    """The map of a frame of a built-in codec.

    Parameters
    ----------
    data : one frame
    parameters : the parameters of the plan's tap, where the frame refers to a plan
    references : the maps that it was encoded with
    """
    reader = Reader(data)
    if reader.take(4) != MAGIC:
        raise CorruptFrame("wrong magic")
    version, number, flags = reader.take(3)
    if version != VERSION:
        raise UnsupportedVersion(f"frame version {version}; this release reads version {VERSION}")
    ndim = flags >> NDIM_SHIFT & 3 or 4
    if flags & LATER:
        raise UnsupportedVersion("the frame has a feature of a later release")
    if flags & PER_CHANNEL and not flags & QUANTIZER:
        raise CorruptFrame("forbidden flags")
    if number == 0:
        _external_id(reader)
    dims = tuple(reader.varint() for _ in range(ndim))
    if 0 in dims:
        raise CorruptFrame("a dimension is zero")
    if prod(dims) > MAX_VALUES:
        raise LimitExceeded("the map holds more values than the limit allows")
    dtype = np.dtype(np.int8 if flags & SIGNED else np.uint8)
    zero_point = _zero_point(reader, dtype) if flags & ZERO_POINT else 0
    if flags & QUANTIZER:
        _scales(reader, dims[0] if flags & PER_CHANNEL else 1)
    if flags & PLAN:
        reader.take(8)
        reader.varint()
    else:
        size = reader.varint()
        if size > MAX_PARAMETER_BYTES:
            raise LimitExceeded("the parameters are larger than the limit allows")
        parameters = reader.take(size)
    channels, height, width = _worked_shape(dims)
    rows = reader.varint()
    if not 1 <= rows <= height:
        raise CorruptFrame("rows per tile out of range")
    shapes = [(channels, min(rows, height - first), width) for first in range(0, height, rows)]
    lengths = np.frombuffer(reader.take(4 * len(shapes)), "<u4")
    if any(not 1 <= length <= prod(shape) for length, shape in zip(lengths, shapes, strict=True)):
        raise CorruptFrame("a tile's length is out of range")
    bodies = [reader.take(int(length)) for length in lengths]
    checked = reader.position
    if struct.unpack("<I", reader.take(4))[0] != crc32c(data[:checked]):
        raise CorruptFrame("checksum mismatch")
    if reader.position != len(data):
        raise CorruptFrame("bytes follow the frame")
    return _decoded(number, bodies, shapes, dtype, zero_point, parameters, references).reshape(dims)


def _decoded(
    number: int,
    bodies: Sequence[bytes],
    shapes: Sequence[tuple[int, int, int]],
    dtype: np.dtype[Any],
    zero_point: int,
    parameters: bytes | None,
    references: Sequence[NDArray[Any]],
) -> NDArray[Any]:
    """The tiles one below the other; a codec is needed only where one of them is coded."""
    tiles: list[NDArray[Any]] = []
    for body, shape in zip(bodies, shapes, strict=True):
        if len(body) == prod(shape):
            tiles.append(np.frombuffer(body, dtype).reshape(shape))
        elif number not in CODECS:
            raise MissingCodec(f"no codec has the number {number}")
        elif parameters is None:
            raise InvalidInput("the frame refers to a plan: give its parameters")
        else:
            codec = _referring(number, references, sum(tile.shape[1] for tile in tiles))
            values = codec.decode(body, shape, _below(dtype, zero_point), parameters)
            tiles.append((values + zero_point).astype(dtype))
    return np.concatenate(tiles, axis=1)


def _referring(number: int, references: Sequence[NDArray[Any]], top: int) -> TileCodec:
    """The codec of a number, for a tile that begins at row `top`."""
    if not references or number != _CONTEXT_RANS:
        return CODECS[number]
    return referring([q.reshape(_worked_shape(q.shape)) for q in references], top)


def _below(dtype: np.dtype[Any], zero_point: int) -> int:
    """How many values are negative."""
    return zero_point - int(np.iinfo(dtype).min)


def _zero_point(reader: Reader, dtype: np.dtype[Any]) -> int:
    zero_point = int(np.frombuffer(reader.take(1), dtype)[0])
    if zero_point == 0:
        raise CorruptFrame("a zero point of 0 is not written down")
    return zero_point


def _external_id(reader: Reader) -> None:
    length = reader.u8()
    if not 1 <= length <= 64:
        raise CorruptFrame("codec id of a forbidden length")
    if not all(0x21 <= letter <= 0x7E for letter in reader.take(length)):
        raise CorruptFrame("codec id that is not printable ASCII")


def _scales(reader: Reader, count: int) -> None:
    scales = np.frombuffer(reader.take(4 * count), "<f4")
    if not ((scales >= 2.0**-126) & (scales <= 2.0**120)).all():
        raise CorruptFrame("a scale is out of range")


def _worked_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    if len(shape) == 1:
        return shape[0], 1, 1
    if len(shape) == 2:
        return shape[0], 1, shape[1]
    if len(shape) == 3:
        return shape[0], shape[1], shape[2]
    return shape[0], shape[1] * shape[2], shape[3]


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
