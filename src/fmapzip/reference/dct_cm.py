"""The ``dct-cm`` codec of docs/format/dct-cm.md in plain NumPy: slow, obvious, the judge of the core."""

from __future__ import annotations

from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmapzip.errors import CorruptFrame
from fmapzip.reference import context_rans, dct_cm_rans
from fmapzip.reference.bit_blocks import ABSENT, BLOCK, Fields, Reader, block_fields, mask_fields, write
from fmapzip.reference.dct_cm_parameters import check, group_lengths, parse
from fmapzip.reference.dct_cm_values import (
    block_positions,
    filled,
    group_coefficients,
    group_values,
    nearest_codes,
    point_values,
    unzigzag,
    zigzag,
)
from fmapzip.reference.tiles import TileCodec

TILE_VALUES = 1 << 16


def tile_rows(shape: tuple[int, int, int], parameters: bytes) -> int:
    """Rows of a tile: at least 65536 values, in multiples that fill whole blocks, at most the map."""
    if parse(parameters).rans:
        return context_rans.rows(shape)
    c, h, w = shape
    unit = BLOCK // gcd(w, BLOCK)
    return min(h, unit * -(-TILE_VALUES // (c * w * unit)))


def _in_blocks(rows: NDArray[Any]) -> NDArray[np.int32]:
    """[rows, positions] as [blocks, rows, 64], absent positions marked."""
    block = block_positions(rows.shape[1])
    short = -rows.shape[1] % block
    padded = np.pad(rows.astype(np.int32), ((0, 0), (0, short)), constant_values=ABSENT)
    blocks = padded.reshape(len(rows), -1, block).transpose(1, 0, 2)
    return np.pad(blocks, ((0, 0), (0, 0), (0, BLOCK - block)), constant_values=ABSENT)


def encode(tile: NDArray[Any], below: int, parameters: bytes) -> bytes:
    """Body of one tile of values [C, R, W]."""
    p = parse(parameters)
    check(p, len(tile), below)
    if p.rans:
        return dct_cm_rans.encode(tile, below, p)
    x = tile.reshape(len(tile), -1).astype(np.int32)
    if not p.transform and x.shape[1] == 1:
        x = x.reshape(1, -1)  # a vector
    fields: list[Fields] = []
    row = 0

    def number(blocks: int, offset: int, count: int, stride: int) -> NDArray[np.int64]:
        return (row + np.arange(blocks)[:, None] * stride + offset + np.arange(count)).ravel()

    if not p.transform:
        blocks = _in_blocks(nearest_codes(point_values(p.points, below))[x + 255])
        for channel in range(len(x)):
            fields += block_fields(blocks[:, channel], np.arange(len(blocks)) + channel * len(blocks))
        return write(fields)
    x = x if p.order is None else x[p.order]
    start = 0
    for length in group_lengths(len(x), len(p.steps)):
        group = x[start : start + length]
        coefficients = group_coefficients(filled(group) if p.zero_mask else group, length, p.steps_of(length))
        codes = _in_blocks(zigzag(coefficients))
        masks = len(group) if p.zero_mask else 0
        stride = masks + codes.shape[1]
        if masks:
            fields += mask_fields(_in_blocks(group != 0).reshape(-1, BLOCK), number(len(codes), 0, masks, stride))
        fields += block_fields(codes.reshape(-1, BLOCK), number(len(codes), masks, codes.shape[1], stride))
        row += len(codes) * stride
        start += length
    return write(fields)


def decode(body: bytes, shape: tuple[int, int, int], below: int, parameters: bytes) -> NDArray[Any]:
    """Map [C, R, W] of one tile; raises `FrameError` where ``body`` is not a valid tile."""
    p = parse(parameters)
    check(p, shape[0], below)
    if p.rans:
        return dct_cm_rans.decode(body, shape, below, p)
    reader, positions = Reader(body), shape[1] * shape[2]
    out = np.zeros((shape[0], positions), np.int32)
    if not p.transform and positions == 1:
        out, positions = out.reshape(1, -1), shape[0]  # a vector
    block = block_positions(positions)
    spans = [slice(at, min(at + block, positions)) for at in range(0, positions, block)]
    if not p.transform:
        values = point_values(p.points, below)
        for channel in out:
            for span in spans:
                codes = reader.block(len(channel[span]))
                if codes.max(initial=0) >= len(values):
                    raise CorruptFrame("a code stands for no reconstruction point")
                channel[span] = values[codes]
    start = 0
    for length in group_lengths(shape[0], len(p.steps)) if p.transform else []:
        group, steps = out[start : start + length], p.steps_of(length)
        quantized = np.zeros((np.count_nonzero(steps), positions), np.int64)
        nonzero = np.ones(group.shape, bool) if p.zero_mask else None
        for span in spans:
            for row in nonzero if nonzero is not None else ():
                row[span] = reader.mask(len(row[span]))
            for row in quantized:
                row[span] = unzigzag(reader.block(len(row[span])))
        group[:] = group_values(quantized, nonzero, group.shape, steps, below)
        start += length
    reader.finish()
    if p.order is not None:
        out[p.order] = out.copy()
    return out.reshape(shape)


DCT_CM = TileCodec(encode, decode, tile_rows)
