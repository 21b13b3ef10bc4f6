"""Tiles of as many values as one asks for: the same bytes everywhere, and plans without the setting stay the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import battery
import fmapzip
from fmapzip import registry
from fmapzip.codecs.base import Codec
from fmapzip.errors import InvalidInput
from fmapzip.geometry import tile_shape, worked_shape
from fmapzip.reference import encode as reference_encode
from fmapzip.reference.tiles import balanced_rows
from strategies import make_map, maps

every_codec = pytest.mark.parametrize("codec", battery.IN_SMALL_TILES, ids=repr)


def rows_of(codec: Codec, q: NDArray[Any]) -> int:
    assert codec.tile_values is not None
    return balanced_rows(worked_shape(q.shape), codec.tile_values)


@every_codec
@given(q=maps())
def test_maps_round_trip_and_the_reference_gives_the_same_bytes(codec: Codec, q: NDArray[Any]) -> None:
    frame = fmapzip.encode(q, codec)
    assert reference_encode(q, codec.number, codec.parameters(q), rows=rows_of(codec, q)) == frame
    if codec.lossless:
        assert np.array_equal(fmapzip.decode(frame), q)


@every_codec
def test_threads_batches_and_layouts_give_the_same_bytes(codec: Codec) -> None:
    q = make_map((24, 30, 31), "sparse", np.uint8, 0)
    battery.check_bytes_do_not_depend_on_threads(codec, q)
    battery.check_bytes_do_not_depend_on_layout(codec, q)
    battery.check_many_maps_in_one_call_give_the_same_bytes(codec, {"a": np.stack([q, q[::-1]]), "b": q[None, :, :7]})


@pytest.mark.parametrize("name", ["zvc", "dct-cm", "context-rans"])
@given(shape=st.tuples(*[st.integers(1, 24)] * 3), tile_values=st.integers(1, 9000))
def test_a_tile_has_no_more_values_unless_it_is_one_row(
    name: str, shape: tuple[int, int, int], tile_values: int
) -> None:
    plan = fmapzip.fit({"a": make_map((1, *shape), "sparse", np.uint8, 1)}, name, tile_values=tile_values)
    found = fmapzip.inspect(fmapzip.encode(make_map(shape, "sparse", np.uint8, 2), plan=plan, tap="a"))
    largest = tile_shape(shape, found.tile_rows, 0)
    assert np.prod(largest) <= tile_values or largest[1] == 1


@every_codec
def test_the_setting_is_in_configs_where_it_is_set_alone(codec: Codec) -> None:
    battery.check_settings_round_trip(codec)
    assert codec.config()["tile_values"] == codec.tile_values
    assert "tile_values" not in registry.make(codec.id).config()


def test_a_plans_parameters_do_not_depend_on_it() -> None:
    batch = np.stack([make_map((8, 12, 12), "sparse", np.uint8, seed) for seed in range(3)])
    for name in ("zvc", "dct-cm", "context-rans"):
        assert registry.make(name, tile_values=99).train(batch) == registry.make(name).train(batch)


@pytest.mark.parametrize("name", ["zvc", "dct-cm", "context-rans"])
@pytest.mark.parametrize("value", [0, -1, 1 << 29, True, 1.5, "4096"])
def test_what_is_no_number_of_values_is_refused(name: str, value: Any) -> None:
    with pytest.raises(InvalidInput, match="tile_values"):
        registry.make(name, tile_values=value)
    with pytest.raises(InvalidInput, match="tile_values"):
        registry.get(name)(tile_values=value)  # type: ignore[call-arg]


def test_maps_with_references_keep_to_it() -> None:
    rng = np.random.default_rng(0)
    first = np.maximum(rng.normal(0, 30, (3, 16, 8, 12)), 0).astype(np.uint8)
    second = np.maximum(first.astype(int) + rng.integers(-1, 2, first.shape), 0).astype(np.uint8)
    settings = {"level": "ultra", "references": 1, "plan_bytes": 1.0}
    plan = fmapzip.fit({"a": first, "b": second}, "context-rans", tile_values=400, **settings)
    assert plan["b"].references
    frame = fmapzip.encode(second[0], plan=plan, tap="b", reference=first[0])
    assert fmapzip.inspect(frame, plan=plan).tile_rows == 2
    assert np.array_equal(fmapzip.decode(frame, plan=plan, reference=first[0]), second[0])
