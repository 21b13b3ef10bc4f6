"""Near-lossless re-quantization of 8-bit values: index = value / step rounded half to even."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from fmapzip.codecs.base import IntegerMap
from fmapzip.codecs.context_rans_parameters import Ints


def step_indices(magnitudes: Ints, step: Fraction) -> Ints:
    """The index of each magnitude; half to even, so that the intervals of an even step are centred on integers."""
    doubled = 2 * magnitudes * step.denominator + step.numerator
    indices: Ints = doubled // (2 * step.numerator)
    even: Ints = indices - ((indices % 2 == 1) & (doubled % (2 * step.numerator) == 0))
    return even


def trained_points(maps: IntegerMap, step: Fraction) -> tuple[int, ...]:
    """The mean of the calibrated magnitudes that each index stands for, rounded; int8's negative ones follow."""
    counts = np.bincount(maps.view(np.uint8).reshape(-1), minlength=256)
    if maps.dtype == np.uint8:
        return _points(counts, step)
    return _points(counts[:128], step) + _points(counts[-np.arange(129) % 256], step)


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


def requantized(maps: IntegerMap, step: Fraction) -> IntegerMap:
    """What maps become that are re-quantized by `step`, with points that are trained on them."""
    values = np.arange(256, dtype=np.uint8).view(maps.dtype).astype(np.int64)
    indices, points = step_indices(abs(values), step), trained_points(maps, step)
    count = int(indices[values > 0].max())
    decoded = np.array((0, *points[:count]))[np.minimum(indices, count)]
    negative = values < 0
    decoded[negative] = -np.array((0, *points[count:]))[indices[negative]]
    table: IntegerMap = decoded.astype(np.int8) if maps.dtype == np.int8 else decoded.astype(np.uint8)
    return table[maps.view(np.uint8)]
