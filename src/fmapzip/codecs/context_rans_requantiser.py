"""Near-lossless re-quantisation of 8-bit values: index = value / step rounded half to even."""

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
