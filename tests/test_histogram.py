"""Histograms of 8-bit values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmapzip.histogram import ValueHistogram


@given(st.sampled_from(["uint8", "int8"]), st.lists(st.binary(max_size=40), max_size=4))
def test_values_are_counted_in_their_order_however_they_arrive(dtype: str, pieces: list[bytes]) -> None:
    seen = ValueHistogram(dtype)
    for piece in pieces:
        seen.add(np.frombuffer(piece, dtype))
    values = np.frombuffer(b"".join(pieces), dtype)
    assert seen.to_json()["raw_bytes"] == values.size
    assert all(seen.counts[int(value) - seen.first] == (values == value).sum() for value in values)
    assert seen.zeros == pytest.approx((values == 0).mean() if values.size else 0)


@pytest.mark.parametrize(("values", "bits"), [([], 0), ([5, 5], 0), ([0, 1], 1), ([0, 0, 1, 2], 1.5)])
def test_entropy_is_in_bits_a_value(values: list[int], bits: float) -> None:
    seen = ValueHistogram("uint8")
    seen.add(np.array(values, np.uint8))
    assert seen.entropy_bits == pytest.approx(bits)


def test_values_are_counted_from_a_zero_point() -> None:
    for dtype, zero_point in (("uint8", 7), ("int8", -20)):
        seen = ValueHistogram(dtype, zero_point)
        seen.add(np.array([zero_point, zero_point, zero_point + 1, np.iinfo(dtype).min], dtype))
        assert (seen.first, seen.zeros, seen.counts[0]) == (np.iinfo(dtype).min - zero_point, 0.5, 1)
        assert seen.counts[1 - seen.first] == 1
