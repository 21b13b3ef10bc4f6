"""Every codec, every check of the battery."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray

import battery
from fmapzip.codecs.base import Codec
from fmapzip.quantize import QuantParams
from strategies import make_map, make_quantized, maps, quantized_maps

every_codec = pytest.mark.parametrize("codec", battery.SUBJECTS, ids=repr)


@every_codec
@given(q=maps())
def test_decoding_gives_the_map_back(codec: Codec, q: NDArray[Any]) -> None:
    battery.check_round_trip(codec, q)


@every_codec
@given(q=maps())
def test_a_frame_is_never_larger_than_raw_and_header(codec: Codec, q: NDArray[Any]) -> None:
    battery.check_never_larger_than_raw_and_header(codec, q)


@every_codec
@given(q=maps())
@settings(max_examples=25)
def test_memory_layout_does_not_change_the_bytes(codec: Codec, q: NDArray[Any]) -> None:
    battery.check_bytes_do_not_depend_on_layout(codec, q)


@every_codec
@given(q=maps())
@settings(max_examples=25)
def test_the_reference_gives_the_same_bytes(codec: Codec, q: NDArray[Any]) -> None:
    battery.check_reference_gives_the_same_bytes(codec, q)


@every_codec
@pytest.mark.parametrize("kind", ["sparse", "smooth", "noise"])
def test_threads_do_not_change_the_bytes(codec: Codec, kind: str) -> None:
    battery.check_bytes_do_not_depend_on_threads(codec, make_map((96, 60, 60), kind, np.uint8, 5))


@every_codec
def test_many_maps_in_one_call_give_the_same_bytes(codec: Codec) -> None:
    shapes = {"wide": (24, 17, 16), "row": (40, 30), "vector": (100,), "deep": (4, 3, 6, 5)}
    dtypes = {name: np.int8 if name == "row" else np.uint8 for name in shapes}
    maps = {
        name: np.stack([make_map(shape, "sparse", dtypes[name], seed) for seed in range(3)])
        for name, shape in shapes.items()
    }
    battery.check_many_maps_in_one_call_give_the_same_bytes(codec, maps)


@every_codec
def test_settings_survive_json_and_repr(codec: Codec) -> None:
    battery.check_settings_round_trip(codec)


@every_codec
@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_every_truncation_is_a_typed_error(codec: Codec, dtype: Any) -> None:
    battery.check_every_truncation_is_a_typed_error(codec, make_map((24, 7, 6), "sparse", dtype, 1))


@every_codec
def test_a_changed_byte_is_a_typed_error(codec: Codec) -> None:
    battery.check_mutations_are_typed_errors(codec, make_map((40, 8, 9), "sparse", np.uint8, 2), seed=3, count=1500)


@every_codec
@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_core_and_reference_agree_on_forged_frames(codec: Codec, dtype: Any) -> None:
    q = make_map((12, 6, 5), "sparse", dtype, 4)
    battery.check_mutations_behind_a_valid_checksum_are_contained(codec, q, seed=5, count=400)


Quantized = tuple[NDArray[Any], QuantParams]
of_every_type = pytest.mark.parametrize(("dtype", "zero_point"), [(np.uint8, 9), (np.uint8, 128), (np.int8, -100)])


@every_codec
@given(quantized=quantized_maps())
@settings(max_examples=60)
def test_decoding_gives_a_map_with_a_zero_point_back(codec: Codec, quantized: Quantized) -> None:
    battery.check_round_trip(codec, *quantized)
    battery.check_never_larger_than_raw_and_header(codec, *quantized)


@every_codec
@given(quantized=quantized_maps())
@settings(max_examples=25)
def test_the_reference_gives_the_same_bytes_with_a_zero_point(codec: Codec, quantized: Quantized) -> None:
    battery.check_reference_gives_the_same_bytes(codec, *quantized)


@every_codec
@given(quantized=quantized_maps())
@settings(max_examples=10)
def test_memory_layout_does_not_change_the_bytes_with_a_zero_point(codec: Codec, quantized: Quantized) -> None:
    battery.check_bytes_do_not_depend_on_layout(codec, *quantized)


@every_codec
def test_threads_do_not_change_the_bytes_with_a_zero_point(codec: Codec) -> None:
    battery.check_bytes_do_not_depend_on_threads(codec, *make_quantized((96, 60, 60), "sparse", np.uint8, 5, 30))


@every_codec
@of_every_type
def test_every_truncation_is_a_typed_error_with_a_zero_point(codec: Codec, dtype: Any, zero_point: int) -> None:
    battery.check_every_truncation_is_a_typed_error(codec, *make_quantized((24, 7, 6), "sparse", dtype, 1, zero_point))


@every_codec
@of_every_type
def test_core_and_reference_agree_on_forged_frames_with_a_zero_point(codec: Codec, dtype: Any, zero_point: int) -> None:
    q, quantizer = make_quantized((12, 6, 5), "sparse", dtype, 4, zero_point)
    battery.check_mutations_behind_a_valid_checksum_are_contained(codec, q, seed=5, count=300, quantizer=quantizer)


@pytest.mark.parametrize("codec", [c for c in battery.SUBJECTS if getattr(c, "step", 1) != 1], ids=repr)
@given(quantized=quantized_maps())
@settings(max_examples=40)
def test_steps_bound_the_error_wherever_zero_lies(codec: Any, quantized: Quantized) -> None:
    if codec.id == "context-rans":
        battery.check_error_is_bounded(codec, *quantized, most=int(float(Fraction(codec.step)) // 2 + 1))
