"""The streams that blocks are connected by: valid, ready and a payload; a transfer takes place where both are 1.

A **beat** carries up to a fixed number of items, the first ones of it, and says whether it is its tile's last; the
items behind its count are 0. A word of a file is a beat as one number: data, count and last, least significant first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.lib import data, stream

ERROR_BITS, PLACE_BITS, SIZE_BITS = 2, 32, 32


class Error:
    """What a status says of its tile."""

    NONE = 0
    TRUNCATED = 1
    CORRUPT = 2


STATUS = data.StructLayout({"error": ERROR_BITS, "place": PLACE_BITS})
"""How a tile ended, and the place of the error."""


def beat(items: int, bits: int = 8) -> Any:
    """Layout of a beat of so many items of so many bits."""
    return data.StructLayout({"data": data.ArrayLayout(bits, items), "count": range(items + 1), "last": 1})


def beats(items: int, bits: int = 8) -> Any:
    """A stream of beats."""
    return stream.Signature(beat(items, bits))


def words(values: Sequence[int] | bytes, items: int, bits: int = 8, end: bool = False) -> list[int]:
    """The beats of one tile as numbers: all full but the last, an empty one with `end` where the others take all.

    Examples
    --------
    >>> [f"{word:06x}" for word in words(b"abc", 2)]
    ['026261', '050063']
    """
    parts = [values[at : at + items] for at in range(0, len(values), items)]
    if not parts or (end and len(parts[-1]) == items):
        parts.append(b"")
    return [_word(part, items, bits, i == len(parts) - 1) for i, part in enumerate(parts)]


def _word(values: Sequence[int] | bytes, items: int, bits: int, last: bool) -> int:
    count_bits = items.bit_length()
    packed = sum(int(value) << bits * i for i, value in enumerate(values))
    return packed | len(values) << bits * items | last << bits * items + count_bits


def status_word(error: int, place: int = 0) -> int:
    """A status as a number."""
    return error | place << ERROR_BITS
