"""Spatial 8x8 DCT with JPEG-ACT's tables, then zero-value coding or JPEG's run-length and Huffman coding."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import ceil, prod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fmapzip.baselines import prefix
from fmapzip.baselines.base import Baseline, IntegerMap, Parts, Shape, choose
from fmapzip.baselines.bits import at, pack, spread, windows
from fmapzip.baselines.jpeg_tables import BLOCK, NAMES, steps, zigzag

_EOB, _ZRL = 0x00, 0xF0  # end of block; sixteen zeros (ITU-T T.81, F.1.2.2)
_ESCAPE = struct.Struct("<Ih")
_COUNT = struct.Struct("<I")


@dataclass(frozen=True, repr=False)
class JpegAct(Baseline):
    """JPEG-ACT: the map as one image of all channels one above the other, 8x8 DCT, tables made for activations.

    ``coding="zvc"`` is a bitmap and a byte for each nonzero coefficient; "huffman" is JPEG's run and category symbols
    with a code fitted to each map and counted. ``rounding="truncate"`` is what the published code does.
    """

    id: ClassVar[str] = "jpeg-act"
    source: ClassVar[str] = "Evans, Liu, Aamodt: JPEG-ACT, ISCA 2020; rdevans0/jpeg_act"

    table: str = "optL"
    coding: str = "zvc"
    rounding: str = "truncate"

    def __post_init__(self) -> None:
        choose("table", self.table, NAMES)
        choose("coding", self.coding, ("zvc", "huffman"))
        choose("rounding", self.rounding, ("truncate", "nearest"))

    @property
    def lossless(self) -> bool:
        """Never."""
        return False

    def error_bound(self, shape: Shape) -> float:
        """The length of the longest error of a block's 64 coefficients, and what rounding adds to it."""
        reach = steps(self.table) / (1 if self.rounding == "truncate" else 2)
        return float(np.sqrt(np.square(reach + 0.5).sum())) + 0.5 + 1e-3

    def encode(self, q: IntegerMap, side: bytes = b"") -> bytes:
        """Coefficients that exceed a byte (their number, places and values), then the coded blocks."""
        levels = self._levels(_blocks(q))
        unsigned_dc = q.dtype == np.uint8
        low, high = np.full(64, -128), np.full(64, 127)
        if unsigned_dc:
            low[0], high[0] = 0, 255
        kept = np.clip(levels, low, high)
        beyond = np.flatnonzero((kept != levels).reshape(-1))
        flat = levels.reshape(-1)
        escapes = b"".join(_ESCAPE.pack(int(i), int(flat[i])) for i in beyond)
        coded = _zvc(kept) if self.coding == "zvc" else _run_lengths(kept)
        return _COUNT.pack(beyond.size) + escapes + coded

    def _levels(self, blocks: NDArray[np.float32]) -> NDArray[np.int64]:
        coefficients = np.rint(_dct(blocks)) / steps(self.table)
        quantized = np.trunc(coefficients) if self.rounding == "truncate" else np.rint(coefficients)
        return quantized.astype(np.int64).reshape(-1, BLOCK * BLOCK)

    def decode(self, data: bytes, shape: Shape, dtype: np.dtype[Any], side: bytes = b"") -> IntegerMap:
        """The map, clipped to the range of its type."""
        count, body = _split(data)
        blocks = _block_count(shape)
        coded = data[body:]
        levels = _from_zvc(coded, blocks, dtype) if self.coding == "zvc" else _from_run_lengths(coded, blocks)
        flat = levels.reshape(-1)
        for place, value in _ESCAPE.iter_unpack(data[_COUNT.size : body]):
            flat[place] = value
        if len(data) < body or count * _ESCAPE.size != body - _COUNT.size:
            raise ValueError("the data ends early")
        coefficients = levels.reshape(-1, BLOCK, BLOCK).astype(np.float32) * steps(self.table)
        values = np.rint(_unblocked(_inverse_dct(coefficients), shape))
        limits = np.iinfo(dtype)
        return np.clip(values, limits.min, limits.max).astype(dtype)

    def parts(self, data: bytes, shape: Shape) -> Parts:
        """Values, bitmap ("masks"), the code's lengths ("tables"), and the coefficients beyond a byte ("headers")."""
        _, body = _split(data)
        if self.coding == "zvc":
            mask = _block_count(shape) * BLOCK
            return {"payload": len(data) - body - mask, "masks": mask, "headers": body}
        table = prefix.read_table(data[body:], 256)[1]
        return {"payload": len(data) - body - table, "tables": table, "headers": body}


def _split(data: bytes) -> tuple[int, int]:
    (count,) = _COUNT.unpack_from(data)
    return count, _COUNT.size + count * _ESCAPE.size


def _image_shape(shape: Shape) -> tuple[int, int]:
    width = shape[-1] if len(shape) > 1 else 1
    return prod(shape) // width, width


def _block_count(shape: Shape) -> int:
    rows, columns = _image_shape(shape)
    return ceil(rows / BLOCK) * ceil(columns / BLOCK)


def _blocks(q: IntegerMap) -> NDArray[np.float32]:
    """[blocks, 8, 8] of the channels one above the other, padded with zeros at the top and the left."""
    rows, columns = _image_shape(q.shape)
    image = np.pad(q.reshape(rows, columns).astype(np.float32), ((-rows % BLOCK, 0), (-columns % BLOCK, 0)))
    cut = image.reshape(image.shape[0] // BLOCK, BLOCK, -1, BLOCK).swapaxes(1, 2)
    return np.ascontiguousarray(cut).reshape(-1, BLOCK, BLOCK)


def _unblocked(blocks: NDArray[np.float32], shape: Shape) -> NDArray[np.float32]:
    rows, columns = _image_shape(shape)
    across = ceil(columns / BLOCK)
    image = blocks.reshape(-1, across, BLOCK, BLOCK).swapaxes(1, 2).reshape(-1, across * BLOCK)
    return image[-rows:, -columns:].reshape(shape)


def _basis() -> NDArray[np.float32]:
    """The orthonormal DCT-II of 8 points, one basis vector a row."""
    k = np.arange(BLOCK)
    basis = np.cos(np.pi * k[:, None] * (2 * k + 1) / (2 * BLOCK)) / 2
    basis[0] /= np.sqrt(2)
    return basis.astype(np.float32)


def _dct(blocks: NDArray[np.float32]) -> NDArray[np.float32]:
    basis = _basis()
    return np.asarray(basis @ blocks @ basis.T)


def _inverse_dct(coefficients: NDArray[np.float32]) -> NDArray[np.float32]:
    basis = _basis()
    return np.asarray(basis.T @ coefficients @ basis)


def _zvc(levels: NDArray[np.int64]) -> bytes:
    flat = levels.reshape(-1)
    values: NDArray[np.uint8] = (flat[flat != 0] & 0xFF).astype(np.uint8)
    return np.packbits(flat != 0).tobytes() + values.tobytes()


def _from_zvc(data: bytes, blocks: int, dtype: np.dtype[Any]) -> NDArray[np.int64]:
    mask = np.unpackbits(np.frombuffer(data[: blocks * BLOCK], np.uint8)) == 1
    values = np.frombuffer(data[blocks * BLOCK :], np.int8).astype(np.int64)
    if mask.size != blocks * BLOCK * BLOCK or values.size != int(mask.sum()):
        raise ValueError("the bitmap and the values do not fit each other")
    levels = np.zeros(mask.size, np.int64)
    levels[mask] = values
    levels = levels.reshape(blocks, BLOCK * BLOCK)
    if dtype == np.uint8:
        levels[:, 0] &= 0xFF
    return levels


def _run_lengths(levels: NDArray[np.int64]) -> bytes:
    """Run and category symbols with a canonical code, each followed by the value's bits (ITU-T T.81, F.1.2)."""
    ordered = levels[:, zigzag()]
    block, place = np.nonzero(ordered)
    values = ordered[block, place]
    first = np.diff(block, prepend=-1) != 0
    runs = np.where(first, place, np.diff(place, prepend=0) - 1)
    category = np.frexp(np.abs(values))[1].astype(np.int64)
    bits = np.where(values > 0, values, values + (1 << category) - 1)
    # Before each value as many ZRL as its run has sixteens; after the last value of a block an EOB.
    long_runs = runs >> 4
    ends = np.bincount(block, minlength=len(levels))
    total = int(long_runs.sum()) + values.size + len(levels)
    symbols, extra, extra_bits = (np.zeros(total, np.int64) for _ in range(3))
    where = np.cumsum(long_runs + 1) - 1 + block
    symbols[:] = _ZRL
    symbols[where] = ((runs & 15) << 4) | category
    extra[where], extra_bits[where] = bits, category
    sizes = np.bincount(block, long_runs + 1, len(levels)).astype(np.int64) if ends.any() else ends
    symbols[np.cumsum(sizes + 1) - 1] = _EOB
    lengths = prefix.code_lengths(np.bincount(symbols, minlength=256))
    codes = (prefix.canonical_codes(lengths)[symbols] << extra_bits) | extra
    return prefix.write_table(lengths) + pack(codes, lengths[symbols] + extra_bits)


def _from_run_lengths(data: bytes, blocks: int) -> NDArray[np.int64]:
    lengths, size = prefix.read_table(data, 256)
    data = data[size:]
    table_lengths, table_symbols = prefix.decoding_tables(lengths)
    window = windows(data)
    symbol_at = table_symbols[window].astype(np.uint8)
    advance = table_lengths[window] + np.where(table_lengths[window] > 0, symbol_at & 15, 0)
    positions = _walk_until_blocks(symbol_at.tobytes(), advance.astype(np.uint8).tobytes(), blocks)
    symbols = symbol_at[positions].astype(np.int64)
    category = symbols & 15
    value = at(spread(data), positions + table_lengths[window[positions]], 16) >> (16 - category)
    value = np.where(value < (1 << category) >> 1, value - (1 << category) + 1, value)
    ended = symbols == _EOB
    block = np.cumsum(ended) - ended
    # A symbol covers its run and its value; ZRL covers sixteen zeros; an EOB nothing.
    covers = np.where(ended, 0, (symbols >> 4) + 1)
    total = np.cumsum(covers)
    before = np.append(0, total[ended])[block]
    place = total - before - 1
    coded = category > 0
    if (place[coded] >= BLOCK * BLOCK).any():
        raise ValueError("a run leaves its block")
    ordered = np.zeros((blocks, BLOCK * BLOCK), np.int64)
    ordered[block[coded], place[coded]] = value[coded]
    levels = np.empty_like(ordered)
    levels[:, zigzag()] = ordered
    return levels


def _walk_until_blocks(symbols: bytes, advance: bytes, blocks: int) -> NDArray[np.int64]:
    """Bit positions of the symbols of so many blocks, each of which an EOB ends."""
    positions, position, left = [], 0, blocks
    try:
        while left:
            positions.append(position)
            if not advance[position]:
                raise ValueError("bits that no code has")
            left -= symbols[position] == _EOB
            position += advance[position]
    except IndexError:
        raise ValueError("the codes run past the end of the data") from None
    return np.array(positions, np.int64)
