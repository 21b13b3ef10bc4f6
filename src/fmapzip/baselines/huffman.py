"""Canonical Huffman coding of the values of one map, its table counted."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np

from fmapzip.baselines import prefix
from fmapzip.baselines.base import Baseline, IntegerMap, Parts, Shape, as_bytes, from_bytes


@dataclass(frozen=True, repr=False)
class Huffman(Baseline):
    """A canonical prefix code of at most 15 bits, fitted to each map; the table is a bitmap and 4-bit lengths."""

    id: ClassVar[str] = "huffman"
    source: ClassVar[str] = "Huffman, 1952; canonical codes: Schwartz and Kallick, 1964"

    def encode(self, q: IntegerMap, side: bytes = b"") -> bytes:
        """Table, then codes in planar order."""
        values = as_bytes(q)
        lengths = prefix.code_lengths(np.bincount(values, minlength=256))
        return prefix.write_table(lengths) + prefix.encode(values, lengths)

    def decode(self, data: bytes, shape: Shape, dtype: np.dtype[Any], side: bytes = b"") -> IntegerMap:
        """The map."""
        lengths, size = prefix.read_table(data, 256)
        return from_bytes(prefix.decode(data[size:], lengths, prod(shape)).astype(np.uint8), shape, dtype)

    def parts(self, data: bytes, shape: Shape) -> Parts:
        """The codes and the table."""
        size = prefix.read_table(data, 256)[1]
        return {"payload": len(data) - size, "tables": size}
