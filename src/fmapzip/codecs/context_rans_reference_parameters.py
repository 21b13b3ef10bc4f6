"""What reference maps add to the parameters of `context-rans` (docs/format/context-rans.md)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fmapzip.codecs.varint import varint

MAX_SHIFT = 24
ESTIMATE_ONE = 16  # of an estimate: what a value of one is
LOWEST, HIGHEST = -2048, 4095  # estimates

Ints = NDArray[np.int64]

_SAME_CHANNEL, _WIDE, _HALVED, _SIGNED = 1, 2, 4, 8


@dataclass(frozen=True)
class Reference:
    """What is heard of one reference map.

    Attributes
    ----------
    channels
        Of the reference map.
    same_channel
        Whether a value hears its own channel alone, else all.
    wide
        Whether it hears 3x3 positions, else one.
    halved
        Whether the reference has two rows and columns for one of the map.
    signed
        Whether it holds int8.
    outside
        The byte that stands outside it.
    """

    channels: int
    same_channel: bool = False
    wide: bool = False
    halved: bool = False
    signed: bool = False
    outside: int = 0

    @property
    def positions(self) -> int:
        """How many positions a value hears."""
        return 9 if self.wide else 1

    @property
    def inputs(self) -> int:
        """How many numbers a value hears."""
        return self.positions * (1 if self.same_channel else self.channels)

    def fields(self) -> bytes:
        """What comes before the arrays."""
        kind = _SAME_CHANNEL * self.same_channel + _WIDE * self.wide + _HALVED * self.halved + _SIGNED * self.signed
        return bytes([kind, self.outside]) + varint(self.channels)


@dataclass(frozen=True)
class ReferenceParameters:
    """The numbers of docs/format/context-rans.md, by the names that it gives them.

    `weights` are [C, inputs of all references], `shifts`, `biases` and `own` [C].
    """

    maps: tuple[Reference, ...]
    weights: Ints
    shifts: Ints
    biases: Ints
    own: Ints

    def fields(self) -> bytes:
        """What comes before the arrays."""
        return bytes([len(self.maps)]) + b"".join(reference.fields() for reference in self.maps)

    def arrays(self) -> tuple[Ints, ...]:
        """The arrays, in order."""
        return self.weights, self.shifts, self.biases, self.own
