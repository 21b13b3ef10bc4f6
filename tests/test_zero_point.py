"""Integers counted from their zero point."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fmapzip.zero_point import as_values, restore, value_bytes


@pytest.mark.parametrize(
    ("dtype", "zero_point"),
    [(np.uint8, 0), (np.uint8, 40), (np.uint8, 128), (np.int8, 0), (np.int8, -128), (np.int8, 9)],
)
def test_integers_come_back_from_the_bytes_of_their_values(dtype: type[Any], zero_point: int) -> None:
    q = np.arange(256, dtype=np.uint8).view(dtype)
    values = value_bytes(q, zero_point)
    assert values.dtype == as_values(q, zero_point).dtype
    assert values[q == zero_point].tolist() == [0]
    out = np.empty_like(q)
    assert restore(values, zero_point, out) is out
    assert (out == q).all()
    assert (restore(values.copy().view(q.dtype), zero_point, q.copy()) == q).all()
