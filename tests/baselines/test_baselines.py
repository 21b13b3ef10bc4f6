"""What every baseline promises, on any map: exact, or within its stated bound, with every byte accounted for."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fmapzip import baselines
from fmapzip.baselines.prefix import canonical_codes, code_lengths
from fmapzip.baselines.rans import SCALE_BITS, quantized_frequencies
from fmapzip.baselines.zero_runs import run_level_pairs
from fmapzip.errors import InvalidInput, MissingExtra, UnknownCodec
from strategies import make_map, maps

METHODS: list[tuple[str, dict[str, Any]]] = [
    ("eyeriss-rlc", {}),
    ("eyeriss-rlc", {"level_bits": 16}),
    ("zero-bursts", {}),
    ("csc", {}),
    ("csc", {"columns": "channel"}),
    ("ebpc", {"block": 8}),
    ("ebpc", {"block": 16}),
    ("huffman", {}),
    ("rans0", {}),
    ("apack", {}),
    ("deflate", {}),
    ("pca", {}),
    ("projection", {}),
    ("projection", {"bits": 4.5}),
    ("projection", {"bits": 8, "error": 3}),
    ("projection", {"error": 65025}),
    ("jpeg-act", {"table": "optL", "coding": "zvc"}),
    ("jpeg-act", {"table": "optL", "coding": "huffman"}),
    ("jpeg-act", {"table": "optH", "coding": "zvc", "rounding": "nearest"}),
    ("jpeg-act", {"table": "optsH", "coding": "huffman"}),
    ("zstd", {"level": 1}),
    ("zstd", {"level": 19, "layout": "channels-last"}),
    ("lz4", {}),
    ("lz4", {"level": 9}),
    ("blosc2", {"cname": "lz4", "shuffle": "bit"}),
    ("blosc2", {"cname": "zstd", "shuffle": "none", "layout": "channels-last"}),
    ("pcodec", {}),
    ("zfp", {"rate": 4}),
    ("zfp", {"tolerance": 2}),
    ("zfp", {"tolerance": 0.4, "dims": 3}),
    ("brotli", {}),
    ("xz", {}),
    ("jpeg-ls", {}),
    ("jpeg-ls", {"layout": "tiled"}),
    ("jpeg-xl", {}),
    ("jpeg-xl", {"layout": "tiled", "effort": 3}),
]


def method(name: str, config: dict[str, Any]) -> baselines.Baseline:
    made = baselines.make(name, **config)
    if made.missing():
        pytest.skip(f"{made.missing()} is not installed")
    return made


@pytest.mark.parametrize(("name", "config"), METHODS, ids=str)
@settings(max_examples=30)
@given(q=maps())
def test_decoding_is_exact_or_within_the_bound(name: str, config: dict[str, Any], q: NDArray[Any]) -> None:
    made = method(name, config)
    side = made.train(q[None]) if made.trained else b""
    data = made.encode(q, side)
    decoded = made.decode(data, q.shape, q.dtype, side)
    assert decoded.shape == q.shape
    assert decoded.dtype == q.dtype
    worst = int(np.abs(decoded.astype(np.int64) - q.astype(np.int64)).max())
    assert worst <= made.error_bound(q.shape)
    assert made.lossless == (made.error_bound(q.shape) == 0)
    parts = made.parts(data, q.shape)
    assert set(parts) <= set(baselines.PARTS)
    assert sum(parts.values()) == len(data)
    assert (made.decode_to(data, np.empty_like(q), side) == decoded).all()


@pytest.mark.parametrize("name", baselines.names())
def test_every_method_names_its_source(name: str) -> None:
    assert baselines.get(name).id == name
    assert len(baselines.get(name).source) > 10


@pytest.mark.parametrize(("name", "config"), METHODS, ids=str)
def test_settings_round_trip(name: str, config: dict[str, Any]) -> None:
    made = baselines.make(name, **config)
    described = made.config()
    assert described.pop("codec") == name
    assert baselines.make(name, **described) == made


def test_unknown_methods_and_settings_are_refused_with_a_list() -> None:
    with pytest.raises(UnknownCodec, match="there are: eyeriss-rlc"):
        baselines.make("gzip")
    with pytest.raises(InvalidInput, match="its settings: block"):
        baselines.make("ebpc", size=8)
    with pytest.raises(InvalidInput, match="one of 8, 16"):
        baselines.make("ebpc", block=32)


def test_a_missing_package_is_told_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lz4.block", None)
    with pytest.raises(MissingExtra, match=r"fmapzip\[baselines\]"):
        baselines.make("lz4").encode(np.zeros((2, 3, 3), np.uint8))


def test_a_representation_evaluates_back() -> None:
    from fmapzip.baselines.ebpc import Ebpc

    made = baselines.make("ebpc", block=16)
    assert eval(repr(made), {"Ebpc": Ebpc}) == made
    assert baselines.make("ebpc", **{k: v for k, v in made.config().items() if k != "codec"}) == made


def test_eyeriss_words_hold_the_pairs_of_its_figure() -> None:
    # 0 0 12 0 0 0 0 53 0 0 22 become the pairs 2,12 4,53 2,22 in one 64-bit word.
    q = np.array([0, 0, 12, 0, 0, 0, 0, 53, 0, 0, 22], np.uint8)
    word = "".join(f"{run:05b}{level:016b}" for run, level in ((2, 12), (4, 53), (2, 22))) + "1"
    assert baselines.make("eyeriss-rlc", level_bits=16).encode(q) == int(word, 2).to_bytes(8, "big")


def test_eyeriss_packs_three_pairs_and_a_final_bit() -> None:
    # Runs 2, 0, 31 (a run of 32 zeros stores a zero level), and 0 and then one zero at the end.
    q = np.array([0, 0, 7, 9, *[0] * 32, 3, 0], np.uint8)
    runs, levels = run_level_pairs(q, 31)
    assert runs.tolist() == [2, 0, 31, 0, 0]
    assert levels.tolist() == [7, 9, 0, 3, 0]
    words = baselines.make("eyeriss-rlc").encode(q)
    pairs = [(2, 7), (0, 9), (31, 0), None, (0, 3), (0, 0), (0, 0), None]
    bits = "".join("0" if p is None else f"{p[0]:05b}{p[1]:08b}" for p in pairs[:-1]) + "1"
    assert words == int(bits, 2).to_bytes(10, "big")
    assert len(baselines.make("eyeriss-rlc", level_bits=16).encode(q)) == 16


def test_csc_pads_long_runs_as_published() -> None:
    # EIE's own example, section III: [0,0,1,2, eighteen zeros, 3] has values 1,2,0,3 and counts 2,0,15,2.
    q = np.array([0, 0, 1, 2, *[0] * 18, 3], np.uint8)
    data = baselines.make("csc").encode(q)
    assert data == (4).to_bytes(4, "little") + bytes([0x20, 0xF2]) + bytes([1, 2, 0, 3])


def test_a_prefix_code_is_the_shortest_and_within_15_bits() -> None:
    assert code_lengths(np.array([1, 1, 2, 4])).tolist() == [3, 3, 2, 1]
    fibonacci = np.array([1, 1, *np.cumprod(np.full(30, 2))])
    lengths = code_lengths(fibonacci)
    assert lengths.max() == 15
    assert sum(2.0**-lengths) == 1
    assert canonical_codes(np.array([2, 1, 0, 2])).tolist() == [0b10, 0b0, 0, 0b11]


@given(counts=st.lists(st.integers(0, 10**6), min_size=256, max_size=256).filter(any))
def test_frequencies_fill_the_scale(counts: list[int]) -> None:
    found = quantized_frequencies(np.array(counts))
    assert found.sum() == 1 << SCALE_BITS
    assert ((found > 0) == (np.array(counts) > 0)).all()


def test_entropy_coders_stay_close_to_the_entropy() -> None:
    q = make_map((64, 56, 56), "sparse", np.uint8, 5)
    shares = np.bincount(q.reshape(-1)) / q.size
    bound = -(shares[shares > 0] * np.log2(shares[shares > 0])).sum() * q.size / 8
    assert len(baselines.make("rans0").encode(q)) < 1.01 * bound + 800
    assert len(baselines.make("huffman").encode(q)) < bound + q.size / 8


@pytest.mark.parametrize("name", ["eyeriss-rlc", "zero-bursts", "huffman", "rans0", "deflate"])
def test_a_truncated_stream_is_an_error(name: str) -> None:
    import zlib

    q = make_map((8, 9, 9), "sparse", np.uint8, 2)
    made = baselines.make(name)
    data = made.encode(q)
    with pytest.raises((ValueError, IndexError, zlib.error)):
        made.decode(data[: len(data) // 2], q.shape, q.dtype)


def test_a_projection_spends_the_bits_that_it_is_given_where_they_help() -> None:
    maps = np.stack([make_map((12, 10, 10), "smooth", np.uint8, seed) for seed in range(4)])
    errors = []
    for bits in (0.5, 1, 2, 4):
        projection = baselines.make("projection", bits=bits)
        side = projection.train(maps[:3])
        data = projection.encode(maps[3], side)
        assert len(data) <= -(-maps[3].size * bits // 8)
        decoded = projection.decode(data, maps[3].shape, maps.dtype, side)
        errors.append(float(np.square(decoded.astype(float) - maps[3]).mean()))
        with pytest.raises(ValueError, match="ends before"):
            projection.decode(data[:-1], maps[3].shape, maps.dtype, side)
    assert errors == sorted(errors, reverse=True)
    with pytest.raises(InvalidInput, match="bits is a number"):
        baselines.make("projection", bits=0)


def test_a_projection_spends_no_bits_beyond_the_error_that_it_is_given() -> None:
    maps = np.stack([make_map((12, 10, 10), "smooth", np.uint8, seed) for seed in range(2)])
    bits = []
    for error in (0.25, 0.5, 1, 2, 4):
        projection = baselines.make("projection", bits=8, error=error)
        side = projection.train(maps)
        frames = [projection.encode(each, side) for each in maps]
        decoded = [projection.decode(data, maps[0].shape, maps.dtype, side) for data in frames]
        assert np.square(np.stack(decoded).astype(float) - maps).mean() < error + 1 / 12  # rounding to integers
        bits.append(8 * len(frames[0]) / maps[0].size)
        assert baselines.make("projection", bits=bits[-1]).train(maps) == side
    assert bits == sorted(set(bits), reverse=True)


def test_an_error_of_a_projection_is_a_number() -> None:
    with pytest.raises(InvalidInput, match="error is a number"):
        baselines.make("projection", error=-1)
