"""Near-lossless re-quantization of 8-bit values: index = value / step rounded half to even."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmapzip.codecs.base import IntegerMap
from fmapzip.codecs.context_rans_parameters import Ints
from fmapzip.zero_point import below_zero, value_bytes, values_of_bytes


def step_indices(magnitudes: Ints, step: Fraction) -> Ints:
    """The index of each magnitude; half to even, so that the intervals of an even step are centred on integers."""
    doubled = 2 * magnitudes * step.denominator + step.numerator
    indices: Ints = doubled // (2 * step.numerator)
    even: Ints = indices - ((indices % 2 == 1) & (doubled % (2 * step.numerator) == 0))
    return even


def trained_points(values: NDArray[Any], below: int, step: Fraction) -> tuple[int, ...]:
    """The mean of the calibrated magnitudes that each index stands for, rounded; those of negative values follow.

    `values` are as `fmapzip.zero_point.value_bytes` gives them.
    """
    counts = np.bincount(values.view(np.uint8).reshape(-1), minlength=256)
    return _points(counts[: 256 - below], step) + _points(counts[-np.arange(below + 1) % 256], step)


def _points(counts: Ints, step: Fraction) -> tuple[int, ...]:
    magnitudes = np.arange(len(counts))
    indices = step_indices(magnitudes, step)
    points = []
    for index in range(1, int(indices[-1]) + 1):
        inside = indices == index
        values, weights = magnitudes[inside], counts[inside]
        if not weights.any():
            weights = np.ones_like(weights)
        total = int(weights.sum())
        points.append((2 * int(values @ weights) + total) // (2 * total))
    return tuple(points)


def requantized(maps: IntegerMap, zero_point: int, step: Fraction) -> IntegerMap:
    """What maps become that are re-quantized by `step`, with points that are trained on them."""
    below = below_zero(maps.dtype, zero_point)
    coded = value_bytes(maps, zero_point)
    values = values_of_bytes(below)
    indices, points = step_indices(abs(values), step), trained_points(coded, below, step)
    count = int(indices[values > 0].max(initial=0))
    decoded = np.array((0, *points[:count]))[np.minimum(indices, count)]
    negative = values < 0
    decoded[negative] = -np.array((0, *points[count:]))[indices[negative]]
    integers = decoded + zero_point
    table: IntegerMap = integers.astype(np.int8) if maps.dtype == np.int8 else integers.astype(np.uint8)
    return table[coded.view(np.uint8)]


def value_tables(below: int, step: Fraction, points: tuple[int, ...]) -> tuple[Ints, Ints]:
    """Of each byte: the index of its value, as a byte; and, as an index, its value (0 where it has none)."""
    index_of, value_of = np.zeros(256, np.int64), np.zeros(256, np.int64)
    for sign, most in ((1, 255 - below), (-1, below)):
        magnitudes = np.arange(most + 1)
        indices = step_indices(magnitudes, step)
        index_of[sign * magnitudes % 256] = sign * indices % 256
        count = int(indices[-1])
        ours, points = points[:count], points[count:]
        for index in range(1, count + 1):
            value_of[sign * index % 256] = sign * (ours[index - 1] if ours else index)
    return index_of, value_of
