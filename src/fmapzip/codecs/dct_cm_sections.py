"""Where the bytes of a dct-cm tile went: a walk over its blocks by docs/FORMAT.md, "dct-cm: blocks"."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fmapzip.codecs.dct_cm_parameters import GROUPS, RANS, TRANSFORM, ZERO_MASK, group_length
from fmapzip.reference.bit_blocks import SPLITS
from fmapzip.reference.dct_cm_values import block_positions


class _Walk:
    """Counts the bits of a stream by kind, reading only what says how many there are."""

    def __init__(self, body: bytes) -> None:
        self._bits: NDArray[np.uint8] = np.unpackbits(np.frombuffer(body, np.uint8), bitorder="little")
        self._at = 0
        self.counts = {"zero mask": 0, "headers": 0, "bitmaps": 0, "values": 0}

    def _skip(self, kind: str, bits: int) -> None:
        self._at += bits
        self.counts[kind] += bits

    def _ones(self, kind: str, bits: int) -> int:
        ones = int(np.count_nonzero(self._bits[self._at : self._at + bits]))
        self._skip(kind, bits)
        return ones

    def _number(self, kind: str, bits: int) -> int:
        value = int(self._bits[self._at : self._at + bits] @ (1 << np.arange(bits)))
        self._skip(kind, bits)
        return value

    def mask_row(self, positions: int) -> None:
        if self._number("zero mask", 2) == 0:
            self._skip("zero mask", positions)

    def block(self, positions: int) -> None:
        header = self._number("headers", 8)
        zero_bitmap, width, selectors = SPLITS[header >> 4]
        coded = self._ones("bitmaps", positions) if zero_bitmap else positions
        rest = coded
        for _ in range(selectors):
            rest = self._ones("bitmaps", rest)
        self._skip("values", (coded - rest) * width + rest * (header & 15))


def sections(body: bytes, shape: tuple[int, int, int], parameters: bytes) -> dict[str, int]:
    """Bytes of a valid tile by kind; kinds share the bytes at their borders, and the sum is the body's length."""
    if parameters[0] & RANS:
        return _rans_sections(body, parameters)
    walk = _Walk(body)
    positions = shape[1] * shape[2]
    if not parameters[0] & TRANSFORM:
        rows, span = (1, shape[0]) if positions == 1 else (shape[0], positions)
        for _ in range(rows):
            for count in _block_positions(span):
                walk.block(count)
        return _whole_bytes(walk.counts, len(body))
    for masks, kept in _groups(shape[0], parameters):
        for count in _block_positions(positions):
            for _ in range(masks):
                walk.mask_row(count)
            for _ in range(kept):
                walk.block(count)
    return _whole_bytes(walk.counts, len(body))


def _rans_sections(body: bytes, parameters: bytes) -> dict[str, int]:
    if not parameters[0] & TRANSFORM:
        return {"values": len(body)}
    coefficients = int.from_bytes(body[:4], "little")
    found = {"headers": 5, "coefficients": coefficients}
    if parameters[0] & ZERO_MASK:
        # The large coefficients lie between; only a decoder can tell how many there are.
        return {**found, "large coefficients and zero mask": len(body) - coefficients - 5}
    return {**found, "large coefficients": len(body) - coefficients - 5}


def _block_positions(positions: int) -> list[int]:
    """Positions of each block of a plane."""
    block = block_positions(positions)
    return [min(block, positions - at) for at in range(0, positions, block)]


def _groups(channels: int, parameters: bytes) -> list[tuple[int, int]]:
    """Rows of the zero mask, and frequencies kept, of each group."""
    group = GROUPS[parameters[1] & 3]
    tail = group_length(channels, group)
    steps = np.frombuffer(parameters[2 : 2 + 2 * (group + tail)], "<u2")
    kept, kept_last = (
        np.count_nonzero(steps[:group]),
        np.count_nonzero(steps[group:] if tail != group else steps[:group]),
    )
    masked = bool(parameters[0] & ZERO_MASK)
    sizes = [min(group, channels - first) for first in range(0, channels, group)]
    return [(size * masked, int(kept if size == group else kept_last)) for size in sizes]


def _whole_bytes(bits: Mapping[str, int], total: int) -> dict[str, int]:
    """Bits as bytes that sum to `total`; the padding goes to the last kind."""
    ends = np.cumsum(list(bits.values())) // 8
    ends[-1] = total
    sizes = np.diff(ends, prepend=0)
    return {kind: int(size) for kind, size in zip(bits, sizes, strict=True) if size or kind == "values"}
