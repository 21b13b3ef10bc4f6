"""The one set of checks that every codec passes. A new codec joins by a line in SUBJECTS."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import fmapzip
from fmapzip import registry
from fmapzip.codecs.base import Codec
from fmapzip.errors import FrameError
from fmapzip.frame import parse
from fmapzip.quantize import QuantParams
from fmapzip.reference import decode as reference_decode
from fmapzip.reference import encode as reference_encode

Quantizer = QuantParams | None

SUBJECTS: list[Codec] = [
    registry.make("raw"),
    registry.make("zvc"),
    registry.make("dct-cm", path="mask"),
    registry.make("dct-cm", path="mask", mask_step=2.5),
    registry.make("dct-cm", path="transform", group=8, zero_mask=True),
    registry.make("dct-cm", path="transform", group=32, step=6, slope=2, keep=20, order="natural"),
    registry.make("dct-cm", path="mask", mask_step=1.5, coding="rans"),
    registry.make("dct-cm", path="transform", group=4, step=1, zero_mask=True, coding="rans"),
    registry.make("context-rans"),
    registry.make("context-rans", level="fast"),
    registry.make("context-rans", step=2),
    registry.make("context-rans", level="fast", step="7/2"),
    registry.make("context-rans", level="max"),
]

# Codecs in tiles of a few rows or of one, of lengths that no kernel is made for.
IN_SMALL_TILES: list[Codec] = [
    registry.make("zvc", tile_values=700),
    registry.make("dct-cm", path="mask", tile_values=700),
    registry.make("dct-cm", path="transform", group=8, zero_mask=True, tile_values=700),
    registry.make("dct-cm", path="mask", coding="rans", tile_values=3000),
    registry.make("context-rans", tile_values=1),
    registry.make("context-rans", level="fast", tile_values=3000),
    registry.make("context-rans", level="max", tile_values=9000),
]

# The settings that are held against the reference on every tap of the real networks, where each costs time.
ON_REAL_MAPS: list[Codec] = [
    registry.make("zvc"),
    registry.make("dct-cm", path="transform", step=3.0, zero_mask=True),
    registry.make("dct-cm", path="mask", mask_step=3.0),
    registry.make("context-rans"),
]
# Likewise, on the two networks with the smallest maps: the reference takes seconds a map of the others.
ON_SMALL_REAL_MAPS: list[Codec] = [registry.make("context-rans", level="max", step=2)]


def check_round_trip(codec: Codec, q: NDArray[Any], quantizer: Quantizer = None) -> None:
    frame = fmapzip.encode(q, codec, quantizer=quantizer)
    decoded = fmapzip.decode(frame)
    assert decoded.shape == q.shape
    assert decoded.dtype == q.dtype
    if codec.lossless:
        assert np.array_equal(decoded, q)


def check_never_larger_than_raw_and_header(codec: Codec, q: NDArray[Any], quantizer: Quantizer = None) -> None:
    held = 0 if quantizer is None else 1 + 4 * len(quantizer.scale)
    assert len(fmapzip.encode(q, codec, quantizer=quantizer)) <= fmapzip.frame_bound(q.shape) + held


def check_bytes_do_not_depend_on_layout(codec: Codec, q: NDArray[Any], quantizer: Quantizer = None) -> None:
    frame = fmapzip.encode(q, codec, quantizer=quantizer)
    channels_last = np.moveaxis(np.ascontiguousarray(np.moveaxis(q, 0, -1)), -1, 0)
    padded = np.zeros(tuple(2 * n for n in q.shape), q.dtype)[tuple(slice(None, None, 2) for _ in q.shape)]
    padded[...] = q
    for other in (channels_last, padded, np.flip(np.flip(q).copy())):
        assert np.array_equal(other, q)
        assert fmapzip.encode(other, codec, quantizer=quantizer) == frame
        out = np.empty_like(other)
        fmapzip.decode(frame, out)
        assert np.array_equal(out, fmapzip.decode(frame))


def check_bytes_do_not_depend_on_threads(codec: Codec, q: NDArray[Any], quantizer: Quantizer = None) -> None:
    frame = fmapzip.encode(q, codec, quantizer=quantizer)
    assert fmapzip.encode(q, codec, quantizer=quantizer, threads=2) == frame
    assert np.array_equal(fmapzip.decode(frame, threads=2), fmapzip.decode(frame))


def check_many_maps_in_one_call_give_the_same_bytes(codec: Codec, maps: dict[str, NDArray[Any]]) -> None:
    plan = fmapzip.fit(maps, codec)
    one_by_one = {name: [fmapzip.encode(q, plan=plan, tap=name) for q in batch] for name, batch in maps.items()}
    for threads in (1, 3):
        assert fmapzip.encode_many(maps, plan, threads=threads) == one_by_one


def check_reference_gives_the_same_bytes(codec: Codec, q: NDArray[Any], quantizer: Quantizer = None) -> None:
    frame = fmapzip.encode(q, codec, quantizer=quantizer)
    parameters = codec.parameters_for(q, quantizer)
    stated = {} if quantizer is None else {"scales": quantizer.scale, "zero_point": quantizer.zero}
    assert reference_encode(q, codec.number, parameters, **stated) == frame
    assert np.array_equal(reference_decode(frame), fmapzip.decode(frame))


def check_error_is_bounded(codec: Codec, q: NDArray[Any], quantizer: Quantizer, most: int) -> None:
    """No value is off by more than `most`, and what stands for 0 stays it."""
    decoded = fmapzip.decode(fmapzip.encode(q, codec, quantizer=quantizer))
    assert int(abs(decoded.astype(int) - q).max()) <= most
    zero = 0 if quantizer is None else quantizer.zero
    assert (decoded[q == zero] == zero).all()


def check_settings_round_trip(codec: Codec) -> None:
    assert registry.from_config(codec.config()) == codec
    namespace = {type(codec).__name__: type(codec)}
    assert eval(repr(codec), namespace) == codec


def check_every_truncation_is_a_typed_error(codec: Codec, q: NDArray[Any], quantizer: Quantizer = None) -> None:
    frame = fmapzip.encode(q, codec, quantizer=quantizer)
    for size in range(len(frame)):
        try:
            fmapzip.decode(frame[:size])
        except FrameError:
            continue
        raise AssertionError(f"a frame cut to {size} of {len(frame)} bytes decoded")


def check_mutations_are_typed_errors(
    codec: Codec, q: NDArray[Any], seed: int, count: int, quantizer: Quantizer = None
) -> None:
    frame = fmapzip.encode(q, codec, quantizer=quantizer)
    rng = np.random.default_rng(seed)
    for _ in range(count):
        broken = bytearray(frame)
        position = int(rng.integers(len(frame)))
        broken[position] ^= int(rng.integers(1, 256))
        try:
            fmapzip.decode(bytes(broken))
        except FrameError:
            continue
        raise AssertionError(f"byte {position} was changed and the frame decoded")


def check_mutations_behind_a_valid_checksum_are_contained(
    codec: Codec, q: NDArray[Any], seed: int, count: int, quantizer: Quantizer = None
) -> None:
    """A forged frame may hold another map, but nothing else may happen, in the core and in the reference alike."""
    frame = fmapzip.encode(q, codec, quantizer=quantizer)
    rng = np.random.default_rng(seed)
    for _ in range(count):
        forged = bytearray(frame[:-4])
        forged[int(rng.integers(5, len(forged)))] ^= 1 << int(rng.integers(8))
        forged += fmapzip._core.crc32c(bytes(forged)).to_bytes(4, "little")
        assert outcome_of_core(bytes(forged)) == outcome_of_reference(bytes(forged))


def outcome_of_core(data: bytes) -> Any:
    """What decoding gives: the map, or that it was refused."""
    try:
        frame = parse(data, limits=fmapzip.Limits(max_values=1 << 20))
        if frame.plan_hash or frame.number == 0:
            return "needs more than the frame"
        return fmapzip.decode(data, limits=fmapzip.Limits(max_values=1 << 20)).tolist()
    except (FrameError, LookupError):
        return "refused"


def outcome_of_reference(data: bytes) -> Any:
    try:
        frame = parse(data, limits=fmapzip.Limits(max_values=1 << 20))
        if frame.plan_hash or frame.number == 0:
            return "needs more than the frame"
        return reference_decode(data).tolist()
    except FrameError:
        return "refused"
