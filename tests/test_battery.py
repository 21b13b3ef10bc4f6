"""Every codec, every check of the battery."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray

import battery
from fmapzip.codecs.base import Codec
from strategies import make_map, maps

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
