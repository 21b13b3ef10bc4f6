"""Positions of calibration maps with their neighbourhoods, to fit predictions to."""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from fmapzip.codecs.base import IntegerMap
from fmapzip.codecs.context_rans_parameters import Ints
from fmapzip.zero_point import SIGNED, UNSIGNED

NEIGHBOURS = 7  # W, N, NW, NE, WW, NN, NEE
DISTANCES = ((0, 1), (0, 2), (1, 2), (1, 3), (0, 4), (1, 5))
"""Pairs of neighbours whose differences tell how far a value may lie from what is expected."""

_SEED = 20261124
_FAR = 1e4  # beyond all companded values

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Samples:
    """Values of some positions, [positions, C]: their indices as bytes, companded, and companded neighbours."""

    indices: NDArray[np.uint8]
    companded: NDArray[np.uint8]
    neighbours: list[NDArray[np.uint8]]
    estimates: Ints | None = None  # of reference maps, in 1/64


@dataclass(frozen=True)
class Axis:
    """The companded axis of values of which `below` are negative: its gain, and where zero lies."""

    gain: int
    zero: int

    @classmethod
    def of(cls, below: int) -> Axis:
        """As docs/format/context-rans.md says."""
        if below == UNSIGNED:
            return cls(256, 0)
        if below == SIGNED:
            return cls(126, 128)
        product = below * (255 - below)
        gain = 65025 // (255 + 2 * (isqrt(product - 1) + 1 if product else 0))
        return cls(gain, isqrt(gain * below))

    def companded(self, values: Ints) -> Ints:
        """Of values, in integers."""
        result: Ints = self.zero + np.sign(values) * np.floor(np.sqrt(self.gain * np.abs(values))).astype(np.int64)
        return result

    def edges(self, values: Ints) -> tuple[Floats, Floats]:
        """Of each index as a byte, the interval that it has among the values that indices stand for."""
        existing = np.unique(values)
        middles = (existing[1:] + existing[:-1]) / 2
        ends = self.zero + np.sign(middles) * np.sqrt(self.gain * np.abs(middles))
        place = np.searchsorted(existing, values)
        low, high = np.concatenate([[-_FAR], ends]), np.concatenate([ends, [_FAR]])
        return low[place].astype(np.float32), high[place].astype(np.float32)


def sample(maps: IntegerMap, index_of: Ints, companded: Ints, most: int) -> Samples:
    """About `most` positions of maps [N, C, H, W], the same for the same maps.

    `index_of` and `companded` are tables of bytes: of a value its index, and of an index what it is companded to.
    """
    return sample_at(maps, index_of, companded, chosen_positions(maps, most))


def chosen_positions(maps: IntegerMap, most: int) -> Ints:
    """About `most` positions of maps [N, C, H, W], numbered through all maps, ascending."""
    count, _, height, width = maps.shape
    positions = count * height * width
    if positions <= most:
        return np.arange(positions)
    chosen: Ints = np.sort(np.random.default_rng(_SEED).choice(positions, most, replace=False))
    return chosen


def sample_at(maps: IntegerMap, index_of: Ints, companded: Ints, positions: Ints) -> Samples:
    """`sample` of these positions."""
    _, _, height, width = maps.shape
    n, rest = np.divmod(positions, height * width)
    row, column = np.divmod(rest, width)
    start = np.uint8(companded[0])
    index_table, table = index_of.astype(np.uint8), companded.astype(np.uint8)

    def at(rows: Ints, columns: Ints) -> NDArray[np.uint8]:
        return index_table[maps[n, :, rows, columns].view(np.uint8)]

    first = row == 0
    above, left = np.maximum(row - 1, 0), np.maximum(column - 1, 0)
    right = np.minimum(column + 1, width - 1), np.minimum(column + 2, width - 1)
    w_row = np.where((column == 0) & ~first, above, row)
    indices = at(row, column)
    w = table[at(w_row, left)]
    w[first & (column == 0)] = start
    ww = np.where((column > 1)[:, None], table[at(row, np.maximum(column - 2, 0))], w)
    upper = [
        table[at(above, column)],
        table[at(above, left)],
        table[at(above, right[0])],
        table[at(np.maximum(row - 2, 0), column)],
        table[at(above, right[1])],
    ]
    n_, nw, ne, nn, nee = (np.where(first[:, None], w, found) for found in upper)
    return Samples(indices, table[indices], [w, n_, nw, ne, ww, nn, nee])
