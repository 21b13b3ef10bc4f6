"""What level `ultra` adds to the parameters of `context-rans` (docs/format/context-rans.md)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

INPUTS = 20
GIVEN_INPUTS = 22  # with reference maps
UNITS = 32
OUTPUTS = 3  # mean, spread, zero
MEAN_STEPS = 128
SPREAD_STEPS = 16
MAX_HEAD_TABLES = 256
UNIT_BIAS = 16  # what a bias of one stands for
OUTPUT_BIAS = 64

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class HeadParameters:
    """The numbers of docs/format/context-rans.md, by the names that it gives them.

    `west` and `north` are [C, rank], `traits` [C, 2], `units` [32, inputs], `of_units` [3, 32],
    `of_inputs` [3, inputs], and `table_of` has an entry for each pair of a mean's step and a spread's.
    """

    unit_shift: int
    output_shifts: tuple[int, ...]
    west: Ints
    north: Ints
    traits: Ints
    units: Ints
    unit_bias: Ints
    of_units: Ints
    of_inputs: Ints
    output_bias: Ints
    table_of: Ints

    def arrays(self) -> tuple[Ints, ...]:
        """The arrays before the cells, in order."""
        network = (self.units, self.unit_bias, self.of_units, self.of_inputs, self.output_bias)
        return self.west, self.north, self.traits, *network
