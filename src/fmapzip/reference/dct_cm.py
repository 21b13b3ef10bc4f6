"""The ``dct-cm`` codec of docs/FORMAT.md in plain NumPy: slow, obvious, the judge of the core."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmapzip.errors import CorruptFrame
from fmapzip.reference import dct
from fmapzip.reference.bit_blocks import ABSENT, BLOCK, Fields, Reader, block_fields, mask_fields, write
from fmapzip.reference.tiles import TileCodec

TILE_VALUES = 1 << 16
MAX_STEP, MIN_STEP = 4096, 4
MAX_COEFFICIENT = 40960


@dataclass(frozen=True)
class Parameters:
    """The parameter bytes of ``dct-cm``, taken apart."""

    transform: bool
    zero_mask: bool = False
    order: NDArray[np.int64] | None = None
    steps: tuple[int, ...] = ()
    tail_steps: tuple[int, ...] = ()
    points: NDArray[np.bool_] | None = None


def parse(blob: bytes) -> Parameters:
    """Take parameter bytes apart; raise `CorruptFrame` where they are not valid."""
    data = np.frombuffer(blob, np.uint8)
    if not len(data) or data[0] >> 4:
        raise CorruptFrame("the parameters are empty or set reserved bits")
    transform, zero_mask, has_order, has_points = (bool(data[0] >> i & 1) for i in range(4))
    if not transform:
        if zero_mask or has_order or len(data) != 1 + 32 * has_points:
            raise CorruptFrame("the parameters of the mask path have a wrong length or flag")
        points = np.unpackbits(data[1:], bitorder="little").astype(bool) if has_points else None
        if points is not None and not points[0]:
            raise CorruptFrame("zero is not among the reconstruction points")
        return Parameters(False, points=points)
    if has_points or len(data) < 2 or data[1] >> 5:
        raise CorruptFrame("the parameters of the transform path are cut or set reserved bits")
    length = 4 << int(data[1] & 3)
    tail = 2 << int(data[1] >> 2) if data[1] >> 2 else 0
    steps = np.frombuffer(blob[2 : 2 + 2 * (length + tail)], "<u2")
    order = np.frombuffer(blob[2 + 2 * (length + tail) :], "<u2").astype(np.int64)
    bad_step = (steps != 0) & ((steps < MIN_STEP) | (steps > MAX_STEP))
    if tail >= length or len(steps) != length + tail or bad_step.any():
        raise CorruptFrame("the steps are cut or out of range")
    if not steps[:length].any() or (tail and not steps[length:].any()):
        raise CorruptFrame("no frequency is kept")
    if bool(len(order)) != has_order or not np.array_equal(np.sort(order), np.arange(len(order))):
        raise CorruptFrame("the channel order is not a permutation")
    both = tuple(steps.tolist())
    return Parameters(True, zero_mask, order if has_order else None, both[:length], both[length:])


def group_lengths(channels: int, longest: int) -> list[int]:
    """Transform length of each group of channels: ``longest``, the last one the shortest that holds the rest."""
    full, rest = divmod(channels, longest)
    return [longest] * full + [min(n for n in (4, 8, 16, 32) if n >= rest)] * (rest > 0)


def check(p: Parameters, channels: int) -> None:
    """Raise `CorruptFrame` where the parameters do not fit maps of so many channels."""
    if not p.transform:
        return
    if group_lengths(channels, len(p.steps))[-1] != (len(p.tail_steps) or len(p.steps)):
        raise CorruptFrame("the parameters are for another number of channels")
    if p.order is not None and len(p.order) != channels:
        raise CorruptFrame("the parameters order another number of channels")


def tile_rows(shape: tuple[int, int, int]) -> int:
    """Rows of a tile: at least 65536 values, in multiples that fill whole blocks, at most the map."""
    c, h, w = shape
    unit = BLOCK // gcd(w, BLOCK)
    return min(h, unit * -(-TILE_VALUES // (c * w * unit)))


def zigzag(x: NDArray[Any]) -> NDArray[Any]:
    """Map 0, 1, -1, 2, -2, ... to 0, 1, 2, 3, 4, ..."""
    return np.where(x > 0, 2 * x - 1, -2 * x)


def unzigzag(code: NDArray[Any]) -> NDArray[Any]:
    """Inverse of :func:`zigzag`."""
    return np.where(code & 1, (code + 1) >> 1, -(code >> 1))


def point_values(points: NDArray[np.bool_] | None, dtype: np.dtype[Any]) -> NDArray[np.int64]:
    """Value that each code of the mask path stands for, by ascending magnitude, the positive one first."""
    values = np.arange(256).astype(np.uint8).view(dtype).astype(np.int64)
    values = values if points is None else values[points]
    return values[np.lexsort((-values, abs(values)))]


def block_positions(positions: int) -> int:
    """Positions of each block of a plane but the last: as few blocks as 64 allow, of nearly equal length."""
    return -(-positions // -(-positions // BLOCK))


def nearest_codes(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Code of the point nearest to each of -128 ... 255, of two equally near ones that of even index."""
    index = np.where(values > 0, np.cumsum(values > 0), np.cumsum(values < 0))
    distance = abs(np.arange(-128, 256)[:, None] - values)
    nearest: NDArray[np.int64] = (2 * distance + index % 2).argmin(axis=1)
    return nearest


def _in_blocks(rows: NDArray[Any]) -> NDArray[np.int32]:
    """[rows, positions] as [blocks, rows, 64], absent positions marked."""
    block = block_positions(rows.shape[1])
    short = -rows.shape[1] % block
    padded = np.pad(rows.astype(np.int32), ((0, 0), (0, short)), constant_values=ABSENT)
    blocks = padded.reshape(len(rows), -1, block).transpose(1, 0, 2)
    return np.pad(blocks, ((0, 0), (0, 0), (0, BLOCK - block)), constant_values=ABSENT)


def _filled(x: NDArray[np.int32]) -> NDArray[np.int32]:
    """Values with zeros replaced by the mean of the position's other values: the mask will restore them."""
    count = (x != 0).sum(axis=0)
    reciprocal = np.where(count, (65536 + count // 2) // np.maximum(count, 1), 0)
    mean = (x.sum(axis=0, dtype=np.int64) * reciprocal + 32768) >> 16
    return np.where(x == 0, mean, x).astype(np.int32)


def _group_codes(x: NDArray[np.int32], length: int, steps: tuple[int, ...]) -> NDArray[np.int64]:
    padded = np.concatenate([x, np.repeat(x[-1:], length - len(x), axis=0)])
    y = dct.forward(padded)
    kept = [k for k in range(length) if steps[k]]
    step = np.array([steps[k] for k in kept], np.int64)[:, None]
    magnitude = (abs(y[kept].astype(np.int64)) + step // 2) // step
    return zigzag(np.sign(y[kept]) * magnitude)


def encode(tile: NDArray[Any], parameters: bytes) -> bytes:
    """Body of one tile: uint8 or int8 [C, R, W]."""
    p = parse(parameters)
    check(p, len(tile))
    x = tile.reshape(len(tile), -1).astype(np.int32)
    if not p.transform and x.shape[1] == 1:
        x = x.reshape(1, -1)  # a vector
    fields: list[Fields] = []
    row = 0

    def number(blocks: int, offset: int, count: int, stride: int) -> NDArray[np.int64]:
        return (row + np.arange(blocks)[:, None] * stride + offset + np.arange(count)).ravel()

    if not p.transform:
        blocks = _in_blocks(nearest_codes(point_values(p.points, tile.dtype))[x + 128])
        for channel in range(len(x)):
            fields += block_fields(blocks[:, channel], np.arange(len(blocks)) + channel * len(blocks))
        return write(fields)
    x = x if p.order is None else x[p.order]
    lengths, start = group_lengths(len(x), len(p.steps)), 0
    for length in lengths:
        group = x[start : start + length]
        steps = p.steps if length == len(p.steps) else p.tail_steps
        codes = _in_blocks(_group_codes(_filled(group) if p.zero_mask else group, length, steps))
        masks = len(group) if p.zero_mask else 0
        stride = masks + codes.shape[1]
        if masks:
            fields += mask_fields(_in_blocks(group != 0).reshape(-1, BLOCK), number(len(codes), 0, masks, stride))
        if codes.shape[1]:
            fields += block_fields(codes.reshape(-1, BLOCK), number(len(codes), masks, codes.shape[1], stride))
        row += len(codes) * stride
        start += length
    return write(fields)


def decode(body: bytes, shape: tuple[int, int, int], dtype: np.dtype[Any], parameters: bytes) -> NDArray[Any]:
    """Map [C, R, W] of one tile; raises `FrameError` where ``body`` is not a valid tile."""
    p = parse(parameters)
    check(p, shape[0])
    reader, positions = Reader(body), shape[1] * shape[2]
    out = np.zeros((shape[0], positions), np.int32)
    if not p.transform and positions == 1:
        out, positions = out.reshape(1, -1), shape[0]  # a vector
    block = block_positions(positions)
    spans = [slice(at, min(at + block, positions)) for at in range(0, positions, block)]
    if not p.transform:
        values = point_values(p.points, dtype)
        for channel in out:
            for span in spans:
                codes = reader.block(len(channel[span]))
                if codes.max(initial=0) >= len(values):
                    raise CorruptFrame("a code stands for no reconstruction point")
                channel[span] = values[codes]
    start = 0
    for length in group_lengths(shape[0], len(p.steps)) if p.transform else []:
        group = out[start : start + length]
        steps = p.steps if length == len(p.steps) else p.tail_steps
        y = np.zeros((length, positions), np.int64)
        nonzero = np.ones(group.shape, bool)
        for span in spans:
            if p.zero_mask:
                for row in nonzero:
                    row[span] = reader.mask(len(row[span]))
            for k in range(length):
                if steps[k]:
                    y[k, span] = unzigzag(reader.block(len(y[k, span]))) * steps[k]
        x = dct.inverse(np.clip(y, -MAX_COEFFICIENT, MAX_COEFFICIENT).astype(np.int32))[: len(group)]
        lowest = -128 if dtype == np.int8 else int(p.zero_mask)
        group[:] = np.clip(x, lowest, np.iinfo(dtype).max) * nonzero
        start += length
    reader.finish()
    if p.order is not None:
        out[p.order] = out.copy()
    return out.astype(dtype).reshape(shape)


DCT_CM = TileCodec(encode, decode, tile_rows)
