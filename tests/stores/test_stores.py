"""Frames inside Zarr and numcodecs: exact, self-describing, sharded, and refusing what is no map."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

zarr = pytest.importorskip("zarr")
numcodecs = pytest.importorskip("numcodecs")

from fmapzip.errors import FmapzipError, FrameError, InvalidInput, InvalidType, UnknownCodec
from fmapzip.plan import Plan, TapPlan
from fmapzip.quantize import QuantParams
from fmapzip.registry import make
from fmapzip.stores.numcodecs import Fmapzip
from fmapzip.stores.zarr import FmapzipCodec
from strategies import make_map

MAPS = np.stack([make_map((8, 12, 12), "smooth", np.uint8, seed) for seed in range(6)])


def planned() -> Plan:
    codec = make("context-rans")
    tap = TapPlan("features.3", MAPS.shape[1:], QuantParams("uint8", (0.5,)), codec, codec.train(MAPS))
    return Plan((tap,))


def stored(path: Path, maps: np.ndarray, chunks: tuple[int, ...], codec: FmapzipCodec, **options: Any) -> Any:
    array = zarr.create_array(
        path, shape=maps.shape, chunks=chunks, dtype=maps.dtype, serializer=codec, compressors=None, **options
    )
    array[:] = maps
    return array


LOSSLESS = [
    {"codec": "zvc"},
    {"codec": "context-rans"},
    {"codec": "dct-cm", "settings": {"path": "mask", "mask_step": 1.0}},
]


@pytest.mark.parametrize("settings", LOSSLESS)
@pytest.mark.parametrize("chunk", [1, 2, 4])
def test_zarr_reads_what_was_written_by_metadata_alone(tmp_path: Path, settings: dict[str, Any], chunk: int) -> None:
    stored(tmp_path / "maps.zarr", MAPS, (chunk, 8, 12, 12), FmapzipCodec(**settings))
    found = zarr.open_array(tmp_path / "maps.zarr", mode="r")
    assert (found[:] == MAPS).all()
    assert (found[3] == MAPS[3]).all()


def test_a_plan_travels_in_the_metadata_and_saves_the_tables(tmp_path: Path) -> None:
    def chunk_bytes(name: str, codec: FmapzipCodec) -> int:
        stored(tmp_path / name, MAPS, (1, 8, 12, 12), codec)
        assert (zarr.open_array(tmp_path / name, mode="r")[:] == MAPS).all()
        return sum(f.stat().st_size for f in (tmp_path / name).rglob("*") if f.is_file() and f.name != "zarr.json")

    assert chunk_bytes("planned", FmapzipCodec(plan=planned(), tap="features.3")) < chunk_bytes("alone", FmapzipCodec())


def test_shards_hold_frames(tmp_path: Path) -> None:
    stored(tmp_path / "maps.zarr", MAPS, (1, 8, 12, 12), FmapzipCodec(), shards=(3, 8, 12, 12))
    assert (zarr.open_array(tmp_path / "maps.zarr", mode="r")[4] == MAPS[4]).all()


def test_the_last_chunk_may_be_filled_up(tmp_path: Path) -> None:
    stored(tmp_path / "maps.zarr", MAPS, (4, 8, 12, 12), FmapzipCodec(codec="zvc"))
    assert (zarr.open_array(tmp_path / "maps.zarr", mode="r")[:] == MAPS).all()


def test_vectors_are_maps_of_one_dimension(tmp_path: Path) -> None:
    vectors = np.arange(40, dtype=np.int8).reshape(4, 10)
    stored(tmp_path / "vectors.zarr", vectors, (2, 10), FmapzipCodec(map_dims=1))
    assert (zarr.open_array(tmp_path / "vectors.zarr", mode="r")[:] == vectors).all()


def test_metadata_name_the_codec_for_other_readers(tmp_path: Path) -> None:
    stored(tmp_path / "maps.zarr", MAPS, (1, 8, 12, 12), FmapzipCodec(codec="zvc"))
    (found,) = json.loads((tmp_path / "maps.zarr" / "zarr.json").read_text())["codecs"]
    assert found == {"name": "fmapzip", "configuration": {"codec": "zvc", "settings": {}, "map_dims": 3}}
    assert FmapzipCodec.from_dict(found) == FmapzipCodec(codec="zvc")


def test_a_damaged_chunk_is_a_typed_error(tmp_path: Path) -> None:
    stored(tmp_path / "maps.zarr", MAPS, (1, 8, 12, 12), FmapzipCodec())
    chunk = tmp_path / "maps.zarr" / "c" / "2" / "0" / "0" / "0"
    chunk.write_bytes(chunk.read_bytes()[:-1] + b"\0")
    array = zarr.open_array(tmp_path / "maps.zarr", mode="r")
    with pytest.raises(FrameError):
        array[2]
    assert (array[1] == MAPS[1]).all()


def test_a_chunk_of_another_array_is_refused(tmp_path: Path) -> None:
    stored(tmp_path / "maps.zarr", MAPS, (1, 8, 12, 12), FmapzipCodec())
    folder = tmp_path / "maps.zarr" / "c" / "0" / "0" / "0"
    (folder / "0").write_bytes(make("zvc").encode(MAPS[0][:4]))
    with pytest.raises(FrameError, match="not a chunk of uint8"):
        zarr.open_array(tmp_path / "maps.zarr", mode="r")[0]


def test_a_chunk_that_unpacks_to_more_than_a_chunk_is_refused_before_it_does(tmp_path: Path) -> None:
    stored(tmp_path / "maps.zarr", MAPS, (1, 8, 12, 12), FmapzipCodec())
    chunk = tmp_path / "maps.zarr" / "c" / "0" / "0" / "0" / "0"
    small = make("zvc").encode(np.zeros_like(MAPS[0]))
    large = make("context-rans").encode(np.zeros((64, 512, 512), np.uint8))
    for data in (large, small * 10_000):
        chunk.write_bytes(data)
        tracemalloc.start()
        with pytest.raises(FrameError):
            zarr.open_array(tmp_path / "maps.zarr", mode="r")[0]
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("config", "error"),
    [
        ({"codec": "nothing"}, UnknownCodec),
        ({"level": "max"}, InvalidInput),
        ({"tap": 0}, InvalidInput),
        ({"plan": "***"}, InvalidInput),
        ({"plan": 7}, InvalidType),
        ({"settings": []}, InvalidType),
        ({"self": 1}, InvalidInput),
        ({"map_dims": True}, InvalidInput),
        ({"map_dims": 4}, InvalidInput),
    ],
)
@pytest.mark.parametrize("kind", [FmapzipCodec, Fmapzip])
def test_settings_that_do_not_fit_are_refused(kind: Any, config: dict[str, Any], error: type[FmapzipError]) -> None:
    with pytest.raises(error):
        kind(**config)


def test_floats_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(InvalidType, match="quantize floats first"):
        zarr.create_array(
            tmp_path / "floats.zarr",
            shape=(2, 3, 4, 4),
            chunks=(1, 3, 4, 4),
            dtype="float32",
            serializer=FmapzipCodec(),
        )


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_numcodecs_round_trip_and_config(dtype: Any) -> None:
    codec = Fmapzip(codec="context-rans", settings={"level": "fast"})
    maps = MAPS.view(dtype)
    again = numcodecs.get_codec(codec.get_config())
    assert (again.decode(codec.encode(maps)) == maps).all()
    out = np.empty_like(maps)
    again.decode(codec.encode(maps), out)
    assert (out == maps).all()


def test_zarr_v2_uses_the_numcodecs_codec(tmp_path: Path) -> None:
    array = zarr.create_array(
        tmp_path / "v2.zarr",
        shape=MAPS.shape,
        chunks=(1, 8, 12, 12),
        dtype="uint8",
        compressors=Fmapzip(codec="zvc"),
        zarr_format=2,
    )
    array[:] = MAPS
    assert (zarr.open_array(tmp_path / "v2.zarr", mode="r", zarr_format=2)[:] == MAPS).all()


def test_chunks_that_threads_decode_are_the_same_as_small_ones(tmp_path: Path) -> None:
    from zarr import create_array

    maps = np.random.default_rng(0).integers(0, 9, (16, 8, 56, 56)).astype(np.uint8)
    for chunk in (1, 16):
        array = create_array(
            tmp_path / str(chunk), shape=maps.shape, chunks=(chunk, *maps.shape[1:]), dtype="uint8",
            serializer=FmapzipCodec(codec="zvc"), compressors=None,
        )  # fmt: skip
        array[:] = maps
        assert np.array_equal(array[:], maps)
