"""Estimates of values from reference maps, from docs/format/context-rans.md."""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmapzip.errors import ReferenceMismatch
from fmapzip.reference.checksum import crc32c
from fmapzip.reference.context_parameters import Reference, References

Ints = NDArray[np.int64]


def checksum(maps: Sequence[NDArray[Any]]) -> bytes:
    """What a body begins with."""
    return crc32c(b"".join(np.ascontiguousarray(q).tobytes() for q in maps)).to_bytes(4, "little")


class Estimates:
    """What reference maps tell of a tile [R, W, C] that begins at row `top` of its map.

    Attributes
    ----------
    values : [R W, C], in 1/64 of a companded value
    seen : [R W, C], the magnitude of the last reference of the same channel
    """

    def __init__(
        self,
        p: References,
        maps: Sequence[NDArray[Any]],
        shape: tuple[int, int, int],
        axis: tuple[int, int],
        top: int,
    ) -> None:
        channels, rows, width = shape
        if len(maps) != len(p.maps):
            raise ReferenceMismatch("the parameters refer to another number of maps")
        heard = [_worked(reference, q) for reference, q in zip(p.maps, maps, strict=True)]
        gain, zero = axis
        self.values = np.zeros((rows * width, channels), np.int64)
        self.seen = np.zeros((rows * width, channels), np.int64)
        for position in range(rows * width):
            row, column = divmod(position, width)
            sums, first = np.zeros(channels, np.int64), 0
            for reference, q in zip(p.maps, heard, strict=True):
                around = _around(reference, q, top + row, column)  # [places, C']
                weights = p.weights[:, first : first + reference.inputs]
                first += reference.inputs
                if reference.same_channel:
                    sums += (weights.T * around).sum(0)
                    outside = _bytes(np.array([reference.outside], np.uint8), reference)[0]
                    magnitudes = np.abs(around[len(around) // 2] - outside)
                    self.seen[position] = [isqrt(64 * v) for v in magnitudes.tolist()]
                else:
                    sums += weights @ around.reshape(-1)
            estimates = np.clip((sums >> p.shifts) + p.biases, -2048, 4095).tolist()
            roots = [(1 if e >= 0 else -1) * isqrt(256 * gain * abs(e)) for e in estimates]
            self.values[position] = 64 * zero + np.array(roots)


def _worked(reference: Reference, q: NDArray[Any]) -> Ints:
    if q.shape[0] != reference.channels or (q.dtype == np.int8) != reference.signed:
        raise ReferenceMismatch("a reference map has other channels, or is of another type")
    return _bytes(q.view(np.uint8), reference)


def _bytes(q: NDArray[np.uint8], reference: Reference) -> Ints:
    return q.astype(np.int64) ^ (128 if reference.signed else 0)


def _around(reference: Reference, q: Ints, row: int, column: int) -> Ints:
    """Bytes of all channels at the places that are heard."""
    reach, stride = (1 if reference.wide else 0), (2 if reference.halved else 1)
    outside = np.full(q.shape[0], _bytes(np.array([reference.outside], np.uint8), reference)[0])
    found = []
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            y, x = stride * row + dy, stride * column + dx
            inside = 0 <= y < q.shape[1] and 0 <= x < q.shape[2]
            found.append(q[:, y, x] if inside else outside)
    return np.array(found)
