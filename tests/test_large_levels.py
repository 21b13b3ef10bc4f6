"""Levels `max` and `ultra`, in frames that hold their parameters: the battery that every codec passes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray

import battery
import fmapzip
from fmapzip.codecs.context_rans_parameters import level_of
from fmapzip.frame import parse
from strategies import make_map, make_quantized, maps
from untrained import Untrained

every_level = pytest.mark.parametrize("codec", [Untrained(level="max"), Untrained(level="ultra")], ids=repr)


SHAPE = (12, 16, 18)
"""Large enough that parameters weigh less than they save."""


@every_level
@pytest.mark.parametrize("zero_point", [0, 9, 128])
def test_frames_hold_parameters_of_the_level(codec: Untrained, zero_point: int) -> None:
    q, quantizer = make_quantized(SHAPE, "sparse", np.uint8, 4, zero_point)
    assert level_of(parse(fmapzip.encode(q, codec, quantizer=quantizer)).parameters) == codec.level
    battery.check_reference_gives_the_same_bytes(codec, q, quantizer)


@every_level
@given(q=maps())
@settings(max_examples=15)
def test_decoding_gives_the_map_back(codec: Untrained, q: NDArray[Any]) -> None:
    battery.check_round_trip(codec, q)
    battery.check_never_larger_than_raw_and_header(codec, q)
    battery.check_bytes_do_not_depend_on_layout(codec, q)


@every_level
@given(q=maps())
@settings(max_examples=8)
def test_the_reference_gives_the_same_bytes(codec: Untrained, q: NDArray[Any]) -> None:
    battery.check_reference_gives_the_same_bytes(codec, q)


@every_level
def test_threads_do_not_change_the_bytes(codec: Untrained) -> None:
    battery.check_bytes_do_not_depend_on_threads(codec, make_map((96, 60, 60), "sparse", np.uint8, 5))


@every_level
@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_every_truncation_is_a_typed_error(codec: Untrained, dtype: Any) -> None:
    battery.check_every_truncation_is_a_typed_error(codec, make_map(SHAPE, "sparse", dtype, 4))


@every_level
def test_a_changed_byte_is_a_typed_error(codec: Untrained) -> None:
    battery.check_mutations_are_typed_errors(codec, make_map(SHAPE, "sparse", np.uint8, 4), seed=3, count=500)


@every_level
@pytest.mark.parametrize(("dtype", "zero_point"), [(np.uint8, 9), (np.int8, 0)])
def test_core_and_reference_agree_on_forged_frames(codec: Untrained, dtype: Any, zero_point: int) -> None:
    q, quantizer = make_quantized(SHAPE, "sparse", dtype, 4, zero_point)
    battery.check_mutations_behind_a_valid_checksum_are_contained(codec, q, seed=5, count=12, quantizer=quantizer)
