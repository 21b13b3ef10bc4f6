"""Below which bandwidth of a link coding pays."""

from __future__ import annotations

import math
from typing import Any, NamedTuple


class BreakEven(NamedTuple):
    """Bandwidths in bits a second below which sending coded maps is faster than sending their 8-bit values.

    Attributes
    ----------
    serial
        Where a map is encoded, sent and decoded before the next one.
    overlapped
        Where encoder, link and decoder work at once on maps that follow each other.
    """

    serial: float
    overlapped: float


def break_even(raw: int, coded: int, encode_seconds: float, decode_seconds: float) -> BreakEven:
    """The bandwidths of a codec that makes `coded` bytes of `raw` in these times; 0 where it saves nothing.

    Serially, what is saved on the link must be more than both times; overlapped, the slower side of the codec must
    only keep up with the link.

    Examples
    --------
    >>> break_even(raw=1_000_000, coded=500_000, encode_seconds=0.04, decode_seconds=0.01)
    BreakEven(serial=80000000.0, overlapped=200000000.0)
    """
    if coded >= raw:
        return BreakEven(0.0, 0.0)
    serial, slower = encode_seconds + decode_seconds, max(encode_seconds, decode_seconds)
    return BreakEven(
        8 * (raw - coded) / serial if serial else math.inf,
        8 * raw / slower if slower else math.inf,
    )


def break_even_of(found: dict[str, Any], raw: int) -> BreakEven:
    """The same of a method in a report, over all taps or on one."""
    return break_even(raw, found["bytes"], found["encode_seconds"], found["decode_seconds"])


def mbit(bits: float) -> str:
    """Mbit/s in few digits.

    Examples
    --------
    >>> mbit(0.0), mbit(2.345e6), mbit(1234.5e6), mbit(math.inf)
    ('0', '2.3', '1234', 'any')
    """
    if math.isinf(bits):
        return "any"
    return f"{bits / 1e6:.0f}" if bits >= 1e7 or not bits else f"{bits / 1e6:.1f}"
