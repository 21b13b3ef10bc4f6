"""Values, points and coefficients of ``dct-cm``, from docs/format/dct-cm.md: what its codings have in common."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmapzip.reference import dct
from fmapzip.reference.bit_blocks import BLOCK

MAX_COEFFICIENT = 40960


def block_positions(positions: int) -> int:
    """Positions of each block of a plane but the last: as few blocks as 64 allow, of nearly equal length."""
    return -(-positions // -(-positions // BLOCK))


def nearest_codes(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Code of the point nearest to each of -255 ... 255, of two equally near ones that of even index."""
    index = np.where(values > 0, np.cumsum(values > 0), np.cumsum(values < 0))
    distance = abs(np.arange(-255, 256)[:, None] - values)
    nearest: NDArray[np.int64] = (2 * distance + index % 2).argmin(axis=1)
    return nearest


def zigzag(x: NDArray[Any]) -> NDArray[Any]:
    """Map 0, 1, -1, 2, -2, ... to 0, 1, 2, 3, 4, ..."""
    return np.where(x > 0, 2 * x - 1, -2 * x)


def unzigzag(code: NDArray[Any]) -> NDArray[Any]:
    """Inverse of :func:`zigzag`."""
    return np.where(code & 1, (code + 1) >> 1, -(code >> 1))


def point_values(points: NDArray[np.bool_] | None, below: int) -> NDArray[np.int64]:
    """Value that each code of the mask path stands for, by ascending magnitude, the positive one first."""
    values = (np.arange(256) + below) % 256 - below
    values = values if points is None else values[points]
    return values[np.lexsort((-values, abs(values)))]


def filled(x: NDArray[np.int32]) -> NDArray[np.int32]:
    """Values with zeros replaced by the mean of the position's other values: the mask will restore them."""
    count = (x != 0).sum(axis=0)
    reciprocal = np.where(count, (65536 + count // 2) // np.maximum(count, 1), 0)
    mean = (x.sum(axis=0, dtype=np.int64) * reciprocal + 32768) >> 16
    return np.where(x == 0, mean, x).astype(np.int32)


def group_coefficients(x: NDArray[np.int32], length: int, steps: tuple[int, ...]) -> NDArray[np.int64]:
    """Quantized coefficients of a group's channels, [C, positions]: one row for each frequency that is kept."""
    padded = np.concatenate([x, np.repeat(x[-1:], length - len(x), axis=0)])
    y = dct.forward(padded)
    kept = [k for k in range(length) if steps[k]]
    step = np.array([steps[k] for k in kept], np.int64)[:, None]
    magnitude = (abs(y[kept].astype(np.int64)) + step // 2) // step
    quantized: NDArray[np.int64] = np.sign(y[kept]) * magnitude
    return quantized


def group_values(
    quantized: NDArray[np.int64],
    nonzero: NDArray[np.bool_] | None,
    shape: tuple[int, int],
    steps: tuple[int, ...],
    below: int,
) -> NDArray[np.int32]:
    """The inverse: values of a group's channels, `shape`; where `nonzero` is given, only those are not zero."""
    y = np.zeros((len(steps), shape[1]), np.int64)
    kept = [k for k, step in enumerate(steps) if step]
    y[kept] = quantized * np.array([steps[k] for k in kept])[:, None]
    x = dct.inverse(np.clip(y, -MAX_COEFFICIENT, MAX_COEFFICIENT).astype(np.int32))[: shape[0]]
    lowest = int(nonzero is not None) if below == 0 else -below
    values: NDArray[np.int32] = np.clip(x, lowest, 255 - below)
    return values if nonzero is None else values * nonzero
