"""What dct-cm hands to rANS: 8-bit maps of its values, coefficients and zero masks, for training its models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import pi
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmapzip.codecs.dct_cm_parameters import first_length, group_length, scaled_step
from fmapzip.codecs.dct_cm_training import nearest_points
from fmapzip.geometry import worked_shape
from fmapzip.zero_point import as_bytes, values_of_bytes

LARGEST_SYMBOL = 127

StepsOf = Callable[[int], Sequence[float | None]]


def planes(maps: NDArray[Any]) -> NDArray[Any]:
    """[N, C, ...] as [N, C, H, W]."""
    return maps.reshape(len(maps), *worked_shape(maps.shape[1:]))


def index_maps(coded: NDArray[Any], below: int, points: NDArray[np.int64] | None) -> NDArray[Any]:
    """Value bytes of the mask path as indices of their points, numbered from zero for each sign, as bytes too."""
    if points is None:
        return planes(coded)
    nearest = nearest_points(points, values_of_bytes(below))
    index = np.searchsorted(points, nearest) - int(np.searchsorted(points, 0))
    return as_bytes(index, below)[planes(coded).view(np.uint8)]


def coefficient_maps(
    maps: NDArray[Any], group: int, steps_of: StepsOf, order: Sequence[int] | None, zero_mask: bool
) -> NDArray[np.int8]:
    """Quantized coefficients of the transform path, cut to symbols: int8 [N, planes, H, W]."""
    batch = planes(maps)
    if order is not None:
        batch = batch[:, np.asarray(order)]
    channels = batch.shape[1]
    first = first_length(channels, group)
    symbols = []
    for start in range(0, channels, first):
        members = batch[:, start : start + first]
        length = first if members.shape[1] == first else group_length(channels, first)
        symbols.append(np.stack([_group_symbols(x, length, steps_of(length), zero_mask) for x in members]))
    return np.concatenate(symbols, axis=1)


def zero_masks(maps: NDArray[Any]) -> NDArray[np.uint8]:
    """Where values are not zero: uint8 [N, C, H, W] of 0 and 1."""
    mask: NDArray[np.uint8] = (planes(maps) != 0).astype(np.uint8)
    return mask


def _group_symbols(x: NDArray[Any], length: int, steps: Sequence[float | None], zero_mask: bool) -> NDArray[np.int8]:
    """Symbols of one group of one sample, [C, H, W]."""
    values = x.astype(np.float64)
    if zero_mask:
        count = np.count_nonzero(values, axis=0)
        mean = np.floor(values.sum(axis=0) / np.maximum(count, 1) + 0.5)
        values = np.where(values == 0, mean, values)
    values = np.concatenate([values, np.repeat(values[-1:], length - len(values), axis=0)])
    kept = [k for k in range(length) if steps[k] is not None]
    # The rotations' constants rounded as a whole matrix: a symbol may differ from the core's by one, the sums of
    # integers are exact and so the same on every machine.
    angles = pi * np.outer(kept, 2 * np.arange(length) + 1) / (2 * length)
    basis = np.rint(8192 * np.cos(angles) * np.where(np.array(kept) == 0, 1.0, np.sqrt(2))[:, None])
    coefficients = np.tensordot(basis, values, axes=1) * (128 // length) / 8192
    scaled = np.array([scaled_step(length, step) for step in steps if step is not None], np.float64)
    quantized = np.rint(coefficients / scaled[:, None, None])
    return np.clip(quantized, -LARGEST_SYMBOL, LARGEST_SYMBOL).astype(np.int8)
