"""The accelerator of the model, and what it costs there to read a map in a layer."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Literal

from fmapzip.errors import InvalidInput
from fmapzip.traffic.codec_energy import GATE_FJ
from fmapzip.traffic.layers import Layer

Order = Literal["rows", "weights"]


@dataclass(frozen=True)
class Chip:
    """What the accelerator is taken to be.

    Attributes
    ----------
    buffer_bytes : int
        On-chip memory that rows of a map, or weights, are kept in while a layer runs.
    dram_pj_per_bit : float
        Energy of moving one bit. 20 is the lower end of 1.3 to 2.6 nJ for 64 bits (M. Horowitz, "Computing's energy
        problem", ISSCC 2014); HBM2 is about 3.9 (O'Connor et al., "Fine-grained DRAM", MICRO 2017).
    codec_pj_per_value : float, optional
        Energy of encoding or decoding one value; by default the estimate of `fmapzip.traffic.codec_energy`.
    gate_fj : float
        For that estimate, femtojoules of a gate that changes.
    bandwidth : float
        Of the DRAM, bytes a second.
    macs_per_second : float
    """

    buffer_bytes: int = 128 * 1024
    dram_pj_per_bit: float = 20.0
    codec_pj_per_value: float | None = None
    gate_fj: float = GATE_FJ
    bandwidth: float = 12.8e9
    macs_per_second: float = 512e9

    @property
    def ridge(self) -> float:
        """Multiplications a byte from which on the time is that of computing."""
        return self.macs_per_second / self.bandwidth

    def __post_init__(self) -> None:
        positive = (self.buffer_bytes, self.dram_pj_per_bit, self.bandwidth, self.macs_per_second)
        if min(positive) <= 0 or min(self.codec_pj_per_value or 0, self.gate_fj) < 0:
            raise InvalidInput("buffer, energies, bandwidth and multiplications a second must be positive")


@dataclass(frozen=True)
class Reading:
    """How a layer reads its map.

    Attributes
    ----------
    order : {"rows", "weights"}
        What stays on chip.
    passes : int
        Bands of rows, or parts of the weights.
    reads : float
        How often each value of the map is read.
    bytes : float
        Of map and weights together.
    """

    order: Order
    passes: int
    reads: float
    bytes: float


def reading(layer: Layer, map_bytes: float, buffer_bytes: int) -> Reading:
    """The cheaper order: bands of the map's rows stay and all weights pass by each, or the other way round.

    A band needs `kernel - stride` rows of the band above once more; beside weights there is room for `kernel` rows.
    Rows are kept decoded, so that a codec changes what is moved and not what fits.

    Examples
    --------
    >>> reading(Layer("a", 0, 1000, rows=8, kernel=3, stride=1, input_values=800), 400.0, 500)
    Reading(order='rows', passes=2, reads=1.25, bytes=2500.0)
    """
    row = layer.input_values / layer.rows
    held = max(int(buffer_bytes // row), layer.kernel)
    halo = max(layer.kernel - layer.stride, 0)
    bands = 1 if held >= layer.rows else ceil((layer.rows - halo) / max(held - halo, 1))
    reads = 1 + halo * (bands - 1) / layer.rows
    by_rows = Reading("rows", bands, reads, map_bytes * reads + layer.weights * bands)
    room = buffer_bytes - layer.kernel * row
    if room <= 0:
        return by_rows
    parts = max(ceil(layer.weights / room), 1)
    by_weights = Reading("weights", parts, float(parts), map_bytes * parts + layer.weights)
    return min(by_rows, by_weights, key=lambda way: way.bytes)
