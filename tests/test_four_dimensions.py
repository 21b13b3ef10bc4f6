"""Maps [C, D, H, W] of 3-D convolutions: worked on as C x D H x W, in any memory layout."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import battery
import fmapzip
from fmapzip.codecs.base import Codec
from fmapzip.errors import CorruptFrame, InvalidInput, LimitExceeded
from fmapzip.reference import decode as reference_decode
from strategies import make_map

VOLUME = make_map((12, 3, 5, 7), "sparse", np.uint8, 1)

every_codec = pytest.mark.parametrize("codec", battery.SUBJECTS, ids=repr)


def layouts(q: NDArray[Any]) -> list[NDArray[Any]]:
    """`q` in memory in other ways; the rows of the last two are not evenly spaced."""
    channels_last = np.moveaxis(np.ascontiguousarray(np.moveaxis(q, -4, -1)), -1, -4)
    padded = np.zeros((*q.shape[:-2], q.shape[-2] + 1, q.shape[-1]), q.dtype)[..., :-1, :]
    padded[...] = q
    depth_last = np.moveaxis(np.ascontiguousarray(np.moveaxis(q, -3, -1)), -1, -3)
    return [channels_last, np.flip(np.flip(q).copy()), padded, depth_last]


@every_codec
def test_a_volume_is_worked_on_as_its_depths_rows_one_after_another(codec: Codec) -> None:
    flat = VOLUME.reshape(12, 15, 7)
    frame, of_flat = fmapzip.encode(VOLUME, codec), fmapzip.encode(flat, codec)
    assert fmapzip.inspect(frame).payload_bytes == fmapzip.inspect(of_flat).payload_bytes
    assert np.array_equal(fmapzip.decode(frame).reshape(flat.shape), fmapzip.decode(of_flat))
    assert np.array_equal(reference_decode(frame), fmapzip.decode(frame))


@pytest.mark.parametrize("number", range(4))
def test_layouts_change_neither_bytes_nor_what_is_decoded_into(number: int) -> None:
    other = layouts(VOLUME)[number]
    frame = fmapzip.encode(VOLUME)
    assert fmapzip.encode(other) == frame
    out = np.empty_like(other) if number < 2 else layouts(np.zeros_like(VOLUME))[number]
    assert fmapzip.decode(frame, out) is out
    assert np.array_equal(out, VOLUME)


@pytest.mark.parametrize("number", range(4))
def test_batches_of_volumes_take_any_layout(number: int) -> None:
    batch = np.stack([VOLUME, VOLUME[::-1]])
    frames = fmapzip.encode_batch(layouts(batch)[number])
    assert frames == [fmapzip.encode(sample) for sample in batch]
    out = layouts(np.zeros_like(batch))[number]
    fmapzip.decode_batch(frames, out)
    assert np.array_equal(out, batch)


def test_a_depth_or_height_of_one_is_no_special_case() -> None:
    for shape in [(4, 1, 5, 6), (4, 5, 1, 6), (4, 5, 6, 1), (1, 1, 1, 1)]:
        for q in layouts(make_map(shape, "noise", np.int8, 2)):
            assert np.array_equal(fmapzip.decode(fmapzip.encode(q)), q)


def test_five_dimensions_are_refused() -> None:
    with pytest.raises(InvalidInput, match="1 to 4 dimensions"):
        fmapzip.encode(np.zeros((1, 1, 1, 1, 1), np.uint8))
    with pytest.raises(InvalidInput, match="1 to 4 dimensions"):
        fmapzip.encode_batch(np.zeros((1, 1, 1, 1, 1, 1), np.uint8))


def test_rows_of_all_depths_that_overflow_32_bits_are_refused() -> None:
    huge = np.broadcast_to(np.zeros(1, np.uint8), (1, 1 << 16, 1 << 16, 1))
    with pytest.raises(InvalidInput, match=r"2\^32"):
        fmapzip.encode(huge, limits=fmapzip.Limits(max_values=2**63))


def test_a_frame_of_2_to_the_32_values_is_corrupt_whatever_the_limit() -> None:
    side = b"\x80\x80\x04"  # 2^16
    frame = b"FMAP\0\x01\0\x01" + side + side + b"\x01" + b"\0\x01"
    with pytest.raises(LimitExceeded):
        fmapzip.decode(frame)
    with pytest.raises(CorruptFrame, match=r"2\^32"):
        fmapzip.decode(frame, limits=fmapzip.Limits(max_values=2**63))
    with pytest.raises(LimitExceeded):
        reference_decode(frame)
