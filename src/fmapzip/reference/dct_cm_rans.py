"""``dct-cm`` with rANS coding, from docs/format/dct-cm.md: 8-bit symbols through the entropy stage of context-rans."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmapzip.errors import CorruptFrame, TruncatedFrame
from fmapzip.reference import context_rans
from fmapzip.reference.bit_blocks import MAX_CODE_BITS
from fmapzip.reference.context_parameters import read
from fmapzip.reference.dct_cm_parameters import Parameters, group_lengths
from fmapzip.reference.dct_cm_values import (
    block_positions,
    filled,
    group_coefficients,
    group_values,
    nearest_codes,
    point_values,
)

LARGEST = 127
INT8, UINT8 = 128, 0  # how many values are negative


def encode(tile: NDArray[Any], below: int, p: Parameters) -> bytes:
    """Body of one tile; as long as the tile's values where the entropy stage gives up."""
    if not p.transform:
        _check(p.model, below, len(tile))
        values = point_values(p.points, below)
        codes = nearest_codes(values)[tile.astype(np.int64) + 255]
        return context_rans.encode(_indices(values)[codes], below, p.model)
    x = tile.reshape(len(tile), -1).astype(np.int32)
    ordered = x if p.order is None else x[p.order]
    quantized, start = [], 0
    for length in group_lengths(len(x), len(p.steps)):
        group = ordered[start : start + length]
        quantized.append(group_coefficients(filled(group) if p.zero_mask else group, length, p.steps_of(length)))
        start += length
    coefficients = np.concatenate(quantized)
    symbols = np.clip(coefficients, -LARGEST, LARGEST)
    _check(p.model, INT8, len(symbols))
    coded = context_rans.encode(symbols.reshape(len(symbols), *tile.shape[1:]), INT8, p.model)
    if len(coded) >= symbols.size:
        return bytes(tile.size)  # given up
    body = struct.pack("<I", len(coded)) + coded
    body += _excess_bytes(quantized)
    if not p.zero_mask:
        return body
    _check(p.mask_model, UINT8, len(tile))
    mask = context_rans.encode((tile != 0).astype(np.int64), UINT8, p.mask_model)
    return bytes(tile.size) if len(mask) >= tile.size else body + mask


def decode(body: bytes, shape: tuple[int, int, int], below: int, p: Parameters) -> NDArray[Any]:
    """Map [C, R, W] of one tile."""
    if not p.transform:
        _check(p.model, below, shape[0])
        return _values(context_rans.decode(body, shape, below, p.model), p, below)
    lengths = group_lengths(shape[0], len(p.steps))
    planes = [int(np.count_nonzero(p.steps_of(length))) for length in lengths]
    _check(p.model, INT8, sum(planes))
    if p.zero_mask:
        _check(p.mask_model, UINT8, shape[0])
    if len(body) < 4:
        raise TruncatedFrame("the tile ends inside its lengths")
    end = 4 + struct.unpack("<I", body[:4])[0]
    if end > len(body):
        raise TruncatedFrame("the tile ends inside its coefficients")
    coded = context_rans.decode(body[4:end], (sum(planes), *shape[1:]), INT8, p.model)
    symbols = coded.reshape(len(coded), -1).astype(np.int64)
    groups = np.split(symbols, np.cumsum(planes)[:-1])
    rest = _add_excess(groups, body[end:])
    positions = symbols.shape[1]
    nonzero = None
    if p.zero_mask:
        mask = context_rans.decode(rest, shape, UINT8, p.mask_model).reshape(shape[0], positions)
        if mask.max() > 1:
            raise CorruptFrame("a zero mask holds more than 0 and 1")
        nonzero = mask.astype(bool) if p.order is None else mask.astype(bool)[p.order]
    elif rest:
        raise CorruptFrame("bytes follow the large coefficients")
    out, start = np.zeros((shape[0], positions), np.int32), 0
    for length, group in zip(lengths, groups, strict=True):
        here = out[start : start + length]
        kept = None if nonzero is None else nonzero[start : start + length]
        here[:] = group_values(group, kept, here.shape, p.steps_of(length), below)
        start += length
    if p.order is not None:
        out[p.order] = out.copy()
    return out.reshape(shape)


def _check(model: bytes, below: int, channels: int) -> None:
    """Raise `CorruptFrame` where a model is not for such maps."""
    p = read(model)
    if (
        p.below != below
        or (p.channels and p.channels != channels)
        or model[0] & 16
        or (p.prediction and p.prediction.references)
    ):
        raise CorruptFrame("a model is for other maps")


def _indices(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Index of each code's point: those of each sign numbered from zero."""
    return np.where(values > 0, np.cumsum(values > 0), -1 * np.cumsum(values < 0))


def _values(indices: NDArray[Any], p: Parameters, below: int) -> NDArray[Any]:
    values = point_values(p.points, below)
    table = np.full(511, 999)
    table[_indices(values) + 255] = values
    out = table[indices.astype(np.int64) + 255]
    if (out == 999).any():
        raise CorruptFrame("an index stands for no reconstruction point")
    return out


def _blocks(group: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Views of a group's planes block by block, the order in which large coefficients are listed."""
    positions = group.shape[1]
    block = block_positions(positions)
    return [group[:, at : at + block] for at in range(0, positions, block)]


def _excess_bytes(groups: list[NDArray[np.int64]]) -> bytes:
    """What is beyond the largest symbol: a byte with a width, then values of that width."""
    magnitudes = [abs(part).ravel() for group in groups for part in _blocks(group)]
    excess = np.concatenate([m[m >= LARGEST] - LARGEST for m in magnitudes])
    width = int(excess.max(initial=0)).bit_length()
    bits = (excess[:, None] >> np.arange(width)) & 1
    return bytes([width]) + np.packbits(bits.astype(np.uint8), bitorder="little").tobytes()


def _add_excess(groups: list[NDArray[np.int64]], data: bytes) -> bytes:
    """Add to the largest symbols what is beyond them; returns the bytes that follow."""
    if not data:
        raise TruncatedFrame("the tile ends before its large coefficients")
    width, count = data[0], sum(int((abs(group) == LARGEST).sum()) for group in groups)
    size = 1 + -(-width * count // 8)
    if width > MAX_CODE_BITS or size > len(data):
        raise CorruptFrame("large coefficients are cut or have a reserved width")
    bits = np.unpackbits(np.frombuffer(data[1:size], np.uint8), bitorder="little").astype(np.int64)
    if bits[width * count :].any():
        raise CorruptFrame("padding bits are not zero")
    excess, at = bits[: width * count].reshape(count, width) @ (1 << np.arange(width)), 0
    for group in groups:
        for part in _blocks(group):
            large = abs(part) == LARGEST
            here = excess[at : at + int(large.sum())]
            part[large] += np.sign(part[large]) * here
            at += len(here)
    return data[size:]
