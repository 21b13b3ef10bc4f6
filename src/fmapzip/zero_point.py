"""Integers counted from their zero point, as the codecs of the core see them (docs/FORMAT.md, "Zero point").

With a zero point z an integer q has the value q - z. The 256 values of a type are a range in a row, `below` of them
negative: 0 for uint8 without a zero point, 128 for int8 without one. A value is written as its byte modulo 256.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

UNSIGNED, SIGNED = 0, 128
"""How many values are negative without a zero point."""


def below_zero(dtype: np.dtype[Any], zero_point: int) -> int:
    """How many values of integers of `dtype` are negative."""
    return zero_point + (SIGNED if dtype == np.int8 else UNSIGNED)


def value_bytes(q: NDArray[Any], zero_point: int) -> NDArray[Any]:
    """The values of integers as bytes modulo 256: int8 where 128 of them are negative, else uint8."""
    if zero_point == 0:
        return q
    return as_bytes(q.view(np.uint8) - np.uint8(zero_point & 255), below_zero(q.dtype, zero_point))


def restore(values: NDArray[Any], zero_point: int, out: NDArray[Any]) -> NDArray[Any]:
    """The integers whose `value_bytes` are `values`, into `out`, whose memory may be that of `values`."""
    np.add(values.view(np.uint8), np.uint8(zero_point & 255), out=out.view(np.uint8))
    return out


def as_values(out: NDArray[Any], zero_point: int) -> NDArray[np.uint8] | NDArray[np.int8]:
    """The memory of integers in the dtype of their `value_bytes`."""
    return out.view(np.int8) if below_zero(out.dtype, zero_point) == SIGNED else out.view(np.uint8)


def as_bytes(values: NDArray[Any], below: int) -> NDArray[Any]:
    """Values, or their bytes, in the dtype that `value_bytes` gives them."""
    return values.astype(np.uint8).view(np.int8 if below == SIGNED else np.uint8)


def values_of_bytes(below: int) -> NDArray[np.int64]:
    """The value that each byte stands for."""
    found: NDArray[np.int64] = (np.arange(256) + below) % 256 - below
    return found


def values(q: NDArray[Any], zero_point: int) -> NDArray[Any]:
    """The values of integers as numbers: int16 where there is a zero point."""
    return q if zero_point == 0 else q.astype(np.int16) - np.int16(zero_point)
