"""Extended bit-plane compression: a zero/nonzero run-length stream and a bit-plane stream of the nonzero values.

Written from the paper and the published hardware description and its stimuli (docs/METHODS.md, "EBPC").
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fmapzip.baselines.base import Baseline, IntegerMap, Parts, Shape, as_bytes, choose, from_bytes
from fmapzip.baselines.bits import at, pack, spread, windows
from fmapzip.baselines.zero_runs import burst_codes, parse_bursts

WORD = 8
PLANES = WORD + 1  # a difference of two words has one bit more
BURST_BITS = 4

# Symbols: code and number of bits (table 3 of the paper, ebpc_pkg.sv).
_ONE_ZERO_PLANE = (0b01, 2)
_ZERO_PLANES, _ZERO_PLANES_BITS = 0b001, 6  # and 3 bits: planes - 2
_ALL_ONES = (0b00000, 5)
_ZERO_DBP = (0b00001, 5)
_TWO_ONES, _SINGLE_ONE = 0b00010, 0b00011  # 5 bits, and the position of the first one from the left


def znz_stream(words: NDArray[Any]) -> bytes:
    """The zero/nonzero stream: "1" for a nonzero word, "0" and four bits for a burst of 1 to 16 zeros.

    Parameters
    ----------
    words : 8-bit integers, any shape, in C order

    Examples
    --------
    >>> znz_stream(np.array([7, 0, 0, 0, 9], np.uint8)).hex()
    '8a'
    """
    return pack(*burst_codes(as_bytes(words), BURST_BITS))


def bpc_stream(words: NDArray[Any], block: int = 8) -> bytes:
    """The bit-plane stream of the nonzero words, the last block filled up with zero words.

    Parameters
    ----------
    words : uint8 or int8, any shape, in C order
        Zeros are left out. Differences are those of the words as numbers, in 9-bit two's complement.
    block : 8 or 16
        Words in a block.
    """
    values = np.ascontiguousarray(words).reshape(-1)
    values = values[values != 0].astype(np.int64)
    blocks = np.pad(values, (0, -values.size % block)).reshape(-1, block)
    if not blocks.size:
        return b""
    dbp = _planes(blocks)
    dbx = dbp.copy()
    dbx[:, 1:] ^= dbp[:, :-1]  # the lowest plane comes first, as it is: a decoder goes up from there
    codes = np.empty((len(blocks), 1 + PLANES), np.int64)
    lengths = np.empty_like(codes)
    codes[:, 0], lengths[:, 0] = blocks[:, 0] & 0xFF, WORD
    table_codes, table_lengths = _symbols(block)
    codes[:, 1:], lengths[:, 1:] = table_codes[dbx], table_lengths[dbx]
    dead = (dbp == 0) & (dbx != 0) & (dbx != (1 << (block - 1)) - 1)
    codes[:, 1:][dead], lengths[:, 1:][dead] = _ZERO_DBP
    _merge_zero_planes(dbx == 0, codes[:, 1:], lengths[:, 1:])
    return pack(codes.reshape(-1), lengths.reshape(-1))


def _planes(blocks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Bit planes of the differences, lowest first; in each the first difference is the highest bit."""
    deltas = np.diff(blocks, axis=1)
    weights = 1 << np.arange(deltas.shape[1] - 1, -1, -1)
    return np.stack([((deltas >> k) & 1) @ weights for k in range(PLANES)], axis=1)


@cache
def _symbols(block: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Code and length of every XORed plane except the zero one, by its value."""
    width = block - 1
    place_bits = (block - 1).bit_length()
    planes = np.arange(1 << width, dtype=np.int64)
    codes, lengths = (1 << width) | planes, np.full(planes.size, block, np.int64)
    for place in range(width - 1):
        pair = 0b11 << (width - 2 - place)
        codes[pair], lengths[pair] = (_TWO_ONES << place_bits) | place, 5 + place_bits
    for place in range(width):
        single = 1 << (width - 1 - place)
        codes[single], lengths[single] = (_SINGLE_ONE << place_bits) | place, 5 + place_bits
    codes[-1], lengths[-1] = _ALL_ONES
    return codes, lengths


def _merge_zero_planes(zero: NDArray[np.bool_], codes: NDArray[np.int64], lengths: NDArray[np.int64]) -> None:
    """Code each run of zero planes where it begins."""
    following = np.zeros(len(zero), np.int64)
    for plane in range(PLANES - 1, -1, -1):
        run = np.where(zero[:, plane], following + 1, 0)
        begins = zero[:, plane] & (~zero[:, plane - 1] if plane else True)
        one, many = begins & (run == 1), begins & (run > 1)
        lengths[zero[:, plane], plane] = 0
        codes[zero[:, plane], plane] = 0
        codes[one, plane], lengths[one, plane] = _ONE_ZERO_PLANE
        codes[many, plane] = (_ZERO_PLANES << 3) | (run[many] - 2)
        lengths[many, plane] = _ZERO_PLANES_BITS
        following = run


def decode_bpc(data: bytes, count: int, block: int, signed: bool) -> NDArray[np.int64]:
    """The first `count` words of a bit-plane stream; `ValueError` where it does not hold them."""
    blocks = -(-count // block)
    if not blocks:
        return np.zeros(0, np.int64)
    lengths, planes = _advances(data, block)
    starts, symbols, end = _walk_blocks(lengths, planes, blocks)
    if (end + 7) // 8 != len(data):
        raise ValueError("the bit-plane stream holds more or fewer blocks")
    bits = spread(data)
    base = at(bits, starts, WORD)
    if signed:
        base = (base ^ 0x80) - 0x80
    dbx, zero_dbp = _read_symbols(bits, symbols, np.frombuffer(planes, np.uint8)[symbols], blocks, block)
    dbp = np.zeros(blocks, np.int64)
    deltas = np.zeros((blocks, block - 1), np.int64)
    places = np.arange(block - 2, -1, -1)
    for plane in range(PLANES):
        dbp = np.where(zero_dbp[:, plane], 0, dbp ^ dbx[:, plane])
        deltas |= ((dbp[:, None] >> places) & 1) << plane
    deltas = (deltas ^ (1 << WORD)) - (1 << WORD)
    values = np.concatenate([base[:, None], deltas], axis=1).cumsum(axis=1).reshape(-1)
    return values[:count]


def _advances(data: bytes, block: int) -> tuple[bytes, bytes]:
    """For every bit position, the bits and the planes of the symbol that would begin there."""
    window = windows(data)
    head = window >> 11
    place_bits = (block - 1).bit_length()
    by_head = np.full(32, block, np.uint8)  # "1...": the plane itself
    by_head[0b01000:0b10000] = 2
    by_head[0b00100:0b01000] = _ZERO_PLANES_BITS
    by_head[0b00000:0b00010] = 5
    by_head[0b00010:0b00100] = 5 + place_bits
    many = (head >= 0b00100) & (head < 0b01000)
    planes = np.where(many, ((window >> 10) & 7) + 2, 1).astype(np.uint8)
    return by_head[head].tobytes(), planes.tobytes()


def _walk_blocks(lengths: bytes, planes: bytes, blocks: int) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Bit positions of the blocks and of their symbols, and where the last one ends."""
    starts, symbols, position = [], [], 0
    try:
        for _ in range(blocks):
            starts.append(position)
            position += WORD
            left = PLANES
            while left > 0:
                symbols.append(position)
                left -= planes[position]
                position += lengths[position]
            if left:
                raise ValueError("a run of zero planes leaves its block")
    except IndexError:
        raise ValueError("the bit-plane stream ends early") from None
    return np.array(starts, np.int64), np.array(symbols, np.int64), position


def _read_symbols(
    bits: NDArray[np.int64], positions: NDArray[np.int64], planes: NDArray[np.uint8], blocks: int, block: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """XORed planes [blocks, 9], and where a plane is zero before the XOR."""
    width, place_bits = block - 1, (block - 1).bit_length()
    head = at(bits, positions, 5)
    place = at(bits, positions + 5, place_bits)
    value = np.where(head >= 0b10000, at(bits, positions + 1, width), 0)
    value[head == _ALL_ONES[0]] = (1 << width) - 1
    single, pair = head == _SINGLE_ONE, head == _TWO_ONES
    if (place[single] >= width).any() or (place[pair] >= width - 1).any():
        raise ValueError("a one lies outside its plane")
    value[single] = 1 << (width - 1 - place[single])
    value[pair] = 0b11 << (width - 2 - place[pair])
    where = np.cumsum(planes, dtype=np.int64) - planes
    dbx, zero_dbp = np.zeros(blocks * PLANES, np.int64), np.zeros(blocks * PLANES, np.bool_)
    dbx[where] = value
    zero_dbp[where] = head == _ZERO_DBP[0]
    return dbx.reshape(blocks, PLANES), zero_dbp.reshape(blocks, PLANES)


@dataclass(frozen=True, repr=False)
class Ebpc(Baseline):
    """Extended bit-plane compression, 8-bit words, blocks of 8 or 16.

    Bytes: the length of the zero/nonzero stream (4, little endian), that stream, the bit-plane stream; each stream is
    zero-padded to a whole word.
    """

    id: ClassVar[str] = "ebpc"
    source: ClassVar[str] = "Cavigelli, Rutishauser, Benini: EBPC, JETCAS 9(4), 2019; pulp-platform/stream-ebpc"

    block: int = 8

    def __post_init__(self) -> None:
        choose("block", self.block, (8, 16))

    def encode(self, q: IntegerMap, side: bytes = b"") -> bytes:
        """Both streams of the map in planar order."""
        znz = znz_stream(q)
        return struct.pack("<I", len(znz)) + znz + bpc_stream(q, self.block)

    def decode(self, data: bytes, shape: Shape, dtype: np.dtype[Any], side: bytes = b"") -> IntegerMap:
        """The map."""
        (length,) = struct.unpack_from("<I", data)
        values = np.zeros(prod(shape), np.uint8)
        places, _ = parse_bursts(data[4 : 4 + length], values.size, BURST_BITS, 1)
        values[places] = decode_bpc(data[4 + length :], places.size, self.block, dtype == np.int8) & 0xFF
        return from_bytes(values, shape, dtype)

    def parts(self, data: bytes, shape: Shape) -> Parts:
        """The bit-plane stream, the zero/nonzero stream ("masks") and its length."""
        (length,) = struct.unpack_from("<I", data)
        return {"payload": len(data) - length - 4, "masks": length, "headers": 4}
