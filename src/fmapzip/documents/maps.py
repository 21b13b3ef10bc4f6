"""What reports say about the integers of a tap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fmapzip.documents.document import Part, says


class MapsOfTap(Part):
    """The maps of one tap."""

    name: str
    shape: Annotated[list[int], says("of one sample")]
    dtype: Literal["uint8", "int8"]
    samples: int
    raw_bytes: Annotated[int, says("one a value")]
    zeros: Annotated[float, says("share of values that are zero")]
    entropy_bits: Annotated[float, says("order-0, a value")]
    first_value: Annotated[int, says("of the histogram")]
    histogram: Annotated[
        list[int], says("256 counts, of the values from `first_value` on; where there is a zero point, counted from it")
    ]


def pooled(taps: Sequence[dict[str, Any]], key: str) -> float:
    """A figure of a value, such as ``zeros``, over the values of all taps; 0 where there are none."""
    raw = sum(tap["raw_bytes"] for tap in taps)
    return float(sum(tap[key] * tap["raw_bytes"] for tap in taps) / raw) if raw else 0.0
